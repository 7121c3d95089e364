//! A connection, and what the pool knows of it.

use std::time::{Duration, Instant};

use crate::moment::Moment;

/// A connection in the ledger's keeping, or lent by it. It is boxed once, as it goes back and forth
/// all the time.
///
/// Give it back to [`Ledger::release`](crate::Ledger::release), or take it out with
/// [`Ledger::detach`](crate::Ledger::detach): until then it takes a place.
#[derive(Debug)]
#[must_use = "it takes a place until it is given back"]
pub struct Held<C> {
    /// The connection.
    pub connection: C,
    /// When it was made, on the caller's clock and on the ledger's.
    born: Instant,
    born_at: Moment,
    pub(crate) expires: Moment,
    /// When it was last returned, or made.
    pub(crate) idle_since: Moment,
    /// When a check last found it well, or when it was made.
    pub(crate) checked: Moment,
    /// Someone asked for it to be checked before its time.
    pub(crate) is_doubted: bool,
    /// Whether anyone was ever lent it.
    pub(crate) used: bool,
}

impl<C> Held<C> {
    pub(crate) fn new(connection: C, born: Instant, now: Moment, expires: Moment) -> Box<Self> {
        Box::new(Self {
            connection,
            born,
            born_at: now,
            expires,
            idle_since: now,
            checked: now,
            is_doubted: false,
            used: false,
        })
    }

    /// How long ago it was made.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// How long ago it was last returned, or else made.
    pub fn idle_time(&self, now: Instant) -> Duration {
        self.age(now).saturating_sub(self.idle_since.since(self.born_at))
    }

    /// When its lifetime ends.
    pub fn expires(&self) -> Option<Instant> {
        let lifetime = self.expires.since(self.born_at);
        if self.expires == Moment::NEVER { None } else { self.born.checked_add(lifetime) }
    }

    /// When it has lain untouched and unchecked for `period` nanoseconds.
    pub(crate) fn check_due(&self, period: u64) -> Moment {
        self.idle_since.max(self.checked).plus(period)
    }
}
