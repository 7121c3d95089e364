//! How many calls there may be, and who waits.

use std::time::Duration;

/// More than this is no limit.
const MOST: usize = 1_000_000;
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How many calls there may be, and who waits.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that refuses
/// a meaningless one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Calls under way at a time. Default: 64; 1 to 1,000,000. With [`adaptive`](Self::adaptive) it is
    /// where the search begins.
    pub limit: usize,
    /// Calls that wait. Default: 256; 0 to 1,000,000. One more pushes out the last one of whoever has most
    /// of them waiting, or is refused.
    pub queued_max: usize,
    /// What has waited for so long is refused. Default: 5 s; up to a day.
    pub wait_max: Duration,
    /// How much earlier a call seems to have come for each step of its priority. Default: 100 ms; up to a
    /// day. With ten steps, nobody is overtaken by who comes more than a second later.
    pub priority_step: Duration,
    /// While somebody has always been waiting for as long as this, whoever has waited longer is refused
    /// when its turn comes: answers that nobody waits for any more keep others waiting (Nichols and
    /// Jacobson, "Controlling Queue Delay", 2012). Default: `None`, all wait for `wait_max`.
    pub stale_after: Option<Duration>,
    /// Whether the limit is found from what calls take. Default: `None`, it stays.
    pub adaptive: Option<Adaptive>,
}

/// Between which bounds a limit is found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Adaptive {
    /// The least. Default: 1. At least 1.
    pub min: usize,
    /// The most. Default: 200. At least `min`.
    pub max: usize,
    /// By what factor calls may take longer than when few are under way before the limit goes down.
    /// Default: 1.5; 1 to 10.
    pub tolerance: f64,
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
            limit: 64,
            queued_max: 256,
            wait_max: Duration::from_secs(5),
            priority_step: Duration::from_millis(100),
            stale_after: None,
            adaptive: None,
        }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { min: 1, max: 200, tolerance: 1.5 }
    }
}

impl Config {
    /// Whether it means something.
    pub fn check(&self) -> Result<(), ConfigError> {
        require((1..=MOST).contains(&self.limit), "limit", "1 to 1,000,000")?;
        require(self.queued_max <= MOST, "queued_max", "at most 1,000,000")?;
        require(self.wait_max <= LONGEST, "wait_max", "at most a day")?;
        require(self.priority_step <= LONGEST, "priority_step", "at most a day")?;
        if let Some(Adaptive { min, max, tolerance }) = &self.adaptive {
            require((1..=MOST).contains(min), "adaptive.min", "1 to 1,000,000")?;
            require((*min..=MOST).contains(max), "adaptive.max", "min to 1,000,000")?;
            require((1.0..=10.0).contains(tolerance), "adaptive.tolerance", "1 to 10")?;
            require((*min..=*max).contains(&self.limit), "limit", "between adaptive.min and max")?;
        }
        Ok(())
    }
}

fn require(holds: bool, field: &'static str, must_be: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, must_be }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        type Break = fn(&mut Config);
        let wrong: [(&str, Break); 8] = [
            ("limit", |config| config.limit = 0),
            ("queued_max", |config| config.queued_max = usize::MAX),
            ("wait_max", |config| config.wait_max = Duration::MAX),
            ("priority_step", |config| config.priority_step = Duration::MAX),
            ("adaptive.min", |config| {
                config.adaptive = Some(Adaptive { min: 0, ..Adaptive::default() })
            }),
            ("adaptive.max", |config| {
                config.adaptive = Some(Adaptive { max: 0, ..Adaptive::default() })
            }),
            ("adaptive.tolerance", |config| {
                config.adaptive = Some(Adaptive { tolerance: f64::NAN, ..Adaptive::default() });
            }),
            ("limit", |config| config.adaptive = Some(Adaptive { max: 10, ..Adaptive::default() })),
        ];
        assert_eq!(Config::default().check(), Ok(()));
        for (field, spoil) in wrong {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|error| error.field), Err(field));
        }
    }
}
