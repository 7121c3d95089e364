//! How surprising a silence is: the phi accrual failure detector.
//!
//! Hayashibara, Défago, Yared, Katayama: "The φ Accrual Failure Detector", SRDS 2004. The tail of the
//! normal distribution is approximated by a logistic function, as in Akka; see
//! [`PhiAccrual::phi`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How heartbeats are judged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PhiConfig {
    /// Intervals that are remembered. Default: 100; at least 2 are. More adapt more slowly.
    pub intervals_max: usize,
    /// The least standard deviation: very regular heartbeats must not make the first late one a
    /// catastrophe. Default: 100 ms.
    pub deviation_min: Duration,
    /// How late a heartbeat may be on top of what is usual, such as for a pause of a garbage
    /// collector. Default: none.
    pub pause: Duration,
    /// What the first interval is taken to be, with a quarter of it as deviation. Default: 1 s.
    pub first: Duration,
}

impl Default for PhiConfig {
    fn default() -> Self {
        Self {
            intervals_max: 100,
            deviation_min: Duration::from_millis(100),
            pause: Duration::ZERO,
            first: Duration::from_secs(1),
        }
    }
}

/// Hears heartbeats, and says of a silence how unlikely it is.
///
/// ```
/// # #![allow(clippy::disallowed_methods)]
/// use std::time::{Duration, Instant};
/// use mcp_health::{PhiAccrual, PhiConfig};
///
/// let mut now = Instant::now();
/// let mut detector = PhiAccrual::new(PhiConfig::default());
/// for _ in 0..20 {
///     detector.heartbeat(now);
///     now += Duration::from_secs(1);
/// }
/// assert!(detector.phi(now) < 1.0);
/// assert!(detector.phi(now + Duration::from_secs(1)) > 8.0);
/// ```
#[derive(Clone, Debug)]
pub struct PhiAccrual {
    config: PhiConfig,
    /// In seconds.
    intervals: VecDeque<f64>,
    last: Option<Instant>,
}

impl PhiAccrual {
    /// One that has heard nothing yet.
    pub fn new(config: PhiConfig) -> Self {
        Self { config, intervals: VecDeque::new(), last: None }
    }

    /// A heartbeat arrived.
    pub fn heartbeat(&mut self, now: Instant) {
        match self.last {
            None => {
                // Two intervals that have the wanted mean and deviation.
                let (mean, deviation) = (self.config.first.as_secs_f64(), self.first_deviation());
                self.remember(mean - deviation);
                self.remember(mean + deviation);
            }
            Some(last) => self.remember(now.saturating_duration_since(last).as_secs_f64()),
        }
        self.last = Some(self.last.map_or(now, |last| last.max(now)));
    }

    /// The suspicion: a silence as long as this, or longer, has the probability 10^-phi. 0 before the
    /// first heartbeat. Always finite, and never less a moment later.
    ///
    /// With the share `1 / (1 + e^x)` for the tail of the distribution, where
    /// `x = y (1.5976 + 0.070566 y²)` and `y` is the distance from the mean in standard deviations.
    pub fn phi(&self, now: Instant) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let silence = now.saturating_duration_since(last).as_secs_f64();
        let (mean, deviation) = self.usual();
        let y = (silence - mean - self.config.pause.as_secs_f64()) / deviation;
        let x = y * (1.5976 + 0.070_566 * y * y);
        // log10(1 + e^x), which for a large x is x itself: the power would overflow.
        let natural = if x > 30.0 { x } else { x.exp().ln_1p() };
        natural / std::f64::consts::LN_10
    }

    /// Whether the suspicion is at least `threshold`; 8 is a mistake in 10^8 heartbeats.
    pub fn suspects(&self, threshold: f64, now: Instant) -> bool {
        self.phi(now) >= threshold
    }

    /// The mean and the standard deviation of the intervals, in seconds.
    fn usual(&self) -> (f64, f64) {
        let count = self.intervals.len().max(1) as f64;
        let mean = self.intervals.iter().sum::<f64>() / count;
        // Computed anew each time: running sums lose digits over days.
        let variance =
            self.intervals.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>() / count;
        let least = self.config.deviation_min.as_secs_f64().max(1e-9);
        (mean, variance.sqrt().max(least))
    }

    fn first_deviation(&self) -> f64 {
        self.config.first.as_secs_f64() / 4.0
    }

    fn remember(&mut self, interval: f64) {
        self.intervals.push_back(interval);
        while self.intervals.len() > self.config.intervals_max.max(2) {
            self.intervals.pop_front();
        }
    }
}
