//! How many calls are in flight at one place.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_balance::{Outcome, Picked};
use mcp_wire::{CallError, Message};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::gate::Pass;
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
    /// What it went through.
    pub(crate) passes: Passes,
}

/// What a call went through, which is told what comes of it.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    /// Before its replica.
    pub(crate) replica: Option<Pass>,
    /// Before its tool.
    pub(crate) tool: Option<Pass>,
}

/// A connection that a call is under way on. It is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    picked: Option<Picked>,
    passes: Passes,
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
        let Hop { upstream, picked, passes } = hop;
        if counted {
            upstream.load().enter();
        }
        // What never ends has no response time.
        let passes = if counted { passes } else { Passes::default() };
        Self { upstream, picked: picked.filter(|_| counted), passes, counted }
    }

    /// The call had this answer; whether calls are refused now that were not, or the other way
    /// round.
    pub(crate) fn answered(&mut self, reply: &Message, now: Instant) -> bool {
        self.upstream.has_answered();
        let judgement = judge::of_reply(reply);
        self.judge(judgement, now);
        // To answer at all is what a replica is for.
        let news = self.pass(now, |pass, now| pass.judge(Judgement::Good, now));
        self.pass_tool(judgement, now) | news
    }

    /// The call failed; as for [`answered`](Self::answered).
    pub(crate) fn failed(&mut self, error: &CallError) -> bool {
        self.upstream.has_failed(error);
        let (judgement, now) = (judge::of_error(error), Instant::now());
        self.judge(judgement, now);
        let news = match error {
            // Who is gone is not called, and is opened again by whoever looks after that.
            CallError::Connect { .. } | CallError::Unsent { .. } => {
                self.pass(now, |pass, now| pass.judge(Judgement::Nothing, now))
            }
            CallError::Closed { .. } if !self.upstream.connection.is_http() => {
                self.pass(now, |pass, now| pass.judge(Judgement::Nothing, now))
            }
            CallError::Closed { .. } => self.pass(now, Pass::lost),
            _ => self.pass(now, |pass, now| pass.judge(judgement, now)),
        };
        self.pass_tool(judgement, now) | news
    }

    /// Tells what stands before the replica.
    fn pass(&mut self, now: Instant, tell: impl FnOnce(Pass, std::time::Instant) -> bool) -> bool {
        self.passes.replica.take().is_some_and(|pass| tell(pass, now.into_std()))
    }

    /// Tells what stands before the tool.
    fn pass_tool(&mut self, judgement: Judgement, now: Instant) -> bool {
        self.passes.tool.take().is_some_and(|pass| pass.judge(judgement, now.into_std()))
    }

    /// Whether its replica was chosen for it, rather than its session.
    pub(crate) fn is_picked(&self) -> bool {
        self.picked.is_some()
    }

    /// Another replica has answered sooner: it took at least so long here.
    pub(crate) fn was_slow(&mut self) {
        self.judge(Judgement::Good, Instant::now());
    }

    /// The call waits for its client: how long it takes says nothing about the server any more.
    pub(crate) fn waits(&mut self) {
        self.picked = None;
        self.passes = Passes::default();
    }

    fn judge(&mut self, judgement: Judgement, now: Instant) {
        let Some(picked) = self.picked.take() else { return };
        let outcome = match judgement {
            Judgement::Good => Outcome::Success,
            Judgement::Bad => Outcome::Failure,
            Judgement::Busy(after) => Outcome::Busy(after.unwrap_or(BUSY_PAUSE)),
            Judgement::Nothing => return,
        };
        picked.finish(outcome, now.into_std());
    }
}

impl From<Arc<Upstream>> for Hop {
    fn from(upstream: Arc<Upstream>) -> Self {
        Self { upstream, picked: None, passes: Passes::default() }
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
