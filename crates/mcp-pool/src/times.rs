//! The times of a `Config` as the ledger adds them up.

use crate::Config;
use crate::moment::{limit, nanos};

/// In nanoseconds; the greatest number is for ever.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) idle: u64,
    pub(crate) overflow: u64,
    pub(crate) check: u64,
    pub(crate) acquire: u64,
    pub(crate) key: u64,
    /// Nothing that is put to rest now has to be looked at sooner, but for its lifetime.
    pub(crate) rest: u64,
}

impl Times {
    pub(crate) fn of(config: &Config) -> Self {
        let (idle, check) = (limit(config.max_idle_time), limit(config.health_check_period));
        let overflow =
            if config.max_overflow > 0 { nanos(config.overflow_idle_time) } else { idle };
        let (acquire, key) = (nanos(config.acquire_timeout), limit(config.key_idle_time));
        Self { idle, overflow, check, acquire, key, rest: idle.min(check).min(overflow) }
    }
}
