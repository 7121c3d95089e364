//! What a connection has seen, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of one connection's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that came in and were understood.
    pub received: u64,
    /// What came in and was no message: not JSON, not JSON-RPC, over a limit.
    pub malformed: u64,
    /// Answers and notifications that fit no call: unknown, late, or sent twice.
    pub stray: u64,
    /// Messages that belonged to no call and found the inbox full or gone.
    pub dropped: u64,
    /// Calls ended because their caller did not read.
    pub slow_callers: u64,
    /// Calls waiting for an answer now.
    pub in_flight: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) stray: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) slow_callers: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, in_flight: usize) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            received: read(&self.received),
            malformed: read(&self.malformed),
            stray: read(&self.stray),
            dropped: read(&self.dropped),
            slow_callers: read(&self.slow_callers),
            in_flight: in_flight as u64,
        }
    }
}
