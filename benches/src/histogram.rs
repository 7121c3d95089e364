//! Latencies counted in buckets that grow with the value: constant memory, bounded error.

use std::time::Duration;

/// Buckets per doubling: a quantile is at most 1/128 (0.8 %) off.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^36 ns, 69 s; longer is counted as that.
const BITS_MAX: u32 = 36;
const BUCKETS: usize = (BITS_MAX - STEP_BITS + 1) as usize * STEPS as usize;

/// Log-linear, like an HDR histogram of two digits.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Box<[u32]>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0 }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[index(nanos)] += 1;
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
        self.count += other.count;
    }

    /// The latency that a `share` of the calls did not exceed; zero of no calls.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Duration::from_nanos(middle(index as u64));
            }
        }
        Duration::ZERO
    }
}

fn index(nanos: u64) -> usize {
    let nanos = nanos.min((1 << BITS_MAX) - 1);
    // Below STEPS the buckets are exact; above, the STEP_BITS bits behind the highest choose one.
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(shift) * STEPS + (nanos >> shift)) as usize
}

fn middle(index: u64) -> u64 {
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let low = (index - shift * STEPS) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_one_percent() {
        let mut histogram = Histogram::new();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.0, 1.0), (0.5, 5000.0), (0.99, 9900.0), (1.0, 10_000.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.01, "{share}: {found} for {micros}");
        }
    }

    #[test]
    fn every_value_falls_into_a_bucket_that_names_it() {
        for bits in 0..BITS_MAX {
            for nanos in [1u64 << bits, (1 << bits) + 1, (2 << bits) - 1] {
                let error = middle(index(nanos) as u64).abs_diff(nanos);
                assert!(error * 128 <= nanos, "{nanos} is off by {error}");
            }
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn sums_and_empties() {
        let (mut sum, mut other) = (Histogram::new(), Histogram::new());
        assert_eq!(sum.quantile(0.5), Duration::ZERO);
        other.record(Duration::from_nanos(7));
        sum.add(&other);
        assert_eq!((sum.count(), sum.quantile(0.5)), (1, Duration::from_nanos(7)));
    }
}
