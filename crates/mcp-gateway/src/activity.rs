//! Whether a connection is doing something for its client, and since when it is not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::body::Next;

/// What one connection is doing.
///
/// A connection that carries no request is waiting for the head of one. However slowly that comes,
/// the wait began when the last answer had been given, and that is what is bounded: a client gains
/// nothing by sending a byte now and then.
pub(crate) struct Activity {
    state: Mutex<State>,
}

struct State {
    requests: usize,
    waiting_since: Instant,
    /// What follows the requests, once the connection has been taken over.
    next: Option<Next>,
}

/// A request that is being answered, until this is dropped.
pub(crate) struct Busy(Arc<Activity>);

impl Activity {
    pub(crate) fn new() -> Self {
        let state = State { requests: 0, waiting_since: Instant::now(), next: None };
        Self { state: Mutex::new(state) }
    }

    pub(crate) fn begin(activity: &Arc<Self>) -> Busy {
        activity.lock().requests += 1;
        Busy(Arc::clone(activity))
    }

    /// Whether the connection has waited for a request for as long as `limit`.
    pub(crate) fn is_silent_for(&self, limit: Duration) -> bool {
        let state = self.lock();
        state.requests == 0 && state.waiting_since.elapsed() >= limit
    }

    /// What the connection is to be used for, now that HTTP is over on it.
    pub(crate) fn take_next(&self) -> Option<Next> {
        self.lock().next.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// The connection is taken over, and from now on busy with `next`.
    pub(crate) fn take_over(&self, next: Next) {
        let mut state = self.0.lock();
        state.requests += 1;
        state.next = Some(next);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests -= 1;
        state.waiting_since = Instant::now();
    }
}
