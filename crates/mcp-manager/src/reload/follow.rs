//! Follows a file: sees that it changes, waits until it is quiet, has it read again.

use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::debounce::Debounce;
#[cfg(target_os = "linux")]
use super::inotify::Inotify;
use super::look::Look;
use super::reloader::Reloader;

/// Most programs that write a file are done with it within this.
const QUIET: Duration = Duration::from_millis(200);
/// A file that never comes to rest is read all the same.
const LONGEST: Duration = Duration::from_secs(2);
/// The file is looked at this often without any hint: hints do not come from network file systems,
/// nor for what is mounted over the file, nor when the kernel has none left to give.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// At most one look in this time, whatever else happens in the directory.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

impl Reloader {
    /// Reloads each time that the file changes, and never returns; or returns at once if it is no
    /// file that could change, but a pipe.
    ///
    /// The directory is watched, not the file, so files that are replaced by renaming or through
    /// links are followed as well. The file is read when it has not changed for 200 ms, or has not
    /// come to rest for 2 s.
    pub async fn follow(&self) {
        let file = self.file();
        if file.is_pipe() {
            return;
        }
        let (path, mut seen) = (file.path().to_owned(), file.seen());
        let mut debounce = Debounce::new(QUIET, LONGEST);
        let mut hints = Hints::new(&path);
        loop {
            let now = look(&path).await;
            if now != seen {
                seen = now;
                debounce.changed(Instant::now().into_std());
                hints = Hints::new(&path);
            }
            // Somebody else may have had it read since.
            if debounce.take(Instant::now().into_std()) && !self.has_read(now) {
                self.request();
            }
            sleep(LOOK_PAUSE).await;
            let due = debounce.due().map(Instant::from_std);
            tokio::select! {
                () = hints.next() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// The file system may take its time.
async fn look(path: &Path) -> Look {
    let path = path.to_owned();
    // A task that is gone without a result means that the runtime is shutting down.
    match spawn_blocking(move || Look::at(&path)).await {
        Ok(look) => look,
        Err(_) => std::future::pending().await,
    }
}

/// What tells that looking is worth the while.
#[derive(Debug)]
struct Hints {
    #[cfg(target_os = "linux")]
    inotify: Option<Inotify>,
}

#[cfg(target_os = "linux")]
impl Hints {
    fn new(path: &Path) -> Self {
        let inotify = Inotify::near(path).inspect_err(|error| {
            tracing::debug!(%error, path = %path.display(), "no hints of changes; looking instead");
        });
        Self { inotify: inotify.ok() }
    }

    /// Resolves when the file may have changed; without a source of hints, never.
    async fn next(&mut self) {
        if let Some(inotify) = &self.inotify
            && inotify.happened().await.is_ok()
        {
            return;
        }
        self.inotify = None;
        std::future::pending().await
    }
}

#[cfg(not(target_os = "linux"))]
impl Hints {
    fn new(_: &Path) -> Self {
        Self {}
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}
