//! The calls of one bucket of time, in one word.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A window needs eight to sixteen of these buckets.
pub(crate) const RING: u64 = 16;

/// The buckets that there are, used again in turn.
pub(crate) type Ring = [Cell; RING as usize];

/// In the upper half of the word the lap of the ring in which it was counted, from 1 on, in the lower
/// half the count. Whoever comes with a later lap takes the old count out and begins with a new one, in
/// the same write as that of a plain increment.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// The one of a ring in which calls of this bucket are counted.
    #[inline]
    pub(crate) fn of(ring: &Ring, bucket: u64) -> &Self {
        &ring[(bucket % RING) as usize]
    }

    /// Counts one where nobody else writes, if nothing has to be forgotten for it.
    #[inline]
    pub(crate) fn add_own(&self, bucket: u64) -> bool {
        let word = self.0.load(Relaxed);
        let fits = word.wrapping_sub(u64::from(lap(bucket)) << 32) < u32::MAX.into();
        if fits {
            self.0.store(word + 1, Relaxed);
        }
        fits
    }

    /// Counts one, and says how many are forgotten for it: those of the lap before, or this one.
    pub(crate) fn add(&self, bucket: u64, own: bool) -> u32 {
        let lap = lap(bucket);
        let mut word = self.0.load(Relaxed);
        loop {
            let (new, forgotten) = step(word, lap);
            if own {
                self.0.store(new, Relaxed);
                return forgotten;
            }
            match self.0.compare_exchange_weak(word, new, Relaxed, Relaxed) {
                Ok(_) => return forgotten,
                Err(other) => word = other,
            }
        }
    }

    /// What is counted here, and whether it is of this bucket or a later one.
    pub(crate) fn get(&self, slot: u64, oldest: u64) -> (u64, bool) {
        let word = self.0.load(Relaxed);
        let bucket = (word >> 32).saturating_sub(1) * RING + slot;
        (u64::from(word as u32), bucket >= oldest)
    }
}

/// One more, or the first of a new lap.
fn step(word: u64, lap: u32) -> (u64, u32) {
    let (last, count) = ((word >> 32) as u32, word as u32);
    if last == lap && count < u32::MAX {
        (word + 1, 0)
    } else if last < lap {
        (u64::from(lap) << 32 | 1, count)
    } else {
        // Full, or told so late that it is out of the window already.
        (word, 1)
    }
}

/// 32 bits of laps are 14 years of the shortest window.
#[inline]
fn lap(bucket: u64) -> u32 {
    (bucket / RING) as u32 + 1
}

/// Adds one.
#[inline]
pub(crate) fn add(counter: &AtomicU64, own: bool) {
    if own {
        counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
    } else {
        counter.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_one_forgets_and_a_late_call_does_not_disturb() {
        for own in [false, true] {
            let cell = Cell(AtomicU64::new(5 << 32 | u64::from(u32::MAX)));
            assert!(!cell.add_own(4 * RING));
            assert_eq!(cell.add(4 * RING, own), 1);
            assert_eq!(cell.get(0, 4 * RING), (u32::MAX.into(), true));
            assert_eq!(cell.add(3 * RING, own), 1);
            assert_eq!(cell.add(5 * RING, own), u32::MAX);
            assert_eq!(cell.get(0, 5 * RING), (1, true));
            assert_eq!(cell.get(0, 5 * RING + 1), (1, false));
            assert!(!cell.add_own(6 * RING) && !cell.add_own(4 * RING));
            assert!(cell.add_own(5 * RING));
            assert_eq!(cell.get(0, 5 * RING), (2, true));
        }
    }
}
