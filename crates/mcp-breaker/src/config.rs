//! When a breaker opens, how long it refuses, and what closes it again.

use std::time::Duration;

use crate::{Cause, Tally};

/// The longest duration that means anything here.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
const WINDOW_MIN: Duration = Duration::from_millis(100);
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);
const CALLS_MAX: u32 = 1 << 16;

/// What a [`Breaker`](crate::Breaker) goes by.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that
/// refuses a meaningless one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Failures in a row that open it. Default: 5; none: they alone do not. Works at any rate of calls,
    /// and misses a server of whose calls every second fails.
    pub failures_in_row: Option<u32>,
    /// The share of the calls in the window that failed, from which on it opens. Default: 0.5; above 0
    /// and at most 1; none: no share opens it.
    pub failure_share: Option<f64>,
    /// The share of the calls in the window that were slow, from which on it opens. Default: none, for
    /// a tool may take its time; above 0 and at most 1.
    pub slow_share: Option<f64>,
    /// A call that takes at least this long is slow, whether it failed or not. Default: 10 s.
    pub slow_after: Duration,
    /// Which calls the shares are of. Default: those of the last 30 s.
    pub window: Window,
    /// Shares of fewer calls than these say nothing. Default: 10. Has to fit into the window.
    pub calls_min: u32,
    /// How long it refuses, the first time. Default: 5 s. Shorter comes back sooner, and asks a server
    /// that is down more often.
    pub cooldown: Duration,
    /// By how much a cooldown is longer than the one before, when a probe failed, or when the breaker
    /// was closed for less time than it had been open. Default: 2; 1 to 100.
    pub cooldown_factor: f64,
    /// No cooldown is longer. Default: 60 s.
    pub cooldown_max: Duration,
    /// By what share a cooldown may be shorter, so that many callers do not come back at the same
    /// moment. Default: 0.1; 0 to 1.
    pub jitter: f64,
    /// Calls at a time that a half-open breaker lets through. Default: 1.
    pub probes: u32,
    /// Successes that close a half-open breaker; the first failure opens it. Default: 2.
    pub successes_to_close: u32,
    /// When all probes are out and none came back for so long, they count as failed. Default: 60 s.
    /// Longer than a call may take, or else what a slow probe says comes too late.
    pub probe_timeout: Duration,
}

/// Which calls a share is of. Either way the memory is constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the recent past is some time or some calls")]
pub enum Window {
    /// The calls that ended within this time; 100 ms to one day. Its edge is as sharp as an eighth of
    /// it, and all threads may count at once.
    Time(Duration),
    /// The last so many calls, one byte each; at most 65,536. Which were the last is one counter that
    /// all threads write.
    Calls(u32),
}

/// Why a [`Config`] means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {must_be}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it would have to be.
    pub must_be: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures_in_row: Some(5),
            failure_share: Some(0.5),
            slow_share: None,
            slow_after: Duration::from_secs(10),
            window: Window::Time(Duration::from_secs(30)),
            calls_min: 10,
            cooldown: Duration::from_secs(5),
            cooldown_factor: 2.0,
            cooldown_max: Duration::from_secs(60),
            jitter: 0.1,
            probes: 1,
            successes_to_close: 2,
            probe_timeout: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Refuses what means nothing, by the name of the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_counts()?;
        self.check_window()?;
        let times = [
            ("slow_after", self.slow_after),
            ("cooldown", self.cooldown),
            ("cooldown_max", self.cooldown_max),
            ("probe_timeout", self.probe_timeout),
        ];
        for (field, time) in times {
            if time.is_zero() || time > LONGEST {
                return Err(ConfigError { field, must_be: "above 0 and at most 30 days" });
            }
        }
        if self.cooldown_max < self.cooldown {
            return Err(ConfigError { field: "cooldown_max", must_be: "at least the cooldown" });
        }
        // Written positively so that NaN is refused as well.
        for (field, share) in
            [("failure_share", self.failure_share), ("slow_share", self.slow_share)]
        {
            if share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
                return Err(ConfigError { field, must_be: "above 0 and at most 1" });
            }
        }
        if !(1.0..=100.0).contains(&self.cooldown_factor) {
            return Err(ConfigError { field: "cooldown_factor", must_be: "1 to 100" });
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError { field: "jitter", must_be: "0 to 1" });
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let counts = [
            ("failures_in_row", self.failures_in_row.unwrap_or(1)),
            ("calls_min", self.calls_min),
            ("probes", self.probes),
            ("successes_to_close", self.successes_to_close),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((field, _)) => Err(ConfigError { field, must_be: "at least 1" }),
            None => Ok(()),
        }
    }

    fn check_window(&self) -> Result<(), ConfigError> {
        match self.window {
            Window::Time(time) if !(WINDOW_MIN..=WINDOW_MAX).contains(&time) => {
                Err(ConfigError { field: "window", must_be: "100 ms to one day" })
            }
            Window::Calls(calls) if !(1..=CALLS_MAX).contains(&calls) => {
                Err(ConfigError { field: "window", must_be: "1 to 65536 calls" })
            }
            Window::Calls(calls) if self.calls_min > calls => {
                Err(ConfigError { field: "calls_min", must_be: "at most the calls of the window" })
            }
            Window::Time(_) | Window::Calls(_) => Ok(()),
        }
    }

    /// Why calls that ended like these open a breaker, if they do.
    pub(crate) fn verdict(&self, tally: &Tally) -> Option<Cause> {
        if let Some(most) = self.failures_in_row
            && tally.failures_in_row >= most
        {
            return Some(Cause::FailuresInRow { failures: tally.failures_in_row });
        }
        if tally.calls < self.calls_min {
            return None;
        }
        let of = |some: u32| f64::from(some) / f64::from(tally.calls);
        if let Some(allowed) = self.failure_share
            && of(tally.failures) >= allowed
        {
            let (failures, calls) = (tally.failures, tally.calls);
            return Some(Cause::FailureShare { failures, calls, allowed });
        }
        if let Some(allowed) = self.slow_share
            && of(tally.slow) >= allowed
        {
            let (slow, calls) = (tally.slow, tally.calls);
            return Some(Cause::SlowShare { slow, calls, allowed });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        type Break = fn(&mut Config);
        let wrong: [(&str, Break); 18] = [
            ("failures_in_row", |config| config.failures_in_row = Some(0)),
            ("failure_share", |config| config.failure_share = Some(0.0)),
            ("failure_share", |config| config.failure_share = Some(f64::NAN)),
            ("slow_share", |config| config.slow_share = Some(50.0)),
            ("slow_after", |config| config.slow_after = Duration::ZERO),
            ("window", |config| config.window = Window::Time(Duration::from_millis(99))),
            ("window", |config| config.window = Window::Time(Duration::MAX)),
            ("window", |config| config.window = Window::Calls(0)),
            ("window", |config| config.window = Window::Calls(65_537)),
            ("calls_min", |config| config.calls_min = 0),
            ("calls_min", |config| config.window = Window::Calls(9)),
            ("cooldown", |config| config.cooldown = Duration::ZERO),
            ("cooldown_factor", |config| config.cooldown_factor = 0.5),
            ("cooldown_max", |config| config.cooldown_max = Duration::from_secs(4)),
            ("jitter", |config| config.jitter = f64::NAN),
            ("probes", |config| config.probes = 0),
            ("successes_to_close", |config| config.successes_to_close = 0),
            ("probe_timeout", |config| config.probe_timeout = Duration::MAX),
        ];
        assert_eq!(Config::default().check(), Ok(()));
        for (field, spoil) in wrong {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|error| error.field), Err(field));
        }
    }
}
