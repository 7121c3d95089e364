//! Last messages that nobody waits for: cancellations, and the ends of sessions.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts those that are under way, so that a process which is about to end can let them go first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Farewells {
    count: Arc<watch::Sender<usize>>,
}

/// One that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Farewell {
    count: Arc<watch::Sender<usize>>,
}

impl Farewells {
    /// Does `last` in the background, if there is a runtime to do it.
    pub(crate) fn say(&self, last: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        self.count.send_modify(|count| *count += 1);
        let farewell = Farewell { count: Arc::clone(&self.count) };
        runtime.spawn(async move {
            last.await;
            drop(farewell);
        });
    }

    /// Resolves when none is under way.
    pub(crate) async fn said(&self) {
        // The sender is ours, so waiting cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.count.send_modify(|count| *count -= 1);
    }
}
