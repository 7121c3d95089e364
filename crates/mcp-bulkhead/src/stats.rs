//! What a bulkhead has counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a bulkhead has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that wait.
    pub queued: usize,
    /// Calls that may be under way at a time.
    pub limit: usize,
    /// Calls that had to wait and then went on.
    pub waited: u64,
    /// Calls that would have waited, and were refused because too many did.
    pub refused: u64,
    /// Calls that waited for too long.
    pub timed_out: u64,
    /// Calls whose turn came when they were stale.
    pub stale: u64,
    /// The longest that a call has waited and then went on.
    pub longest_wait: Duration,
}

/// Counters of what does not happen to every call.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    waited: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
    stale: AtomicU64,
    longest: AtomicU64,
}

impl Counters {
    #[cfg(feature = "tokio")]
    pub(crate) fn waited(&self, time: Duration) {
        self.waited.fetch_add(1, Relaxed);
        self.longest.fetch_max(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn timed_out(&self) {
        self.timed_out.fetch_add(1, Relaxed);
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn stale(&self) {
        self.stale.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            waited: self.waited.load(Relaxed),
            refused: self.refused.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            stale: self.stale.load(Relaxed),
            longest_wait: Duration::from_nanos(self.longest.load(Relaxed)),
            ..Stats::default()
        }
    }
}
