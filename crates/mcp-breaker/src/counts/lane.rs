//! What threads write that must not write the same memory.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Threads share so many, in turn. Each costs two KiB a breaker with a window of time.
pub(crate) const LANES: usize = 4;

/// The lane of this thread.
#[inline]
pub(crate) fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // A thread whose locals are gone already is in its destructors, and any lane will do.
    LANE.try_with(|lane| {
        if lane.get() == usize::MAX {
            lane.set(NEXT.fetch_add(1, Relaxed));
        }
        lane.get() % LANES
    })
    .unwrap_or_default()
}

/// On a line of its own; on two, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Lane {
    last_success: AtomicU64,
    rejections: AtomicU64,
}

impl Lane {
    #[inline]
    pub(crate) fn succeeded(&self, at: u64) {
        self.last_success.store(at, Relaxed);
    }

    #[inline]
    pub(crate) fn rejected(&self) {
        self.rejections.fetch_add(1, Relaxed);
    }

    pub(crate) fn last_success(&self) -> u64 {
        self.last_success.load(Relaxed)
    }

    pub(crate) fn rejections(&self) -> u64 {
        self.rejections.load(Relaxed)
    }
}
