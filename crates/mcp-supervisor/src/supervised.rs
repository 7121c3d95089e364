//! Something that is supervised, as its owners hold it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::supervise::{Shared, changed};
use crate::{Ending, Launch, Phase, Stats, Status, Then};

/// Something that is supervised. Cloning it gives another handle to the same one.
///
/// When the last handle is dropped it is ended as by [`stop`](Self::stop), in the background. When
/// the runtime was shut down, or a method of its [`Launch`] has panicked, it is stopped for good.
pub struct Supervised<L: Launch> {
    handle: Arc<Handle<L>>,
}

struct Handle<L: Launch> {
    shared: Arc<Shared<L>>,
}

/// Why it is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "not wanted, tried again or given up: no fourth")]
pub enum Unready<E> {
    /// Nobody has started it, or someone has stopped it.
    #[error("it is stopped")]
    Stopped,
    /// It did not start; the next attempt comes.
    #[error("it did not start, and will be tried again")]
    Failing {
        /// Why it did not start.
        #[source]
        error: E,
        /// When the next attempt is.
        until: Instant,
    },
    /// It is not started again until it is told to.
    #[error("it has failed, and is not started again")]
    Failed {
        /// How it ended the last time, unless that was normally, and too often.
        error: Option<E>,
    },
}

type Verdict<L> = Result<Arc<<L as Launch>::Running>, Unready<<L as Launch>::Error>>;

impl<L: Launch> Supervised<L> {
    pub(crate) fn new(shared: Arc<Shared<L>>) -> Self {
        Self { handle: Arc::new(Handle { shared }) }
    }

    /// Starts it, if it is stopped or has failed. Otherwise it is on its way, and stays so.
    pub fn start(&self) {
        self.shared().update(|state, now| state.lifecycle.start(now));
    }

    /// Ends it for good, and returns when nothing is left of it. Once begun it goes on, even when
    /// the returned future is dropped. Any number of callers may ask.
    pub async fn stop(&self) {
        self.shared().update(|state, now| state.lifecycle.stop(now));
        let (asked, version) = {
            let state = self.shared().lock();
            (state.lifecycle.incarnation(), state.version)
        };
        let is_over = |status: &Status<L::Error>| {
            let is_stopped = status.phase == Phase::Stopped || status.incarnation != asked;
            is_stopped && status.version >= version
        };
        // It cannot fail: this handle keeps the sender.
        let _ = self.watch().wait_for(is_over).await;
    }

    /// Ends what there is and starts anew, with a clean record, also after it has failed. Returns
    /// as [`ready`](Self::ready) does. Once begun it goes on, even when the returned future is
    /// dropped.
    pub async fn restart(&self) -> Result<Arc<L::Running>, Unready<L::Error>> {
        self.shared().update(|state, now| state.lifecycle.restart(now));
        self.ready().await
    }

    /// Ends `running` because of `error`, as if it had failed by itself: the policy decides what
    /// follows. Does nothing if `running` is not the current incarnation.
    pub fn fail(&self, running: &Arc<L::Running>, error: L::Error) {
        self.shared().update(|state, now| {
            if state.running.as_ref().is_some_and(|current| Arc::ptr_eq(current, running)) {
                state.error = Some(error);
                let incarnation = state.lifecycle.incarnation();
                state.lifecycle.ended(incarnation, Ending::Abnormal, now);
            }
        });
    }

    /// Says that someone needs it now; see [`Policy::nudge`](crate::Policy::nudge).
    pub fn nudge(&self) {
        self.shared().update(|state, _| state.lifecycle.nudge());
    }

    /// What was launched, while it is ready.
    pub fn running(&self) -> Option<Arc<L::Running>> {
        self.shared().lock().running.clone()
    }

    /// Waits until it is ready, or until there is no point in waiting: not for one that is stopped,
    /// that has failed, or that failed to start and waits for its next attempt. Cancel safe.
    ///
    /// It does wait for the restart of one that was ready before it ended: at most the longest
    /// pause and `start_timeout`.
    pub async fn ready(&self) -> Result<Arc<L::Running>, Unready<L::Error>> {
        let mut status = self.watch();
        loop {
            let (verdict, version) = self.verdict();
            match verdict {
                Some(verdict) => return verdict,
                None => changed(&mut status, version).await,
            }
        }
    }

    /// `None`: wait for something newer than this version.
    fn verdict(&self) -> (Option<Verdict<L>>, u64) {
        let state = self.shared().lock();
        let error = || state.error.clone();
        let verdict = match state.lifecycle.phase() {
            Phase::Running => state.running.clone().map(Ok),
            Phase::Stopped | Phase::Stopping { then: Then::Stop } => Some(Err(Unready::Stopped)),
            Phase::Failed(_) => Some(Err(Unready::Failed { error: error() })),
            Phase::Backoff { until, after: Ending::NeverReady, .. } => {
                error().map(|error| Err(Unready::Failing { error, until }))
            }
            Phase::Backoff { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => None,
        };
        (verdict, state.version)
    }

    /// How it is doing now.
    pub fn status(&self) -> Status<L::Error> {
        self.shared().status.borrow().clone()
    }

    /// How it is doing, from now on. A change that is undone before anyone looks may go unseen.
    pub fn watch(&self) -> watch::Receiver<Status<L::Error>> {
        self.shared().status.subscribe()
    }

    /// What became of it so far.
    pub fn stats(&self) -> Stats {
        self.shared().lock().lifecycle.stats()
    }

    fn shared(&self) -> &Shared<L> {
        &self.handle.shared
    }
}

impl<L: Launch> Clone for Supervised<L> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<L: Launch> fmt::Debug for Supervised<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lifecycle = &self.shared().lock().lifecycle;
        f.debug_struct("Supervised")
            .field("phase", &lifecycle.phase())
            .field("incarnation", &lifecycle.incarnation())
            .finish_non_exhaustive()
    }
}

impl<L: Launch> Drop for Handle<L> {
    fn drop(&mut self) {
        self.shared.update(|state, now| {
            state.lifecycle.stop(now);
            state.is_closed = true;
        });
    }
}
