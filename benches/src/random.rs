//! Numbers that look drawn and are the same in every run (splitmix64).

use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// One of `0..count`; zero of none.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// From one arrival to the next, where nobody knows of the others: a Poisson process.
    pub(crate) fn gap(&mut self, per_second: f64) -> Duration {
        // 53 bits, the middle of each step: never 0, never 1.
        let share = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-share.ln() / per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_their_mean_and_vary() {
        let mut random = Random::seeded(7);
        let gaps: Vec<_> = (0..10_000).map(|_| random.gap(100.0).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean - 0.01).abs() < 0.000_5, "{mean}");
        // Of an exponential distribution 1/e lies above the mean.
        let above = gaps.iter().filter(|gap| **gap > mean).count();
        assert!((3_500..3_850).contains(&above), "{above}");
    }

    #[test]
    fn every_one_is_drawn() {
        let mut random = Random::seeded(7);
        let mut drawn = [0; 4];
        (0..400).for_each(|_| drawn[random.below(4)] += 1);
        assert!(drawn.iter().all(|count| (60..140).contains(count)), "{drawn:?}");
        assert_eq!(random.below(0), 0);
    }
}
