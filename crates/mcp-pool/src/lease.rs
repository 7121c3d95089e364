//! A connection while it is lent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{Fate, Slot};
use crate::shared::{Shared, now};
use crate::{Held, Manage};

/// A connection that is yours until you drop this; then it returns to its pool.
pub struct Lease<M: Manage> {
    shared: Arc<Shared<M>>,
    slot: Slot,
    /// Taken by whatever ends the lease.
    held: Option<Box<Held<M::Connection>>>,
}

impl<M: Manage> Lease<M> {
    #[inline]
    pub(crate) fn new(shared: Arc<Shared<M>>, slot: Slot, held: Box<Held<M::Connection>>) -> Self {
        Self { shared, slot, held: Some(held) }
    }

    /// How long ago the connection was made.
    pub fn age(&self) -> Duration {
        self.held().age(now())
    }

    /// How long ago the connection was last returned, or else made: right after it was acquired,
    /// how long it had been idle.
    pub fn idle_time(&self) -> Duration {
        self.held().idle_time(now())
    }

    /// Whether it will be lent again: it is neither broken nor too old.
    pub fn is_healthy(&self) -> bool {
        let held = self.held();
        held.expires().is_none_or(|at| now() < at)
            && !self.shared.manage.is_broken(&held.connection)
    }

    /// Has the connection closed instead of returned, because it is of no more use.
    pub fn discard(mut self) {
        self.end(Fate::Broken);
    }

    /// Takes the connection out for good: it is yours, and its place in the pool is free.
    pub fn detach(mut self) -> M::Connection {
        let held = self.held.take().expect("a lease holds its connection until it ends");
        self.shared.with(|ledger, orders| ledger.detach(self.slot, held, now(), orders))
    }

    fn held(&self) -> &Held<M::Connection> {
        self.held.as_ref().expect("a lease holds its connection until it ends")
    }

    #[inline]
    fn end(&mut self, fate: Fate) {
        let Some(held) = self.held.take() else { return };
        let fate = match self.shared.manage.is_broken(&held.connection) {
            true => Fate::Broken,
            false => fate,
        };
        let now = now();
        self.shared.with(|ledger, orders| ledger.release(self.slot, held, now, fate, orders));
    }
}

impl<M: Manage> Deref for Lease<M> {
    type Target = M::Connection;

    #[inline]
    fn deref(&self) -> &M::Connection {
        &self.held().connection
    }
}

impl<M: Manage> DerefMut for Lease<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut M::Connection {
        let held = self.held.as_mut().expect("a lease holds its connection until it ends");
        &mut held.connection
    }
}

impl<M: Manage> Drop for Lease<M> {
    #[inline]
    fn drop(&mut self) {
        self.end(Fate::Keep);
    }
}

impl<M: Manage> fmt::Debug for Lease<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("age", &self.age()).finish_non_exhaustive()
    }
}
