//! A call that was let through, and cannot be forgotten.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Breaker, Outcome, Rejected, Ticket};

/// The right to make one call. Dropped, it counts as [`Outcome::Ignored`]: a call that is cancelled
/// says nothing of the server, and gives the place of a probe back.
#[derive(Debug)]
#[must_use = "a permit that is dropped says nothing of the call"]
pub struct Permit<B: Deref<Target = Breaker>> {
    breaker: B,
    ticket: Option<Ticket>,
    began: Instant,
}

/// A [`Permit`] that borrows from nobody.
pub type OwnedPermit = Permit<Arc<Breaker>>;

impl Breaker {
    /// Asks to make a call, which begins now.
    #[inline]
    pub fn permit(&self, now: Instant) -> Result<Permit<&Self>, Rejected> {
        let ticket = self.admit(now)?;
        Ok(Permit { breaker: self, ticket: Some(ticket), began: now })
    }

    /// The same, for a call that outlives this borrow.
    #[inline]
    pub fn permit_owned(self: &Arc<Self>, now: Instant) -> Result<OwnedPermit, Rejected> {
        let ticket = self.admit(now)?;
        Ok(Permit { breaker: Arc::clone(self), ticket: Some(ticket), began: now })
    }
}

impl<B: Deref<Target = Breaker>> Permit<B> {
    /// Says what became of the call, which ends now.
    // Out of line the permit is written to memory and read again, which takes as long as the rest.
    #[inline(always)]
    pub fn record(mut self, outcome: Outcome, now: Instant) {
        let Some(ticket) = self.ticket.take() else { return };
        // Two instants are compared sooner than subtracted.
        let slow_from = self.began.checked_add(self.breaker.config().slow_after);
        let good = matches!(outcome, Outcome::Success) && slow_from.is_some_and(|from| now < from);
        if !(good && self.breaker.record_good(&ticket, now)) {
            self.breaker.record_since(ticket, outcome, self.began, now);
        }
    }
}

impl<B: Deref<Target = Breaker>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.record_rare(ticket, Outcome::Ignored, Duration::ZERO, self.began);
        }
    }
}
