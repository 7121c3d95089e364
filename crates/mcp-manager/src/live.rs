//! How many processes are alive, so that a shutdown can wait for the last of them; and that there is
//! one, so that no further one is started.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts guards.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    count: Arc<watch::Sender<usize>>,
    stopping: Arc<watch::Sender<bool>>,
}

/// Something that lives.
#[derive(Debug)]
pub(crate) struct LiveGuard {
    count: Arc<watch::Sender<usize>>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { count: Arc::default(), stopping: Arc::default() }
    }

    pub(crate) fn guard(&self) -> LiveGuard {
        self.count.send_modify(|count| *count += 1);
        LiveGuard { count: Arc::clone(&self.count) }
    }

    /// Says that the shutdown has begun.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves when the shutdown has begun.
    pub(crate) async fn stopping(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Resolves when nothing lives any more.
    pub(crate) async fn none_left(&self) {
        // The sender is ours, so waiting cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.count.send_modify(|count| *count -= 1);
    }
}
