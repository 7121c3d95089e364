//! How many results it takes, and how often to ask.

use std::time::Duration;

/// The longest duration that means anything here.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// The thresholds of a [`Health`](crate::Health) and the rhythm of a `Prober`.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that
/// refuses a meaningless one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// From one probe to the next. Default: 30 s. Shorter notices sooner and costs more.
    pub interval: Duration,
    /// How long a probe may take. Default: 5 s.
    pub timeout: Duration,
    /// By how much an interval may differ, as a share of it, so that many probers do not ask at the
    /// same moment. Default: 0.1; 0 to 1.
    pub jitter: f64,
    /// Bad probes in a row that make unhealthy. Default: 3. With 1, a lost packet is an outage.
    pub unhealthy_after: u32,
    /// Good results in a row that end it. Default: 2.
    pub healthy_after: u32,
    /// Over how long calls are looked at. Default: 60 s.
    pub window: Duration,
    /// The share of results in the window, failed or slow, from which on it is degraded; it is healthy
    /// again below half of that. Default: 0.5; above 0 and at most 1.
    pub degraded_share: f64,
    /// Fewer results than these in the window say nothing. Default: 10.
    pub results_min: u32,
    /// An answer that takes at least this long is slow. Default: 2 s.
    pub slow: Duration,
    /// Whether a probe is left out when a call has succeeded since the last one: the server lives, and
    /// one that is busy is not asked for more. Default: yes.
    pub skip_when_busy: bool,
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
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            jitter: 0.1,
            unhealthy_after: 3,
            healthy_after: 2,
            window: Duration::from_secs(60),
            degraded_share: 0.5,
            results_min: 10,
            slow: Duration::from_secs(2),
            skip_when_busy: true,
        }
    }
}

impl Config {
    /// Refuses what means nothing, by the name of the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let times = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("window", self.window),
            ("slow", self.slow),
        ];
        for (field, time) in times {
            if time.is_zero() || time > LONGEST {
                return Err(ConfigError { field, must_be: "above 0 and at most 30 days" });
            }
        }
        let counts = [
            ("unhealthy_after", self.unhealthy_after),
            ("healthy_after", self.healthy_after),
            ("results_min", self.results_min),
        ];
        for (field, count) in counts {
            if count == 0 {
                return Err(ConfigError { field, must_be: "at least 1" });
            }
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError { field: "jitter", must_be: "0 to 1" });
        }
        if !(self.degraded_share > 0.0 && self.degraded_share <= 1.0) {
            return Err(ConfigError { field: "degraded_share", must_be: "above 0 and at most 1" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        type Break = fn(&mut Config);
        let wrong: [(&str, Break); 10] = [
            ("interval", |config| config.interval = Duration::ZERO),
            ("timeout", |config| config.timeout = Duration::MAX),
            ("window", |config| config.window = Duration::ZERO),
            ("slow", |config| config.slow = Duration::ZERO),
            ("unhealthy_after", |config| config.unhealthy_after = 0),
            ("healthy_after", |config| config.healthy_after = 0),
            ("results_min", |config| config.results_min = 0),
            ("jitter", |config| config.jitter = f64::NAN),
            ("degraded_share", |config| config.degraded_share = 0.0),
            ("degraded_share", |config| config.degraded_share = f64::NAN),
        ];
        assert_eq!(Config::default().check(), Ok(()));
        for (field, spoil) in wrong {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|error| error.field), Err(field));
        }
    }
}
