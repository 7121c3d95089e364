//! What the ledger wants done once its lock is released.

use std::fmt;
use std::task::Waker;

use crate::ledger::Slot;
use crate::stats::Cause;
use crate::{Held, Manage};

/// What the ledger wants done. The first three are answered by one call each.
#[non_exhaustive]
pub enum Order<M: Manage> {
    /// Make a connection, then tell [`Ledger::connected`](crate::Ledger::connected).
    Connect {
        /// Whose.
        slot: Slot,
        /// The key to connect for.
        key: M::Key,
    },
    /// Check an idle connection, then tell [`Ledger::checked`](crate::Ledger::checked).
    Check {
        /// Whose.
        slot: Slot,
        /// Its key.
        key: M::Key,
        /// The connection.
        held: Box<Held<M::Connection>>,
    },
    /// End a connection, then tell [`Ledger::closed`](crate::Ledger::closed).
    Close {
        /// Whose.
        slot: Slot,
        /// Its key.
        key: M::Key,
        /// The connection.
        connection: M::Connection,
        /// Why.
        cause: Cause,
    },
    /// Wake a caller whose answer is there to be [claimed](crate::Ledger::claim).
    Wake(Waker),
    /// Drop a waker of no more use: what that sets off is nothing to do under a lock.
    Drop(Waker),
    /// The ledger was told to close, and nothing is open any more.
    Emptied,
}

/// The orders of one or more calls to the ledger.
pub struct Orders<M: Manage> {
    /// A return wakes at most one, and needs no allocation for it.
    wake: Option<Waker>,
    rest: Vec<Order<M>>,
    /// [`Ledger::turn`](crate::Ledger::turn) is to be called earlier than it said last.
    pub(crate) look: bool,
}

impl<M: Manage> Orders<M> {
    /// None yet.
    pub fn new() -> Self {
        Self { wake: None, rest: Vec::new(), look: false }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.wake.is_none() && self.rest.is_empty() && !self.look
    }

    /// Whether [`Ledger::turn`](crate::Ledger::turn) is to be called at once, because something
    /// comes due earlier than it said.
    pub fn look(&self) -> bool {
        self.look
    }

    pub(crate) fn wake(&mut self, waker: Waker) {
        match &self.wake {
            None => self.wake = Some(waker),
            Some(_) => self.rest.push(Order::Wake(waker)),
        }
    }

    pub(crate) fn push(&mut self, order: Order<M>) {
        self.rest.push(order);
    }
}

impl<M: Manage> Default for Orders<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Manage> IntoIterator for Orders<M> {
    type Item = Order<M>;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Order<M>>, std::vec::IntoIter<Order<M>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.wake.map(Order::Wake).into_iter().chain(self.rest)
    }
}

impl<M: Manage> fmt::Debug for Order<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { slot, .. } => f.debug_tuple("Connect").field(slot).finish(),
            Self::Check { slot, .. } => f.debug_tuple("Check").field(slot).finish(),
            Self::Close { slot, cause, .. } => {
                f.debug_tuple("Close").field(slot).field(cause).finish()
            }
            Self::Wake(_) => f.write_str("Wake"),
            Self::Drop(_) => f.write_str("Drop"),
            Self::Emptied => f.write_str("Emptied"),
        }
    }
}

impl<M: Manage> fmt::Debug for Orders<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wakes = self.wake.is_some();
        f.debug_struct("Orders").field("wakes", &wakes).field("rest", &self.rest).finish()
    }
}
