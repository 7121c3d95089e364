//! Calls in flight, and the last messages that nobody waits for: cancellations, and the ends of
//! sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts what is under way, so that a process which is about to end can let it go first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Farewells {
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    under_way: AtomicUsize,
    none: Notify,
}

/// Something that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Farewell {
    count: Arc<Count>,
}

impl Farewells {
    /// Something begins that may have a last message to send.
    pub(crate) fn begin(&self) -> Farewell {
        self.count.under_way.fetch_add(1, Ordering::AcqRel);
        Farewell { count: Arc::clone(&self.count) }
    }

    /// Says what is `last` in the background, if there is a runtime to do it.
    pub(crate) fn say(&self, last: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let farewell = self.begin();
        runtime.spawn(async move {
            last.await;
            drop(farewell);
        });
    }

    /// Resolves when nothing is under way.
    pub(crate) async fn said(&self) {
        loop {
            let none = self.count.none.notified();
            tokio::pin!(none);
            none.as_mut().enable();
            if self.count.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if self.count.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.count.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_can_wait_for_what_is_under_way() {
        let farewells = Farewells::default();
        farewells.said().await;
        let call = farewells.begin();
        farewells.say(tokio::time::sleep(std::time::Duration::from_secs(1)));
        let limit = std::time::Duration::from_secs(2);
        assert!(tokio::time::timeout(limit, farewells.said()).await.is_err(), "the call goes on");
        drop(call);
        farewells.said().await;
    }
}
