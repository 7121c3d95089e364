//! The pool as a service uses it: shared, on a real clock, safe to cancel.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::driver::drive;
use crate::keyed::{KeyedPool, take};
use crate::shared::{Shared, now};
use crate::{AcquireError, CloseError, Config, ConfigError, Lease, Manage, Stats};

/// Connections by key, lent to whoever asks. Cloning it shares the same connections.
///
/// When the last clone, handle and lease is gone, what is idle is dropped; [`close`](Self::close)
/// ends connections as [`Manage::close`] does.
pub struct Pool<M: Manage> {
    shared: Arc<Shared<M>>,
}

impl<M: Manage> Pool<M> {
    /// An empty pool, or the reason `config` means nothing.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime whose timers are enabled: that is where connections are made and
    /// ended.
    pub fn new(manage: M, config: Config) -> Result<Self, ConfigError> {
        let shared = Arc::new(Shared::new(manage, config)?);
        tokio::spawn(drive(Arc::downgrade(&shared), Arc::clone(&shared.look)));
        Ok(Self { shared })
    }

    /// A handle for one key, which saves looking it up and keeps its spares. Whoever asks for the
    /// same key more than once wants it.
    pub fn key(&self, key: &M::Key) -> Result<KeyedPool<M>, AcquireError<M::Error>> {
        KeyedPool::find(&self.shared, key)
    }

    /// Lends a connection; see [`KeyedPool::acquire`].
    pub async fn acquire(&self, key: &M::Key) -> Result<Lease<M>, AcquireError<M::Error>> {
        match self.try_acquire(key) {
            Some(lease) => Ok(lease),
            None => self.key(key)?.acquire().await,
        }
    }

    /// An idle connection, if there is one now. A key that was not known still is not.
    pub fn try_acquire(&self, key: &M::Key) -> Option<Lease<M>> {
        take(&self.shared, |ledger| ledger.find(key))
    }

    /// Forgets a key: idle connections are closed, lent ones when they are returned, and those who
    /// wait are refused, as are the handles that there are. The next use of the key begins anew.
    pub fn remove(&self, key: &M::Key) {
        self.shared.with(|ledger, orders| ledger.remove(key, now(), orders));
    }

    /// Refuses all callers from now on, closes what is idle and what is returned, and waits until
    /// nothing is open, at most so long. May be called again.
    pub async fn close(&self, within: Duration) -> Result<(), CloseError> {
        let emptied = self.shared.emptied.notified();
        tokio::pin!(emptied);
        emptied.as_mut().enable();
        self.shared.with(|ledger, orders| ledger.close(now(), orders));
        if self.shared.lock().open() > 0 {
            // Whether that was in time is what the count says.
            let _ = timeout(within, emptied).await;
        }
        match self.shared.lock().open() {
            0 => Ok(()),
            open => Err(CloseError { open }),
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }

    /// The sum of all keys, those that were forgotten among them.
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats()
    }

    /// What was counted for each key that is known.
    pub fn key_stats(&self) -> Vec<(M::Key, Stats)> {
        let ledger = self.shared.lock();
        ledger.keys().map(|(key, stats)| (key.clone(), stats)).collect()
    }
}

impl<M: Manage> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M: Manage> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
