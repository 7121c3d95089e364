//! A window of time: buckets of a power of two of nanoseconds, so that no call divides.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::cell::{Cell, RING, Ring};
use super::lane::Lane;
use super::{CLASSES, Class, Past, Reading, Sums};

#[derive(Debug)]
pub(crate) struct Buckets {
    /// A bucket is `1 << shift` ns wide.
    shift: u32,
    /// The window is so many buckets, the present one among them.
    depth: u64,
    /// Buckets that were skipped. The window is emptied by a leap in time: what was counted before is
    /// older than the window then, and nobody writes what another owns.
    skipped: AtomicU64,
    /// Good calls are counted in the lanes of the threads, the others here.
    bad: [Ring; CLASSES - 1],
}

impl Buckets {
    pub(crate) fn new(window: Duration) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(RING);
        let shift = (nanos / (RING / 2)).ilog2();
        let depth = nanos.div_ceil(1 << shift).min(RING);
        Self { shift, depth, skipped: AtomicU64::new(0), bad: Default::default() }
    }

    /// Counts a good call where nobody else writes, if nothing has to be forgotten for it.
    #[inline]
    pub(crate) fn add_good(&self, at: u64, lane: &Lane) -> bool {
        let bucket = self.bucket(at);
        Cell::of(&lane.good, bucket).add_own(bucket)
    }

    pub(crate) fn add(&self, class: Class, at: u64, lane: &Lane, own: bool, past: &Past) {
        let bucket = self.bucket(at);
        let forgotten = match class {
            Class::Good => Cell::of(&lane.good, bucket).add(bucket, own),
            bad => Cell::of(&self.bad[bad as usize - 1], bucket).add(bucket, false),
        };
        if forgotten > 0 {
            past.add(class as usize, forgotten.into());
        }
    }

    pub(crate) fn read(&self, at: u64, lanes: &[Lane]) -> Reading {
        let oldest = self.bucket(at).saturating_sub(self.depth - 1);
        let (mut window, mut ever) = (Sums::default(), Sums::default());
        let good = lanes.iter().map(|lane| (Class::Good as usize, &lane.good));
        for (class, ring) in good.chain((1..).zip(&self.bad)) {
            for (slot, cell) in (0..).zip(ring) {
                let (count, recent) = cell.get(slot, oldest);
                ever[class] += count;
                window[class] += if recent { count } else { 0 };
            }
        }
        Reading { window, ever }
    }

    pub(crate) fn clear(&self) {
        self.skipped.fetch_add(RING, Relaxed);
    }

    #[inline]
    fn bucket(&self, at: u64) -> u64 {
        (at >> self.shift) + self.skipped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_window_is_as_long_as_it_says_to_an_eighth() {
        for millis in (100..20_000).step_by(37).chain([86_400_000]) {
            let buckets = Buckets::new(Duration::from_millis(millis));
            let (width, nanos) = (1 << buckets.shift, millis * 1_000_000);
            assert!((8..=RING).contains(&buckets.depth), "{buckets:?}");
            assert!(width <= nanos / 8, "{buckets:?}");
            let covered = buckets.depth * width;
            assert!((nanos..nanos + width).contains(&covered), "{millis} ms");
        }
    }

    #[test]
    fn what_is_forgotten_is_kept() {
        for (class, own) in [(Class::Good, true), (Class::Good, false), (Class::Failed, false)] {
            let (buckets, past) = (Buckets::new(Duration::from_secs(1)), Past::default());
            let lanes = [Lane::default()];
            for call in 0..100 {
                let at = call * SECOND / 10;
                buckets.add(class, at, &lanes[0], own, &past);
                let kept = past.0[class as usize].load(Relaxed);
                assert_eq!(buckets.read(at, &lanes).ever[class as usize] + kept, call + 1);
            }
            let window = buckets.read(99 * SECOND / 10, &lanes).window;
            assert!((10..=12).contains(&window[class as usize]), "{window:?}");
            assert_eq!(buckets.read(12 * SECOND, &lanes).window, Sums::default());
            buckets.add(class, 12 * SECOND, &lanes[0], own, &past);
            assert_eq!(buckets.read(12 * SECOND, &lanes).window[class as usize], 1);
            buckets.clear();
            assert_eq!(buckets.read(12 * SECOND, &lanes).window, Sums::default());
        }
    }

    #[test]
    fn what_comes_far_too_late_is_not_of_this_window() {
        let (buckets, past) = (Buckets::new(Duration::from_secs(1)), Past::default());
        let lane = Lane::default();
        for bucket in [100, 84, 99] {
            buckets.add(Class::Failed, bucket << buckets.shift, &lane, false, &past);
        }
        assert_eq!(buckets.read(100 << buckets.shift, &[lane]).window[Class::Failed as usize], 2);
        assert_eq!(past.0[Class::Failed as usize].load(Relaxed), 1);
    }
}
