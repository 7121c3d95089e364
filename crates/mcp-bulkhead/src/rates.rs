//! How many calls one caller makes in a time, by `governor`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use governor::clock::{Clock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::error::Rejected;

/// Callers that are told apart. All others together are one more.
const KEYS_MAX: usize = 10_000;

/// So many calls of each caller in a time: as many at once, and then one after the other as the time goes
/// by (a generic cell rate algorithm; ITU-T I.371). A quota is a rate with a long time.
#[derive(Debug)]
pub struct Rates {
    limiter: Limiter,
    start: Instant,
}

type Limiter = RateLimiter<u64, HashMapStateStore<u64>, Told, NoOpMiddleware<Nanos>>;

/// The time as it was told last.
#[derive(Clone, Debug, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Relaxed))
    }
}

impl Rates {
    /// `calls` of each caller in `time`; at least one call, and at least a nanosecond for each.
    pub fn new(calls: NonZeroU32, time: Duration, now: Instant) -> Self {
        let each = (time / calls.get()).max(Duration::from_nanos(1));
        // A period that is not zero is a quota.
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(calls));
        let store = HashMapStateStore::default();
        Self {
            limiter: RateLimiter::new(quota.allow_burst(calls), store, Told::default()),
            start: now,
        }
    }

    /// Whether `caller` may make one more call.
    pub fn check(&self, caller: u64, now: Instant) -> Result<(), Rejected> {
        let at = now.saturating_duration_since(self.start).as_nanos();
        let clock = self.limiter.clock();
        clock.0.fetch_max(u64::try_from(at).unwrap_or(u64::MAX), Relaxed);
        if self.limiter.len() >= KEYS_MAX {
            self.limiter.retain_recent();
        }
        // Callers without number share what one may do, or made-up callers would have it each.
        let key = if self.limiter.len() >= KEYS_MAX { u64::MAX } else { caller };
        self.limiter.check_key(&key).map_err(|early| {
            let earliest = early.earliest_possible();
            let retry_after = Duration::from(earliest.duration_since(clock.now()));
            Rejected::TooMany { retry_after }
        })
    }

    /// The callers that are told apart now.
    pub fn callers(&self) -> usize {
        self.limiter.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn ten() -> NonZeroU32 {
        NonZeroU32::new(10).expect("it is not zero")
    }

    #[test]
    fn as_many_as_may_be_at_once_and_then_one_by_one() {
        let start = start();
        let rates = Rates::new(ten(), Duration::from_secs(1), start);
        let allowed = |caller, at: u64, tries: usize| {
            let now = start + Duration::from_millis(at);
            (0..tries).filter(|_| rates.check(caller, now).is_ok()).count()
        };
        assert_eq!((allowed(1, 0, 50), allowed(2, 0, 50)), (10, 10), "each caller for itself");
        let refused = rates.check(1, start).unwrap_err();
        assert_eq!(refused, Rejected::TooMany { retry_after: Duration::from_millis(100) });
        assert_eq!((allowed(1, 99, 5), allowed(1, 100, 5), allowed(1, 400, 5)), (0, 1, 3));
        assert_eq!(allowed(1, 10_000, 50), 10);
    }

    #[test]
    fn made_up_callers_share_one_place() {
        let start = start();
        let rates = Rates::new(ten(), Duration::from_secs(3600), start);
        let passed = (0..100_000).filter(|caller| rates.check(*caller, start).is_ok()).count();
        assert!(passed <= KEYS_MAX + 10 && rates.callers() <= KEYS_MAX + 1, "{passed}");
    }
}
