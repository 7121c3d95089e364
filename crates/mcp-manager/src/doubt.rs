//! A server that could not be reached: how long calls wait for it, and who hears that it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long calls wait for a server that answered before and cannot be reached now. A restart takes
/// seconds; later calls are told at once that it is down.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// Whether, and since when, a server cannot be reached.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// Whether there is one, for those who have no time to ask since when.
    any: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Doubt {
    /// The server was not reached.
    pub(crate) fn raise(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now);
        self.any.store(true, Ordering::Relaxed);
    }

    /// The server has answered; whether that is news. Costs nothing where it is none.
    pub(crate) fn settle(&self) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Relaxed);
        since.take().is_some()
    }

    /// Whether calls wait for the server to come back.
    pub(crate) fn waits(&self) -> bool {
        self.until().is_some()
    }

    /// How long calls wait for the server to come back, if they do.
    pub(crate) fn until(&self) -> Option<Instant> {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let until = since.map(|since| since + WAIT);
        until.filter(|until| Instant::now() < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_is_waited_for_once_until_it_has_answered() {
        let doubt = Doubt::default();
        assert!(!doubt.waits() && !doubt.settle());
        doubt.raise();
        assert!(doubt.waits());
        tokio::time::advance(WAIT).await;
        doubt.raise();
        assert!(!doubt.waits(), "another failure gives it no more time");
        assert!(doubt.settle() && !doubt.settle());
        doubt.raise();
        assert!(doubt.waits());
    }
}
