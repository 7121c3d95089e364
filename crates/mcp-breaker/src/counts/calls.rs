//! A window of calls: a ring with one byte for each of the last so many.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};

use super::{CLASSES, Class, Past, Reading, Sums};

/// Good calls are what the others leave: where all goes well, one number is written.
const GOOD: usize = Class::Good as usize;

#[derive(Debug)]
pub(crate) struct LastCalls {
    /// Calls so far.
    head: AtomicU64,
    /// Those of them that were not good.
    bad: AtomicU64,
    /// The calls before the ring was last emptied.
    base: AtomicU64,
    /// Calls of each class in the ring. Below 0 for a moment when two threads overtake each other.
    sums: [AtomicI64; CLASSES],
    ring: Box<[AtomicU8]>,
}

impl LastCalls {
    pub(crate) fn new(calls: u32) -> Self {
        Self {
            head: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            base: AtomicU64::new(0),
            sums: Default::default(),
            ring: (0..calls.max(1)).map(|_| AtomicU8::new(GOOD as u8)).collect(),
        }
    }

    #[inline]
    pub(crate) fn add(&self, class: Class, past: &Past) {
        let call = self.head.fetch_add(1, Relaxed);
        let slot = &self.ring[(call % self.ring.len() as u64) as usize];
        if class != Class::Good || slot.load(Relaxed) != GOOD as u8 {
            self.replace(slot, class, past);
        }
    }

    #[cold]
    fn replace(&self, slot: &AtomicU8, class: Class, past: &Past) {
        if class != Class::Good {
            self.bad.fetch_add(1, Relaxed);
            self.sums[class as usize].fetch_add(1, Relaxed);
        }
        self.forget(slot, class, past);
    }

    /// Puts another call in the place of this one.
    fn forget(&self, slot: &AtomicU8, class: Class, past: &Past) {
        let old = usize::from(slot.swap(class as u8, Relaxed)) % CLASSES;
        if old != GOOD {
            self.sums[old].fetch_sub(1, Relaxed);
            past.add(old, 1);
        }
    }

    pub(crate) fn read(&self) -> Reading {
        let head = self.head.load(Relaxed);
        let mut window = Sums::default();
        for (class, sum) in self.sums.iter().enumerate() {
            window[class] = sum.load(Relaxed).max(0) as u64;
        }
        let mut ever = window;
        let bad: u64 = window.iter().sum();
        let filled = head.saturating_sub(self.base.load(Relaxed)).min(self.ring.len() as u64);
        window[GOOD] = filled.saturating_sub(bad);
        ever[GOOD] = head.saturating_sub(self.bad.load(Relaxed));
        Reading { window, ever }
    }

    pub(crate) fn clear(&self, past: &Past) {
        self.base.store(self.head.load(Relaxed), Relaxed);
        for slot in &self.ring {
            self.forget(slot, Class::Good, past);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_count_and_the_rest_is_kept() {
        let (calls, past) = (LastCalls::new(3), Past::default());
        let classes = [Class::Failed, Class::Good, Class::Slow, Class::Failed, Class::Good];
        let windows = [[0, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]];
        for (class, window) in classes.into_iter().zip(windows) {
            calls.add(class, &past);
            assert_eq!(calls.read().window, window);
        }
        calls.clear(&past);
        assert_eq!(calls.read().window, Sums::default());
        assert_eq!(calls.read().ever, [2, 0, 0, 0]);
        assert_eq!(past.0.map(AtomicU64::into_inner), [0, 1, 2, 0]);
    }
}
