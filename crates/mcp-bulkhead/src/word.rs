//! How many calls are under way, and whether somebody waits: in one word, so that neither changes
//! behind the other's back.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

const WAITING: u64 = 1 << 63;

/// What came of asking for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// As many are under way as may be, or others came before.
    No,
}

#[derive(Debug, Default)]
pub(crate) struct Word(AtomicU64);

impl Word {
    pub(crate) fn in_flight(&self) -> usize {
        (self.0.load(Relaxed) & !WAITING) as usize
    }

    /// One more, unless there are `limit` of them, or somebody waits.
    #[inline]
    pub(crate) fn take(&self, limit: usize) -> Taken {
        let mut word = self.0.load(Relaxed);
        // A word in which somebody waits is larger than every limit.
        while word < limit as u64 {
            match self.0.compare_exchange_weak(word, word + 1, Acquire, Relaxed) {
                Ok(_) => return Taken::Yes,
                Err(now) => word = now,
            }
        }
        Taken::No
    }

    /// The same for whoever's turn it is.
    #[cfg(feature = "tokio")]
    pub(crate) fn take_for_waiter(&self, limit: usize) -> Taken {
        let mut word = self.0.load(Relaxed);
        while word & !WAITING < limit as u64 {
            match self.0.compare_exchange_weak(word, word + 1, Acquire, Relaxed) {
                Ok(_) => return Taken::Yes,
                Err(now) => word = now,
            }
        }
        Taken::No
    }

    /// One less; whether somebody waits.
    #[inline]
    pub(crate) fn give_back(&self) -> bool {
        self.0.fetch_sub(1, AcqRel) & WAITING != 0
    }

    /// Somebody waits, or nobody. Under the lock of the queue.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_waiting(&self, waits: bool) {
        if waits {
            self.0.fetch_or(WAITING, AcqRel);
        } else {
            self.0.fetch_and(!WAITING, AcqRel);
        }
    }
}
