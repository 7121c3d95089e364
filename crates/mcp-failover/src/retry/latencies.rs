//! How long calls take, in constant memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Steps between one power of two and the next: a bucket is an eighth wide.
const STEPS: u64 = 8;
/// Microseconds up to 2^32, which is more than an hour.
const BUCKETS: usize = 30 * STEPS as usize + STEPS as usize;
/// After so many the weight of what is old is halved.
const HALVED_AT: u64 = 4096;
/// How many latencies are recorded from one look at all of them to the next.
const LOOK_EVERY: u64 = 64;

/// The median and one percentile of latencies, of which later ones count for more.
///
/// A histogram with buckets that grow (an eighth of their value wide), halved now and then. To
/// record costs an addition or two; to read costs a load.
#[derive(Debug)]
pub struct Latencies {
    percentile: f64,
    buckets: [AtomicU32; BUCKETS],
    recorded: AtomicU64,
    /// What the last look found, in microseconds.
    median: AtomicU64,
    tail: AtomicU64,
}

impl Latencies {
    /// None known yet. `percentile` is from 0 to 1.
    pub fn new(percentile: f64) -> Self {
        Self {
            percentile: percentile.clamp(0.0, 1.0),
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            recorded: AtomicU64::new(0),
            median: AtomicU64::new(0),
            tail: AtomicU64::new(0),
        }
    }

    /// A call took so long, or was given up after so long.
    pub fn record(&self, latency: Duration) {
        self.buckets[bucket(latency)].fetch_add(1, Relaxed);
        let recorded = self.recorded.fetch_add(1, Relaxed) + 1;
        if recorded.is_multiple_of(LOOK_EVERY) || recorded < LOOK_EVERY {
            self.look(recorded.is_multiple_of(HALVED_AT));
        }
    }

    /// How long half of the calls take, as of the last look; zero before the first.
    pub fn median(&self) -> Duration {
        Duration::from_micros(self.median.load(Relaxed))
    }

    /// The percentile, if at least `samples_min` are known.
    pub fn tail(&self, samples_min: u32) -> Option<Duration> {
        let known = self.recorded.load(Relaxed) >= u64::from(samples_min);
        known.then(|| Duration::from_micros(self.tail.load(Relaxed)))
    }

    #[cold]
    fn look(&self, halves: bool) {
        let mut counts = [0; BUCKETS];
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            if halves {
                let _ = bucket.fetch_update(Relaxed, Relaxed, |count| Some(count - count / 2));
            }
            *count = bucket.load(Relaxed);
        }
        self.median.store(at(&counts, 0.5), Relaxed);
        self.tail.store(at(&counts, self.percentile), Relaxed);
    }
}

/// The upper end of the bucket below whose end lies `share` of all.
fn at(counts: &[u32; BUCKETS], share: f64) -> u64 {
    let all: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let wanted = (all as f64 * share).ceil() as u64;
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += u64::from(*count);
        seen >= wanted.max(1)
    });
    found.map_or(0, end)
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if micros < STEPS {
        return micros as usize;
    }
    // The three bits below the highest say which eighth.
    let power = u64::from(micros.ilog2());
    let eighth = (micros >> (power - 3)) & (STEPS - 1);
    (((power - 2) * STEPS + eighth) as usize).min(BUCKETS - 1)
}

/// The first microsecond after a bucket.
fn end(bucket: usize) -> u64 {
    let next = bucket as u64 + 1;
    if next < STEPS { next } else { (STEPS + next % STEPS) << (next / STEPS - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_lies_below_the_end_of_its_bucket_and_not_far() {
        let mut micros = 1_u64;
        while micros < 1 << 32 {
            for micros in [micros - 1, micros, micros + micros / 3] {
                let end = end(bucket(Duration::from_micros(micros)));
                assert!(end > micros && end <= micros + micros / 8 + 1, "{micros}: {end}");
            }
            micros *= 2;
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let latencies = Latencies::new(0.95);
        let near = |micros: u64, found: Option<Duration>| {
            let found = found.expect("enough samples").as_micros() as u64;
            assert!(found > micros && found <= micros + micros / 8 + 1, "{micros}: {found}");
        };
        assert_eq!(latencies.tail(1), None);
        for micros in 1..=10_000 {
            latencies.record(Duration::from_micros(micros * 10));
        }
        latencies.record(Duration::MAX);
        for _ in 0..20_000 {
            latencies.record(Duration::from_micros(500));
        }
        near(500, latencies.tail(100));
        near(500, Some(latencies.median()));
    }
}
