//! How often, how soon and for how long a call is attempted.

use std::time::Duration;

use crate::config_error::require;
use crate::{Backoff, ConfigError};

/// Attempts are marked in the bits of a word, and more than a few help nobody.
const ATTEMPTS_MOST: u32 = 16;
const LONGEST: Duration = Duration::from_secs(3600);

/// What a [`Retry`](crate::Retry) may do for one call.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that
/// refuses a meaningless one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Attempts at a call in all, hedges among them. Default: 3; 1 to 16. With 1, nothing is repeated;
    /// each more is one more server that an expensive call can keep busy.
    pub attempts_max: u32,
    /// How long to wait before a retry.
    pub backoff: Backoff,
    /// The longest that a server may tell a call to wait. Default: 5 s. Who is told to wait longer gives
    /// up at once, because its client would rather know.
    pub retry_after_max: Duration,
    /// Whether read-only calls that take long are also sent to somebody else. Default: no.
    pub hedge: Option<Hedge>,
}

/// When a call that is not answered yet is also sent to somebody else (Dean and Barroso, *The Tail at
/// Scale*, 2013).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hedge {
    /// The share of calls that are answered sooner than a hedge is sent. Default: 0.95; 0.5 to 0.999. It
    /// is also what hedging costs: of a hundred calls, five are sent twice.
    pub percentile: f64,
    /// A hedge is not sent sooner than this. Default: 1 ms, about what a local server takes.
    pub delay_min: Duration,
    /// Hedges of one call. Default: 1; 1 to 15.
    pub hedges_max: u32,
    /// Until so many latencies are known, nothing is hedged. Default: 100, which is five beyond the 95th
    /// percentile.
    pub samples_min: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff: Backoff::default(),
            retry_after_max: Duration::from_secs(5),
            hedge: None,
        }
    }
}

impl Default for Hedge {
    fn default() -> Self {
        Self {
            percentile: 0.95,
            delay_min: Duration::from_millis(1),
            hedges_max: 1,
            samples_min: 100,
        }
    }
}

impl Policy {
    /// Refuses what means nothing, by the name of the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let attempts = 1..=ATTEMPTS_MOST;
        require(attempts.contains(&self.attempts_max), "attempts_max", "1 to 16")?;
        self.backoff.check()?;
        require(self.retry_after_max <= LONGEST, "retry_after_max", "at most an hour")?;
        let Some(hedge) = &self.hedge else { return Ok(()) };
        let percentile = (0.5..=0.999).contains(&hedge.percentile);
        require(percentile, "hedge.percentile", "0.5 to 0.999")?;
        require(hedge.delay_min <= LONGEST, "hedge.delay_min", "at most an hour")?;
        let hedges = 1..ATTEMPTS_MOST;
        require(hedges.contains(&hedge.hedges_max), "hedge.hedges_max", "1 to 15")?;
        require(hedge.samples_min > 0, "hedge.samples_min", "at least 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        type Break = fn(&mut Policy, &mut Hedge);
        let wrong: [(&str, Break); 10] = [
            ("attempts_max", |policy, _| policy.attempts_max = 0),
            ("attempts_max", |policy, _| policy.attempts_max = 17),
            ("backoff.base", |policy, _| policy.backoff.base = Duration::from_secs(1)),
            ("backoff.max", |policy, _| policy.backoff.max = Duration::MAX),
            ("retry_after_max", |policy, _| policy.retry_after_max = Duration::MAX),
            ("hedge.percentile", |_, hedge| hedge.percentile = f64::NAN),
            ("hedge.percentile", |_, hedge| hedge.percentile = 1.0),
            ("hedge.delay_min", |_, hedge| hedge.delay_min = Duration::MAX),
            ("hedge.hedges_max", |_, hedge| hedge.hedges_max = 0),
            ("hedge.samples_min", |_, hedge| hedge.samples_min = 0),
        ];
        assert_eq!(Policy::default().check(), Ok(()));
        for (field, spoil) in wrong {
            let (mut policy, mut hedge) = (Policy::default(), Hedge::default());
            spoil(&mut policy, &mut hedge);
            policy.hedge = Some(hedge);
            assert_eq!(policy.check().map_err(|error| error.field), Err(field));
        }
    }
}
