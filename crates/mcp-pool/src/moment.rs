//! Time as one number: a checkout compares several, and an `Instant` is two.

use std::time::{Duration, Instant};

/// Nanoseconds since the ledger was made. Five hundred years hold; what lies beyond is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn of(now: Instant, epoch: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(epoch)))
    }

    /// `None` is never, as is a moment that no clock will show.
    pub(crate) fn instant(self, epoch: Instant) -> Option<Instant> {
        if self == Self::NEVER { None } else { epoch.checked_add(Duration::from_nanos(self.0)) }
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        self.plus(nanos(time))
    }

    /// The same, of a time that was [converted](nanos) before.
    pub(crate) fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `None` is for ever.
pub(crate) fn limit(time: Option<Duration>) -> u64 {
    time.map_or(u64::MAX, nanos)
}
