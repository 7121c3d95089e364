//! What every thread writes for itself, so that no two write the same memory.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::cell::{Ring, add};

/// So many threads at a time have a lane to themselves: a plain write is enough there.
const OWN: usize = 8;
/// All others share these.
const SHARED: usize = 4;

pub(crate) const LANES: usize = OWN + SHARED;

/// On lines of its own; by two, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Lane {
    pub(crate) good: Ring,
    last_success: AtomicU64,
    rejections: AtomicU64,
}

/// Where a thread writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) lane: usize,
    /// Nobody else writes there, until this thread ends.
    pub(crate) own: bool,
}

/// The numbers of living threads that have counted something, a bit each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The number of a thread: the smallest that was free.
struct Number(usize);

impl Number {
    fn take() -> Self {
        // What its last owner wrote in his lane has to be seen: that is what acquire is for.
        let lowest = |taken: u64| taken.checked_add(1).map(|next| taken | next);
        match TAKEN.fetch_update(Acquire, Relaxed, lowest) {
            Ok(taken) => Self(taken.trailing_ones() as usize),
            Err(_) => Self(u64::BITS as usize),
        }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if self.0 < u64::BITS as usize {
            TAKEN.fetch_and(!(1 << self.0), Release);
        }
    }
}

impl Place {
    /// That of this thread.
    #[inline]
    pub(crate) fn here() -> Self {
        thread_local! {
            static NUMBER: Number = Number::take();
        }
        // A thread whose locals are gone already shares for the rest of its life.
        match NUMBER.try_with(|number| number.0) {
            Ok(lane) if lane < OWN => Self { lane, own: true },
            Ok(number) => Self { lane: OWN + number % SHARED, own: false },
            Err(_) => Self { lane: OWN, own: false },
        }
    }
}

impl Lane {
    #[inline]
    pub(crate) fn succeeded(&self, at: u64) {
        self.last_success.store(at, Relaxed);
    }

    #[inline]
    pub(crate) fn rejected(&self, own: bool) {
        add(&self.rejections, own);
    }

    pub(crate) fn last_success(&self) -> u64 {
        self.last_success.load(Relaxed)
    }

    pub(crate) fn rejections(&self) -> u64 {
        self.rejections.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_own_the_same_lane() {
        let barrier = std::sync::Barrier::new(40);
        let here = || {
            let place = Place::here();
            // None ends, and gives its number back, before all have theirs.
            barrier.wait();
            place
        };
        let places: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..40).map(|_| scope.spawn(here)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for place in &places {
            assert!(place.lane < LANES);
            let there = places.iter().filter(|other| other.lane == place.lane).count();
            assert!(!place.own || there == 1, "{places:?}");
        }
        // Forty more, one after the other, find the same numbers again.
        for _ in 0..40 {
            std::thread::spawn(|| assert!(Place::here().lane < LANES)).join().unwrap();
        }
        let taken = TAKEN.load(Relaxed).count_ones();
        assert!(taken <= 40, "{taken} numbers are still taken");
    }
}
