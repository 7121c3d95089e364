//! A window of time: a ring of buckets, each of a power of two of nanoseconds, so that no call divides.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::lane::LANES;
use super::{CLASSES, Class, Past, Reading, Sums};

/// Of these the window needs eight to sixteen.
const RING: u64 = 16;

#[derive(Debug)]
pub(crate) struct Buckets {
    /// A bucket is `1 << shift` ns wide.
    shift: u32,
    /// The window is so many buckets, the present one among them.
    depth: u64,
    lanes: Box<[Ring; LANES]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Ring([[Cell; CLASSES]; RING as usize]);

/// In the upper half of the word the lap of the ring in which it was counted, from 1 on, in the lower
/// half the count. Whoever comes with a later lap takes the old count out and begins with a new one, in
/// the same exchange as that of a plain increment.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Buckets {
    pub(crate) fn new(window: Duration) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(RING);
        let shift = (nanos / (RING / 2)).ilog2();
        let depth = nanos.div_ceil(1 << shift).min(RING);
        Self { shift, depth, lanes: Box::default() }
    }

    #[inline]
    pub(crate) fn add(&self, lane: usize, class: Class, at: u64, past: &Past) {
        let bucket = at >> self.shift;
        let class = class as usize;
        let cell = &self.lanes[lane].0[(bucket % RING) as usize][class];
        let forgotten = cell.add(lap(bucket));
        if forgotten > 0 {
            past.add(class, forgotten.into());
        }
    }

    pub(crate) fn read(&self, at: u64) -> Reading {
        let oldest = (at >> self.shift).saturating_sub(self.depth - 1);
        let (mut window, mut ever) = (Sums::default(), Sums::default());
        for ring in self.lanes.iter() {
            for (slot, cells) in (0..).zip(&ring.0) {
                for (class, cell) in cells.iter().enumerate() {
                    let (lap, count) = cell.get();
                    if count > 0 {
                        ever[class] += u64::from(count);
                        let bucket = u64::from(lap - 1) * RING + slot;
                        window[class] += if bucket >= oldest { u64::from(count) } else { 0 };
                    }
                }
            }
        }
        Reading { window, ever }
    }

    pub(crate) fn clear(&self, past: &Past) {
        for cells in self.lanes.iter().flat_map(|ring| &ring.0) {
            for (class, cell) in cells.iter().enumerate() {
                past.add(class, cell.take().into());
            }
        }
    }
}

/// 32 bits of laps are 14 years of the shortest window.
fn lap(bucket: u64) -> u32 {
    (bucket / RING) as u32 + 1
}

impl Cell {
    /// Counts one, and says how many the window has to forget for it.
    #[inline]
    fn add(&self, lap: u32) -> u32 {
        let mut word = self.0.load(Relaxed);
        loop {
            let (last, count) = split(word);
            let (new, forgotten) = match last.cmp(&lap) {
                std::cmp::Ordering::Equal if count < u32::MAX => (word + 1, 0),
                std::cmp::Ordering::Less => (u64::from(lap) << 32 | 1, count),
                // Full, or told so late that it is out of the window already.
                _ => return 1,
            };
            match self.0.compare_exchange_weak(word, new, Relaxed, Relaxed) {
                Ok(_) => return forgotten,
                Err(other) => word = other,
            }
        }
    }

    fn get(&self) -> (u32, u32) {
        split(self.0.load(Relaxed))
    }

    fn take(&self) -> u32 {
        split(self.0.swap(0, Relaxed)).1
    }
}

fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
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
        let (buckets, past) = (Buckets::new(Duration::from_secs(1)), Past::default());
        for at in 0..100 {
            buckets.add(0, Class::Good, at * SECOND / 10, &past);
            let reading = buckets.read(at * SECOND / 10);
            let kept = past.0[Class::Good as usize].load(Relaxed);
            assert_eq!(reading.ever[Class::Good as usize] + kept, at + 1);
        }
        assert!((10..=12).contains(&buckets.read(99 * SECOND / 10).window[0]));
        assert_eq!(buckets.read(12 * SECOND).window, Sums::default());
    }

    #[test]
    fn what_comes_far_too_late_is_not_of_this_window() {
        let (buckets, past) = (Buckets::new(Duration::from_secs(1)), Past::default());
        buckets.add(0, Class::Failed, 100 << buckets.shift, &past);
        buckets.add(0, Class::Failed, 84 << buckets.shift, &past);
        buckets.add(0, Class::Failed, 99 << buckets.shift, &past);
        assert_eq!(buckets.read(100 << buckets.shift).window[Class::Failed as usize], 2);
        assert_eq!(past.0[Class::Failed as usize].load(Relaxed), 1);
    }
}
