//! How long to wait before a retry.

use std::time::Duration;

use crate::ConfigError;
use crate::config_error::require;

/// Pauses that double, of which each caller takes a random part ("full jitter": Brooker, *Exponential
/// Backoff And Jitter*, AWS 2015), so that those who failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The longest pause before the first retry. Default: 25 ms, as Envoy. More makes every failover
    /// slower; less asks a server that restarts before it is back.
    pub base: Duration,
    /// The longest pause of all. Default: 250 ms, as Envoy. More keeps a call waiting for its server.
    pub max: Duration,
}

/// The longest pause that means anything within one call.
const LONGEST: Duration = Duration::from_secs(3600);

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_millis(250) }
    }
}

impl Backoff {
    /// The pause before retry `retry`, counted from 1: a part of `base`, twice as much for each retry
    /// before it, at most `max`. Which part, the bits of `random` say.
    pub fn pause(&self, retry: u32, random: u64) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        let longest = self.base.saturating_mul(1 << doublings).min(self.max);
        // A 128-bit product has the part of `longest` in its upper half; an hour in ns fits into 64.
        let nanos = longest.as_nanos().min(u128::from(u64::MAX)) * u128::from(random);
        Duration::from_nanos((nanos >> 64) as u64)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        require(self.max <= LONGEST, "backoff.max", "at most an hour")?;
        require(self.base <= self.max, "backoff.base", "at most backoff.max")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_doubles_up_to_the_most() {
        let backoff = Backoff::default();
        let longest = |retry| backoff.pause(retry, u64::MAX).as_millis() + 1;
        assert_eq!([1, 2, 3, 4, 5, 99].map(longest), [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.pause(3, 0), Duration::ZERO);
        assert_eq!(backoff.pause(3, u64::MAX / 2 + 1), Duration::from_millis(50));
    }
}
