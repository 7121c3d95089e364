//! A connection, and what the pool knows of it.

use std::time::{Duration, Instant};

/// A connection in the ledger's keeping, or lent by it.
///
/// Give it back to [`Ledger::release`](crate::Ledger::release), or take it out with
/// [`Ledger::detach`](crate::Ledger::detach): until then it takes a place.
#[derive(Debug)]
#[must_use = "it takes a place until it is given back"]
pub struct Held<C> {
    /// The connection.
    pub connection: C,
    born: Instant,
    expires: Option<Instant>,
    /// When it was last returned, or made.
    pub(crate) idle_since: Instant,
    /// When a check last found it well, or when it was made.
    pub(crate) checked: Instant,
    /// Someone asked for it to be checked before its time.
    pub(crate) is_doubted: bool,
    /// Whether anyone was ever lent it.
    pub(crate) used: bool,
}

impl<C> Held<C> {
    pub(crate) fn new(connection: C, now: Instant, expires: Option<Instant>) -> Self {
        Self {
            connection,
            born: now,
            expires,
            idle_since: now,
            checked: now,
            is_doubted: false,
            used: false,
        }
    }

    /// How long ago it was made.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// How long ago it was last returned, or else made.
    pub fn idle_time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// When its lifetime ends.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }

    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// When it has lain untouched and unchecked for `period`.
    pub(crate) fn check_due(&self, period: Duration) -> Option<Instant> {
        self.idle_since.max(self.checked).checked_add(period)
    }
}
