//! How many calls are in flight at one place.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_balance::{Outcome, Picked};
use mcp_wire::{CallError, Message};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::judge::{self, Judgement};
use crate::upstream::Upstream;

/// A replica that is busy and does not say for how long is left alone for this.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Counts calls.
#[derive(Debug, Default)]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    idle: Notify,
}

/// The connection that a call is to go over.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) upstream: Arc<Upstream>,
    /// Where there are several replicas: the one that this leads to, which is told what comes of it.
    pub(crate) picked: Option<Picked>,
}

/// A connection that a call is under way on. It is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    picked: Option<Picked>,
    counted: bool,
}

impl Load {
    /// Calls that have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Resolves when there is no call.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        if self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }
}

impl Busy {
    /// `counted`: whether the call ends by itself, so that it can be waited for.
    pub(crate) fn new(hop: Hop, counted: bool) -> Self {
        let Hop { upstream, picked } = hop;
        if counted {
            upstream.load().enter();
        }
        // What never ends has no response time.
        Self { upstream, picked: picked.filter(|_| counted), counted }
    }

    /// The call had this answer.
    pub(crate) fn answered(&mut self, reply: &Message) {
        self.upstream.has_answered();
        self.judge(judge::of_reply(reply));
    }

    /// The call failed.
    pub(crate) fn failed(&mut self, error: &CallError) {
        self.upstream.has_failed(error);
        self.judge(judge::of_error(error));
    }

    /// Whether its replica was chosen for it, rather than its session.
    pub(crate) fn is_picked(&self) -> bool {
        self.picked.is_some()
    }

    /// Another replica has answered sooner: it took at least so long here.
    pub(crate) fn was_slow(&mut self) {
        self.judge(Judgement::Good);
    }

    /// The call waits for its client: how long it takes says nothing about the server any more.
    pub(crate) fn waits(&mut self) {
        self.picked = None;
    }

    fn judge(&mut self, judgement: Judgement) {
        let Some(picked) = self.picked.take() else { return };
        let outcome = match judgement {
            Judgement::Good => Outcome::Success,
            Judgement::Bad => Outcome::Failure,
            Judgement::Busy(after) => Outcome::Busy(after.unwrap_or(BUSY_PAUSE)),
            Judgement::Nothing => return,
        };
        picked.finish(outcome, Instant::now().into_std());
    }
}

impl From<Arc<Upstream>> for Hop {
    fn from(upstream: Arc<Upstream>) -> Self {
        Self { upstream, picked: None }
    }
}

impl Deref for Busy {
    type Target = Arc<Upstream>;

    fn deref(&self) -> &Arc<Upstream> {
        &self.upstream
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.counted {
            self.upstream.load().leave();
        }
    }
}
