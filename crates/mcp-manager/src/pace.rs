//! How many calls a server has answered lately, how many it has failed, and how long they took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What is counted goes back so many seconds, each in a place of its own.
const SECONDS: usize = 64;
/// A pace is that of so many whole seconds.
const LATELY: u64 = 10;

/// Counts a server's calls.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    seconds: [Second; SECONDS],
    answered: AtomicU64,
    failed: AtomicU64,
}

/// What happened in one second, the last one that this place was used for.
#[derive(Debug)]
struct Second {
    number: AtomicU64,
    calls: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

/// What became of a server's calls, as far as they were sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CallStats {
    /// Answered, ever. Errors of the server's are answers.
    pub answered: u64,
    /// Without an answer, ever; those that were taken back do not count.
    pub failed: u64,
    /// Calls that ended, each second of the last ten.
    pub per_second: f64,
    /// The share of these that failed; 0 to 1.
    pub error_rate: f64,
    /// What those took that were answered; `None` if none was.
    pub response_time: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        let second = || Second {
            number: AtomicU64::new(u64::MAX),
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        };
        let (answered, failed) = Default::default();
        let seconds = std::array::from_fn(|_| second());
        Self { start: Instant::now(), seconds, answered, failed }
    }
}

impl Pace {
    /// A call was answered after this time.
    pub(crate) fn answered(&self, now: Instant, took: Duration) {
        self.answered.fetch_add(1, Relaxed);
        let second = self.second(now);
        second.calls.fetch_add(1, Relaxed);
        second.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// A call has failed.
    pub(crate) fn failed(&self, now: Instant) {
        self.failed.fetch_add(1, Relaxed);
        let second = self.second(now);
        second.calls.fetch_add(1, Relaxed);
        second.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn stats(&self, now: Instant) -> CallStats {
        let this = self.number(now);
        let lately = this.saturating_sub(LATELY)..this;
        let (mut calls, mut failed, mut micros) = (0, 0, 0);
        for second in &self.seconds {
            if lately.contains(&second.number.load(Relaxed)) {
                calls += second.calls.load(Relaxed);
                failed += second.failed.load(Relaxed);
                micros += second.micros.load(Relaxed);
            }
        }
        let good = calls.saturating_sub(failed);
        CallStats {
            answered: self.answered.load(Relaxed),
            failed: self.failed.load(Relaxed),
            per_second: calls as f64 / LATELY.min(this).max(1) as f64,
            error_rate: failed as f64 / calls.max(1) as f64,
            response_time: (micros.checked_div(good)).map(Duration::from_micros),
        }
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }

    /// The place of this second. Whoever comes first empties it; what others count in that moment may
    /// be lost, which changes a figure by a call.
    fn second(&self, now: Instant) -> &Second {
        let number = self.number(now);
        let second = &self.seconds[number as usize % SECONDS];
        let before = second.number.load(Relaxed);
        if before != number
            && second.number.compare_exchange(before, number, Relaxed, Relaxed).is_ok()
        {
            second.calls.store(0, Relaxed);
            second.failed.store(0, Relaxed);
            second.micros.store(0, Relaxed);
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_that_of_the_last_ten_seconds() {
        let pace = Pace::default();
        let at = |seconds| pace.start + Duration::from_secs(seconds);
        assert_eq!(pace.stats(at(0)), CallStats::default());
        for second in 0..200 {
            for _ in 0..4 {
                pace.answered(at(second), Duration::from_millis(second));
            }
            pace.failed(at(second));
        }
        let stats = pace.stats(at(200));
        assert_eq!((stats.answered, stats.failed), (800, 200));
        assert!((stats.per_second - 5.0).abs() < 1e-9 && (stats.error_rate - 0.2).abs() < 1e-9);
        assert_eq!(stats.response_time, Some(Duration::from_micros(194_500)));
        let later = pace.stats(at(300));
        assert_eq!((later.per_second, later.response_time), (0.0, None));
    }
}
