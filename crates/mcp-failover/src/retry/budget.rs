//! How many retries all calls together may make.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::ConfigError;
use crate::config_error::require;

/// What a [`Budget`] earns and keeps.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that
/// refuses a meaningless one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Retries that a call earns. Default: 0.2, as Finagle and Linkerd; 0 to 1. It is the share of load
    /// that retries may add when everything fails.
    pub ratio: f64,
    /// Retries that a second earns. Default: 10, as both. Who calls rarely may still repeat; too much
    /// of it, times the number of managers, is what a server that struggles has to bear.
    pub min_per_sec: u32,
    /// Retries that can be saved up. Default: 100. So many calls that are in flight at a server when it
    /// dies can all be repeated; more is a larger burst at those that are left.
    pub burst: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_sec: 10, burst: 100 }
    }
}

impl BudgetConfig {
    /// Refuses what means nothing, by the name of the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        require((0.0..=1.0).contains(&self.ratio), "ratio", "0 to 1")?;
        require(self.min_per_sec <= MOST, "min_per_sec", "at most 1,000,000")?;
        require((1..=MOST).contains(&self.burst), "burst", "1 to 1,000,000")
    }
}

const MOST: u32 = 1_000_000;
/// A retry in the unit that is counted in. A microsecond earns `min_per_sec` of them.
const RETRY: u64 = 1_000_000;

/// A token bucket that calls fill and retries empty, shared by all who call the same server.
///
/// Retries help against failures that are rare and feed those that are not: when everything fails,
/// three attempts are three times the load. With a budget, retries stay below a share of the calls,
/// whatever happens (gRPC, *A6: retry throttling*; Finagle, `RetryBudget`). In any stretch of time
/// at most `burst`, `ratio` of its calls, and `min_per_sec` of its seconds are granted.
///
/// It is made of atomics, and a bucket that is full is only read.
#[derive(Debug)]
pub struct Budget {
    /// In millionths of a retry. Threads that deposit together may push it past `full`; what is above
    /// counts for nothing.
    tokens: AtomicU64,
    /// Up to when time has been paid for, in microseconds since `start`.
    paid: AtomicU64,
    refused: AtomicU64,
    start: Instant,
    full: u64,
    per_call: u64,
    per_micro: u64,
}

impl Budget {
    /// A full one, or the reason `config` means nothing.
    pub fn new(config: &BudgetConfig, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let full = u64::from(config.burst) * RETRY;
        Ok(Self {
            tokens: AtomicU64::new(full),
            paid: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            start: now,
            full,
            per_call: (config.ratio * RETRY as f64) as u64,
            per_micro: u64::from(config.min_per_sec),
        })
    }

    /// A call is made, for the first time.
    pub fn deposit(&self) {
        if self.tokens.load(Relaxed) < self.full {
            self.tokens.fetch_add(self.per_call, Relaxed);
        }
    }

    /// Takes the right to one retry, if there is one left.
    #[must_use = "without it, no retry"]
    pub fn withdraw(&self, now: Instant) -> bool {
        self.pay_for_time(now);
        let granted = self.tokens.fetch_update(Relaxed, Relaxed, |tokens| {
            // What is above `full` is dropped here, so that no stretch of time has more of it.
            tokens.min(self.full).checked_sub(RETRY)
        });
        if granted.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        granted.is_ok()
    }

    /// Retries that could be granted now.
    pub fn balance(&self, now: Instant) -> u64 {
        self.pay_for_time(now);
        self.tokens.load(Relaxed).min(self.full) / RETRY
    }

    /// Retries that were not granted, so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Puts in what the time since the last one to do this has earned. Of many who come at once, one
    /// does; the others may find a retry less than there is, never one more.
    fn pay_for_time(&self, now: Instant) {
        let micros = micros(now.saturating_duration_since(self.start));
        let paid = self.paid.load(Relaxed);
        if micros <= paid || self.paid.compare_exchange(paid, micros, Relaxed, Relaxed).is_err() {
            return;
        }
        let earned = (micros - paid).saturating_mul(self.per_micro).min(self.full);
        if earned > 0 {
            let add =
                |tokens: u64| Some(tokens.min(self.full).saturating_add(earned).min(self.full));
            let _ = self.tokens.fetch_update(Relaxed, Relaxed, add);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        type Break = fn(&mut BudgetConfig);
        let wrong: [(&str, Break); 5] = [
            ("ratio", |config| config.ratio = 1.1),
            ("ratio", |config| config.ratio = f64::NAN),
            ("min_per_sec", |config| config.min_per_sec = u32::MAX),
            ("burst", |config| config.burst = 0),
            ("burst", |config| config.burst = u32::MAX),
        ];
        assert_eq!(BudgetConfig::default().check(), Ok(()));
        for (field, spoil) in wrong {
            let mut config = BudgetConfig::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|error| error.field), Err(field));
        }
    }
}
