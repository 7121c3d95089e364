//! Hints of the kernel that something has happened in a directory.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

/// Events read in one go; a directory in which more happens is looked at again at once.
const BATCH_MAX: usize = 256;

/// Tells that something happened near a file.
#[derive(Debug)]
pub(super) struct Inotify {
    events: AsyncFd<OwnedFd>,
}

impl Inotify {
    /// Watches the directory of `path`, and the one that its links lead to.
    ///
    /// Not the file: editors replace it by another one, and a watch would stay with the old.
    pub(super) fn near(path: &Path) -> io::Result<Self> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let what = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        add_watch(&inotify, directory(path), what)?;
        if let Ok(target) = path.canonicalize() {
            add_watch(&inotify, directory(&target), what)?;
        }
        Ok(Self { events: AsyncFd::register(inotify)? })
    }

    /// Resolves when something has happened. Cancel-safe.
    pub(super) async fn happened(&self) -> io::Result<()> {
        let mut ready = self.events.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(ready.get_inner(), &mut buffer);
        // What happened is of no interest: the file is looked at in any case.
        for _ in 0..BATCH_MAX {
            match reader.next() {
                Ok(_) => {}
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    break;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
