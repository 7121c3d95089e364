//! What a pool can be told, and what it refuses to be told.

use std::time::Duration;

use crate::ConfigError;

/// How many connections a pool keeps, for how long, and how long callers wait for one.
///
/// Plain data: any value can be written here, and the pool's constructor is the one place that
/// refuses a meaningless one. Whatever is counted as open takes its place from before it is made
/// until it is closed.
///
/// ```
/// let mut config = mcp_pool::Config::default();
/// config.pool_size = 4;
/// config.min_idle = 1;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// How many connections of one key stay. Default: 10.
    pub pool_size: usize,

    /// How many more of one key are opened while callers wait, and closed again when they have
    /// been idle for `overflow_idle_time`. Default: 0, none.
    pub max_overflow: usize,

    /// How many connections of all keys are open. Default: 100.
    ///
    /// At this number, a caller of one key takes the place of the connection that was idle longest
    /// under any other. Idle or not, what a connection costs is paid this often.
    pub max_open: usize,

    /// How many keys are known at a time. Default: 1,024.
    ///
    /// One more takes the place of the key unused for longest; it is refused if all are in use.
    pub max_keys: usize,

    /// How many connections of one key lie idle; one more is closed as it is returned.
    /// Default: no bound but `pool_size`.
    pub max_idle: usize,

    /// How many idle connections of one key are kept ready, from the moment that the key is known.
    /// Default: 0.
    ///
    /// They are made in the background within `pool_size`, and `max_idle_time` leaves them alone.
    pub min_idle: usize,

    /// How many are made at a time to reach `min_idle`. Default: 2. What callers wait for is not
    /// held up by this.
    pub max_refills: usize,

    /// The pause after a connection that could not be made, or that broke before anyone used it,
    /// until the next is made that nobody waits for. It doubles each time. Default: 1 s.
    pub refill_backoff: Duration,

    /// The longest such pause. Default: 60 s.
    pub refill_backoff_max: Duration,

    /// A connection older than this is closed: at that moment if it is idle, else when it is
    /// returned. `None` is never. Default: 30 minutes.
    pub max_lifetime: Option<Duration>,

    /// Each connection's lifetime is shorter by a random part of this share of it, in `[0, 1]`, so
    /// that what was opened together is not closed together. Default: 0.1.
    pub lifetime_jitter: f64,

    /// How long a connection lies idle before it is closed. `None` is for ever. Default: 10 minutes.
    pub max_idle_time: Option<Duration>,

    /// The same for a connection above `pool_size`. Default: 1 s, which bridges the gaps of a
    /// burst.
    pub overflow_idle_time: Duration,

    /// How long a connection lies idle before it is checked, and checked again. `None` is never.
    /// Default: 30 s. Of one key, one is checked at a time, and cannot be lent meanwhile.
    pub health_check_period: Option<Duration>,

    /// How long a caller waits. Default: 30 s.
    pub acquire_timeout: Duration,

    /// How many callers wait for one key; one more is refused at once. Default: 1,024.
    pub max_waiting: usize,

    /// How long making a connection may take. Default: 30 s.
    pub connect_timeout: Duration,

    /// How long a check may take; one that takes longer has failed. Default: 5 s.
    pub check_timeout: Duration,

    /// How long ending a connection may take until its place is given to the next regardless.
    /// Default: 10 s.
    pub close_timeout: Duration,

    /// A key that nobody used for so long is forgotten, and its spares are closed. A handle keeps
    /// its key. `None` is never. Default: 1 h.
    pub key_idle_time: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pool_size: 10,
            max_overflow: 0,
            max_open: 100,
            max_keys: 1024,
            max_idle: usize::MAX,
            min_idle: 0,
            max_refills: 2,
            refill_backoff: Duration::from_secs(1),
            refill_backoff_max: Duration::from_secs(60),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            lifetime_jitter: 0.1,
            max_idle_time: Some(Duration::from_secs(10 * 60)),
            overflow_idle_time: Duration::from_secs(1),
            health_check_period: Some(Duration::from_secs(30)),
            acquire_timeout: Duration::from_secs(30),
            max_waiting: 1024,
            connect_timeout: Duration::from_secs(30),
            check_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(10),
            key_idle_time: Some(Duration::from_secs(60 * 60)),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("pool_size", self.pool_size),
            ("max_open", self.max_open),
            ("max_keys", self.max_keys),
            ("max_refills", self.max_refills),
            ("max_waiting", self.max_waiting),
        ];
        let times = [
            ("refill_backoff", Some(self.refill_backoff)),
            ("max_lifetime", self.max_lifetime),
            ("max_idle_time", self.max_idle_time),
            ("health_check_period", self.health_check_period),
            ("connect_timeout", Some(self.connect_timeout)),
            ("check_timeout", Some(self.check_timeout)),
            ("close_timeout", Some(self.close_timeout)),
            ("key_idle_time", self.key_idle_time),
        ];
        if let Some((field, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Zero { field });
        }
        if let Some((field, _)) = times.into_iter().find(|(_, time)| *time == Some(Duration::ZERO))
        {
            return Err(ConfigError::Zero { field });
        }
        let room = self.pool_size.min(self.max_open).min(self.max_idle);
        if self.min_idle > room {
            return Err(ConfigError::MinIdle { min_idle: self.min_idle, room });
        }
        if self.refill_backoff > self.refill_backoff_max {
            return Err(ConfigError::Backoff);
        }
        // Written positively so that NaN is refused as well.
        if !(self.lifetime_jitter >= 0.0 && self.lifetime_jitter <= 1.0) {
            return Err(ConfigError::Jitter { got: self.lifetime_jitter });
        }
        Ok(())
    }

    /// How many of one key are open at most.
    pub(crate) fn limit(&self) -> usize {
        self.pool_size.saturating_add(self.max_overflow)
    }

    /// How long a connection lives.
    pub(crate) fn lifetime(&self, random: u64) -> Option<Duration> {
        let lifetime = self.max_lifetime?;
        Some(lifetime - lifetime.mul_f64(self.lifetime_jitter * share(random)))
    }

    /// The pause before the next spare, after so many failures one upon the other.
    pub(crate) fn pause(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let pause = self.refill_backoff.saturating_mul(1 << doublings).min(self.refill_backoff_max);
        // Half of it is left to chance, so that keys that failed together do not retry together.
        pause - pause.mul_f64(0.5 * share(random))
    }
}

/// Random bits as a number in `[0, 1)`.
fn share(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_means_nothing() {
        let ok = Config::default;
        assert_eq!(ok().check(), Ok(()));
        let refused = [
            Config { pool_size: 0, ..ok() },
            Config { max_open: 0, ..ok() },
            Config { max_keys: 0, ..ok() },
            Config { max_refills: 0, ..ok() },
            Config { max_waiting: 0, ..ok() },
            Config { max_lifetime: Some(Duration::ZERO), ..ok() },
            Config { health_check_period: Some(Duration::ZERO), ..ok() },
            Config { min_idle: 11, ..ok() },
            Config { min_idle: 2, max_idle: 1, ..ok() },
            Config { min_idle: 2, max_open: 1, ..ok() },
            Config { refill_backoff: Duration::from_secs(61), ..ok() },
            Config { lifetime_jitter: f64::NAN, ..ok() },
            Config { lifetime_jitter: 1.1, ..ok() },
        ];
        for config in refused {
            assert!(config.check().is_err(), "{config:?}");
        }
    }
}
