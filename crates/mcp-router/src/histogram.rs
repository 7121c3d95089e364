//! How long things took of late, in constant memory.

use std::time::Duration;

/// Buckets for each doubling. A bucket is a sixteenth wide, and its middle is told, so that what is told
/// is at most a thirty-second off.
const FINE: usize = 16;
const FINE_BITS: u32 = FINE.trailing_zeros();
/// 2^10 ns is the least that is told apart, a microsecond.
const LEAST_BITS: u32 = 10;
/// Doublings from there, to 2^42 ns, 73 minutes.
const OCTAVES: usize = 32;
const BUCKETS: usize = OCTAVES * FINE;
/// Doublings of weight after which all are divided by it, so that no sum gets out of hand.
const RESCALE: f64 = 40.0;

/// A log-linear histogram in which what is old weighs less.
///
/// Weights do not decay, newer ones are larger (Cormode, Shkapenyuk, Srivastava and Xu, "Forward
/// Decay", ICDE 2009): an observation touches two numbers, whatever there is.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    /// When a weight of 1 was new, in half-lives.
    landmark: f64,
    total: f64,
    octaves: [f32; OCTAVES],
    buckets: [f32; BUCKETS],
}

impl Histogram {
    pub(crate) fn new(now: f64) -> Self {
        Self { landmark: now, total: 0.0, octaves: [0.0; OCTAVES], buckets: [0.0; BUCKETS] }
    }

    /// `now` is in half-lives from any beginning; what comes late counts as of now.
    pub(crate) fn observe(&mut self, took: Duration, now: f64) {
        if now - self.landmark > RESCALE {
            self.rescale(now);
        }
        let weight = (now - self.landmark).max(0.0).exp2();
        let bucket = bucket_of(took);
        self.total += weight;
        self.octaves[bucket / FINE] += weight as f32;
        self.buckets[bucket] += weight as f32;
    }

    /// How many observations there are, where one that is a half-life old counts half.
    pub(crate) fn count(&self, now: f64) -> f64 {
        self.total * (self.landmark - now).min(0.0).exp2()
    }

    /// A time that this share of all did not exceed; `None` of nothing.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        // The sums are those of the octaves, which are rounded, unlike the total.
        let all: f64 = self.octaves.iter().copied().map(f64::from).sum();
        if all <= 0.0 {
            return None;
        }
        let mut rank = share.clamp(0.0, 1.0) * all;
        let mut last = None;
        for (octave, sum) in self.octaves.iter().enumerate() {
            let sum = f64::from(*sum);
            if sum > 0.0 && rank <= sum {
                let from = octave * FINE;
                for (at, weight) in self.buckets[from..from + FINE].iter().enumerate() {
                    let weight = f64::from(*weight);
                    if weight > 0.0 {
                        last = Some(from + at);
                        if rank <= weight {
                            return last.map(middle_of);
                        }
                    }
                    rank -= weight;
                }
                // Rounding left a rest: it is of the last that there is.
                return last.map(middle_of);
            }
            rank -= sum;
        }
        let last = self.buckets.iter().rposition(|weight| *weight > 0.0);
        last.map(middle_of)
    }

    #[cold]
    fn rescale(&mut self, now: f64) {
        let factor = (self.landmark - now).exp2();
        self.total *= factor;
        self.buckets.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
        for (octave, buckets) in self.octaves.iter_mut().zip(self.buckets.chunks(FINE)) {
            *octave = buckets.iter().sum();
        }
        self.landmark = now;
    }
}

fn bucket_of(took: Duration) -> usize {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let nanos = nanos.clamp(1 << LEAST_BITS, (1 << (LEAST_BITS + OCTAVES as u32)) - 1);
    let octave = nanos.ilog2() - LEAST_BITS;
    let fine = nanos >> (octave + LEAST_BITS - FINE_BITS) & (FINE as u64 - 1);
    octave as usize * FINE + fine as usize
}

fn middle_of(bucket: usize) -> Duration {
    let (octave, fine) = (bucket / FINE, bucket % FINE);
    let width = 1_u64 << (octave as u32 + LEAST_BITS - FINE_BITS);
    Duration::from_nanos(width * (FINE + fine) as u64 + width / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(nanos: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new(0.0);
        nanos.into_iter().for_each(|one| histogram.observe(Duration::from_nanos(one), 0.0));
        histogram
    }

    proptest! {
        #[test]
        fn a_quantile_is_no_further_off_than_stated(
            nanos in prop::collection::vec((10_u32..41, any::<u64>()), 1..300),
            share in 0.0..=1.0_f64,
        ) {
            let mut nanos: Vec<_> =
                nanos.iter().map(|(bits, low)| 1 << bits | low & ((1 << bits) - 1)).collect();
            let told = of(nanos.iter().copied()).quantile(share).unwrap().as_nanos() as f64;
            nanos.sort_unstable();
            let rank = (share * nanos.len() as f64).ceil().max(1.0) as usize - 1;
            let exact = nanos[rank] as f64;
            prop_assert!((told - exact).abs() <= exact / 32.0, "{told} {exact}");
        }

        #[test]
        fn quantiles_do_not_fall(
            times in prop::collection::vec((0_u64..u64::MAX, 0.0..100.0_f64), 1..100),
            one in 0.0..=1.0_f64, other in 0.0..=1.0_f64,
        ) {
            let mut histogram = Histogram::new(0.0);
            let mut now = 0.0;
            for (nanos, pause) in times {
                now += pause;
                histogram.observe(Duration::from_nanos(nanos), now);
            }
            let (low, high) = (one.min(other), one.max(other));
            prop_assert!(histogram.quantile(low).unwrap() <= histogram.quantile(high).unwrap());
        }
    }

    #[test]
    fn what_is_old_weighs_less_and_nothing_overflows() {
        let mut histogram = of([1_000_000; 100]);
        assert!((histogram.count(1.0) - 50.0).abs() < 1e-9);
        for now in 1..10_000 {
            histogram.observe(Duration::from_millis(5), f64::from(now));
        }
        assert!((1.9..2.1).contains(&histogram.count(9_999.0)), "{}", histogram.count(9_999.0));
        assert!(histogram.quantile(0.0).unwrap() > Duration::from_millis(4));
        histogram.observe(Duration::from_millis(5), 1e300);
        assert!(histogram.quantile(1.0).unwrap() > Duration::from_millis(4));
        assert_eq!(Histogram::new(0.0).quantile(0.5), None);
    }
}
