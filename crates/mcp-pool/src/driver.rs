//! The task that calls the ledger when something comes due: at that moment, not at a tick.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::Manage;
use crate::shared::{Shared, now};

/// Ends with the last handle, guard and task of its pool.
pub(crate) async fn drive<M: Manage>(pool: Weak<Shared<M>>, look: Arc<Notify>) {
    loop {
        let Some(shared) = pool.upgrade() else { return };
        let next = shared.with(|ledger, orders| ledger.turn(now(), orders));
        drop(shared);
        match next {
            // Which of the two it was is for the ledger to find out.
            Some(due) => drop(timeout_at(Instant::from_std(due), look.notified()).await),
            None => look.notified().await,
        }
    }
}
