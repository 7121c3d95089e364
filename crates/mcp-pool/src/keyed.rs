//! A pool as the users of one key see it.

use std::fmt;
use std::sync::Arc;

use crate::ledger::Slot;
use crate::shared::{Shared, now};
use crate::waiting::Waiting;
use crate::{AcquireError, Lease, Manage, Stats};

/// One key of a [`Pool`](crate::Pool): no key is looked up at a checkout, and while this or a clone
/// of it lives, the key is known and its spares are kept.
pub struct KeyedPool<M: Manage> {
    shared: Arc<Shared<M>>,
    slot: Slot,
}

impl<M: Manage> KeyedPool<M> {
    pub(crate) fn find(
        shared: &Arc<Shared<M>>,
        key: &M::Key,
    ) -> Result<Self, AcquireError<M::Error>> {
        let now = now();
        shared.with(|ledger, orders| {
            let slot = ledger.enter(key, now, orders)?;
            ledger.pin(slot);
            Ok(Self { shared: Arc::clone(shared), slot })
        })
    }

    /// Lends the idle connection that was returned last, or waits in line for one that is returned
    /// or made.
    ///
    /// Cancel safe: a caller that gives up leaves no trace, and what it would have been lent goes
    /// to the next.
    #[inline]
    pub async fn acquire(&self) -> Result<Lease<M>, AcquireError<M::Error>> {
        loop {
            let held = Waiting::new(&self.shared, self.slot).await?;
            if !self.shared.manage.is_broken(&held.connection) {
                return Ok(Lease::new(Arc::clone(&self.shared), self.slot, held));
            }
            self.shared.with(|ledger, orders| ledger.reject(self.slot, held, orders));
        }
    }

    /// An idle connection, if there is one now.
    #[inline]
    pub fn try_acquire(&self) -> Option<Lease<M>> {
        take(&self.shared, |_| Some(self.slot))
    }

    /// Has the idle connections checked now, because there is reason to doubt them.
    pub fn check_now(&self) {
        self.shared.with(|ledger, orders| ledger.check_now(self.slot, orders));
    }

    /// What was counted for this key.
    pub fn stats(&self) -> Stats {
        self.shared.lock().key_stats(self.slot).unwrap_or_default()
    }
}

/// The first idle connection that is not broken.
#[inline]
pub(crate) fn take<M: Manage>(
    shared: &Arc<Shared<M>>,
    slot: impl Fn(&crate::Ledger<M>) -> Option<Slot>,
) -> Option<Lease<M>> {
    loop {
        let (slot, held) = shared.with(|ledger, orders| {
            let slot = slot(ledger)?;
            Some((slot, ledger.take(slot, orders)?))
        })?;
        if !shared.manage.is_broken(&held.connection) {
            return Some(Lease::new(Arc::clone(shared), slot, held));
        }
        shared.with(|ledger, orders| ledger.reject(slot, held, orders));
    }
}

impl<M: Manage> Clone for KeyedPool<M> {
    fn clone(&self) -> Self {
        self.shared.lock().pin(self.slot);
        Self { shared: Arc::clone(&self.shared), slot: self.slot }
    }
}

impl<M: Manage> Drop for KeyedPool<M> {
    fn drop(&mut self) {
        self.shared.with(|ledger, orders| ledger.unpin(self.slot, now(), orders));
    }
}

impl<M: Manage> fmt::Debug for KeyedPool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
