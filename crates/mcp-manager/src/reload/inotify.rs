//! Hints of the kernel that something has happened in a directory.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::net::unix::pipe::Receiver;

/// Room for a few dozen events. What they say is of no interest: the file is looked at in any case.
const BUFFER_BYTES: usize = 4096;

/// Tells that something happened near a file.
#[derive(Debug)]
pub(super) struct Inotify {
    /// To wait for and to read, an inotify descriptor is like the end of a pipe.
    events: Receiver,
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
        Ok(Self { events: Receiver::from_owned_fd_unchecked(inotify)? })
    }

    /// Resolves when something has happened. Cancel-safe.
    pub(super) async fn happened(&self) -> io::Result<()> {
        let mut buffer = [0; BUFFER_BYTES];
        loop {
            self.events.readable().await?;
            match self.events.try_read(&mut buffer) {
                // It was a false alarm of the runtime.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(drop),
            }
        }
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Longer than any kernel takes.
    const LIMIT: Duration = Duration::from_secs(20);

    async fn is_told(path: &Path, change: impl FnOnce()) {
        let inotify = Inotify::near(path).expect("a watch");
        change();
        timeout(LIMIT, inotify.happened()).await.expect("a hint").expect("a descriptor");
    }

    #[tokio::test]
    async fn whatever_becomes_of_the_file_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mcp.json");
        is_told(&path, || fs::write(&path, "{}").expect("a file")).await;
        is_told(&path, || fs::write(&path, "[]").expect("a file")).await;
        let other = dir.path().join("other");
        fs::write(&other, "1").expect("a file");
        is_told(&path, || fs::rename(&other, &path).expect("a rename")).await;
        is_told(&path, || fs::remove_file(&path).expect("a removal")).await;
    }

    #[tokio::test]
    async fn so_is_what_a_link_leads_to() {
        let (here, there) = (tempfile::tempdir(), tempfile::tempdir());
        let (here, there) = (here.expect("a directory"), there.expect("a directory"));
        let (link, file) = (here.path().join("mcp.json"), there.path().join("real.json"));
        fs::write(&file, "{}").expect("a file");
        symlink(&file, &link).expect("a link");
        is_told(&link, || fs::write(&file, "[]").expect("a file")).await;
        is_told(&link, || fs::remove_file(&link).expect("a removal")).await;
    }
}
