//! How many results of the last while were bad: counts in slots that are used again.

use std::time::{Duration, Instant};

/// A result is forgotten between 7/8 and one whole window after it came.
const SLOTS: usize = 8;

/// Counts over a window of time, in constant memory.
#[derive(Debug)]
pub(crate) struct Window {
    slot: Duration,
    /// When the current slot began.
    began: Instant,
    current: usize,
    slots: [Counts; SLOTS],
    total: Counts,
}

/// Results, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: u64,
    pub(crate) bad: u64,
}

impl Window {
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        let slot = (length / SLOTS as u32).max(Duration::from_nanos(1));
        let slots = [Counts::default(); SLOTS];
        Self { slot, began: now, current: 0, slots, total: Counts::default() }
    }

    pub(crate) fn add(&mut self, counts: Counts, now: Instant) {
        self.advance(now);
        for sum in [&mut self.slots[self.current], &mut self.total] {
            sum.all = sum.all.saturating_add(counts.all);
            sum.bad = sum.bad.saturating_add(counts.bad);
        }
    }

    /// What is in the window now.
    pub(crate) fn counts(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.total
    }

    pub(crate) fn clear(&mut self, now: Instant) {
        *self = Self { slot: self.slot, ..Self::new(self.slot, now) };
    }

    /// A clock that went back changes nothing.
    fn advance(&mut self, now: Instant) {
        let mut steps = 0;
        while now.saturating_duration_since(self.began) >= self.slot && steps < SLOTS {
            steps += 1;
            self.began += self.slot;
            self.current = (self.current + 1) % SLOTS;
            let gone = std::mem::take(&mut self.slots[self.current]);
            self.total.all = self.total.all.saturating_sub(gone.all);
            self.total.bad = self.total.bad.saturating_sub(gone.bad);
        }
        if steps == SLOTS {
            // Everything is forgotten; where the slots lie is nobody's business.
            self.began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some point in time to begin at")]
    fn what_is_old_is_forgotten_slot_by_slot() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(Duration::from_secs(8), start);
        window.add(Counts { all: 3, bad: 1 }, at(0));
        window.add(Counts { all: 2, bad: 2 }, at(4));
        assert_eq!(window.counts(at(7)), Counts { all: 5, bad: 3 });
        assert_eq!(window.counts(at(8)), Counts { all: 2, bad: 2 });
        assert_eq!(window.counts(at(5)), Counts { all: 2, bad: 2 }, "time does not go back");
        assert_eq!(window.counts(at(12)), Counts::default());
        window.add(Counts { all: 1, bad: 0 }, at(1000));
        assert_eq!(window.counts(at(1007)), Counts { all: 1, bad: 0 });
        window.clear(at(1007));
        assert_eq!(window.counts(at(1007)), Counts::default());
    }
}
