//! The ledger behind a lock, and the tasks that do what it orders.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::ledger::{ConnectFailure, Ledger, Slot};
use crate::{Config, ConfigError, Held, Manage, Order, Orders};

/// What every handle, guard and task of one pool refers to.
pub(crate) struct Shared<M: Manage> {
    pub(crate) manage: M,
    pub(crate) config: Config,
    ledger: Mutex<Ledger<M>>,
    /// Guards are dropped wherever their owners please, in no runtime perhaps.
    runtime: Handle,
    /// Tells the driver to look at the ledger.
    pub(crate) look: Arc<Notify>,
    /// The pool was closed, and nothing is open any more.
    pub(crate) emptied: Notify,
    chance: RandomState,
}

impl<M: Manage> Shared<M> {
    pub(crate) fn new(manage: M, config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            manage,
            ledger: Mutex::new(Ledger::new(config.clone(), now())?),
            config,
            runtime: Handle::current(),
            look: Arc::new(Notify::new()),
            emptied: Notify::new(),
            chance: RandomState::new(),
        })
    }

    /// Changes the ledger, and sees to what follows.
    #[inline]
    pub(crate) fn with<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Ledger<M>, &mut Orders<M>) -> T,
    ) -> T {
        let mut orders = Orders::new();
        let changed = change(&mut self.lock(), &mut orders);
        if !orders.is_empty() {
            self.carry_out(orders);
        }
        changed
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger<M>> {
        // All that is not the ledger's own under the lock is to compare and clone keys and wakers.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(self: &Arc<Self>, orders: Orders<M>) {
        if orders.look() {
            self.look.notify_one();
        }
        for order in orders {
            let shared = || Arc::clone(self);
            match order {
                Order::Wake(waker) => waker.wake(),
                Order::Drop(waker) => drop(waker),
                Order::Emptied => self.emptied.notify_waiters(),
                Order::Connect { slot, key } => {
                    drop(self.runtime.spawn(shared().connect(slot, key)));
                }
                Order::Check { slot, key, held } => {
                    drop(self.runtime.spawn(shared().check(slot, key, held)));
                }
                Order::Close { slot, key, connection, .. } => {
                    drop(self.runtime.spawn(shared().close(slot, key, connection)));
                }
            }
        }
    }

    // Each of the three begins with its answer to the ledger, not at its first poll: a runtime that
    // shuts down may drop it before.

    fn connect(self: Arc<Self>, slot: Slot, key: M::Key) -> impl Future<Output = ()> + Send {
        let answer = Answer::new(&self, move |shared| {
            shared.connected(slot, Err(ConnectFailure::Abandoned));
        });
        async move {
            let within = self.config.connect_timeout;
            let result = match timeout(within, self.manage.connect(&key)).await {
                Ok(result) => result.map_err(ConnectFailure::Failed),
                Err(_) => Err(ConnectFailure::Timeout(within)),
            };
            answer.instead(|shared| shared.connected(slot, result));
        }
    }

    fn check(
        self: Arc<Self>,
        slot: Slot,
        key: M::Key,
        mut held: Box<Held<M::Connection>>,
    ) -> impl Future<Output = ()> + Send {
        // Dropped in the middle, the connection is gone, and its place is free.
        let answer = Answer::new(&self, move |shared| {
            shared.with(|ledger, orders| ledger.lost(slot, now(), orders));
        });
        async move {
            let checked = self.manage.check(&key, &mut held.connection);
            let healthy = timeout(self.config.check_timeout, checked).await.unwrap_or(false);
            let healthy = healthy && !self.manage.is_broken(&held.connection);
            answer.instead(|shared| {
                let random = shared.random();
                shared.with(|ledger, orders| {
                    ledger.checked(slot, held, healthy, now(), random, orders);
                });
            });
        }
    }

    fn close(
        self: Arc<Self>,
        slot: Slot,
        key: M::Key,
        connection: M::Connection,
    ) -> impl Future<Output = ()> + Send {
        let answer = Answer::new(&self, move |shared| {
            shared.with(|ledger, orders| ledger.closed(slot, now(), orders));
        });
        async move {
            // Whether it was done or took too long, the place is given to the next.
            let _ = timeout(self.config.close_timeout, self.manage.close(&key, connection)).await;
            drop(answer);
        }
    }

    fn connected(
        self: &Arc<Self>,
        slot: Slot,
        result: Result<M::Connection, ConnectFailure<M::Error>>,
    ) {
        let random = self.random();
        self.with(|ledger, orders| ledger.connected(slot, result, now(), random, orders));
    }

    /// Bits to spread what would else happen together; no secret depends on them.
    fn random(&self) -> u64 {
        self.chance.hash_one(now())
    }
}

/// Tells the ledger what became of an order, also when the task is dropped or panics.
struct Answer<M: Manage, F: FnOnce(&Arc<Shared<M>>)> {
    shared: Arc<Shared<M>>,
    otherwise: Option<F>,
}

impl<M: Manage, F: FnOnce(&Arc<Shared<M>>)> Answer<M, F> {
    fn new(shared: &Arc<Shared<M>>, otherwise: F) -> Self {
        Self { shared: Arc::clone(shared), otherwise: Some(otherwise) }
    }

    fn instead(mut self, answer: impl FnOnce(&Arc<Shared<M>>)) {
        self.otherwise = None;
        answer(&self.shared);
    }
}

impl<M: Manage, F: FnOnce(&Arc<Shared<M>>)> Drop for Answer<M, F> {
    fn drop(&mut self) {
        if let Some(otherwise) = self.otherwise.take() {
            otherwise(&self.shared);
        }
    }
}

/// The one place in this crate that reads a clock; tokio's, so that tests can pause it.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
