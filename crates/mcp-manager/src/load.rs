//! How many calls are in flight at one place.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::upstream::Upstream;

/// Counts calls.
#[derive(Debug, Default)]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    idle: Notify,
}

/// A connection that a call is under way on. It is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    counted: bool,
}

impl Load {
    /// Calls that have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Resolves when there is no call.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        if self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }
}

impl Busy {
    /// `counted`: whether the call ends by itself, so that it can be waited for.
    pub(crate) fn new(upstream: Arc<Upstream>, counted: bool) -> Self {
        if counted {
            upstream.load().enter();
        }
        Self { upstream, counted }
    }
}

impl Deref for Busy {
    type Target = Arc<Upstream>;

    fn deref(&self) -> &Arc<Upstream> {
        &self.upstream
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.counted {
            self.upstream.load().leave();
        }
    }
}
