//! The task that does what a lifecycle says.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use tokio::time;

use crate::supervised::Supervised;
use crate::{Ending, Launch, Lifecycle, Phase, Policy, PolicyError};

/// Supervises what `launch` starts, on the current tokio runtime: stopped, until it is told to
/// [start](Supervised::start).
///
/// # Panics
///
/// Outside a tokio runtime, or on one without time.
pub fn supervise<L: Launch>(policy: Policy, launch: L) -> Result<Supervised<L>, PolicyError> {
    let lifecycle = Lifecycle::new(policy, now())?;
    let shared = Arc::new(Shared::new(lifecycle));
    let status = shared.status.subscribe();
    let driver = Driver { launch, shared: Arc::clone(&shared), status, current: None };
    tokio::spawn(driver.run());
    Ok(Supervised::new(shared))
}

/// How something that is supervised is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status<E> {
    /// What is being done about it.
    pub phase: Phase,
    /// When that began.
    pub since: Instant,
    /// How often it was launched: the number of the current incarnation, or of the last one.
    pub incarnation: u64,
    /// Why it last failed to start, or ended otherwise than it should. `None` if it never did, or
    /// last ended normally.
    pub error: Option<E>,
    /// Counts the changes.
    pub(crate) version: u64,
}

/// What the handles and the task have in common.
///
/// A change is told when the lock is free again, because whoever looks at a status may ask for more.
pub(crate) struct Shared<L: Launch> {
    state: Mutex<State<L>>,
    pub(crate) status: watch::Sender<Status<L::Error>>,
}

pub(crate) struct State<L: Launch> {
    pub(crate) lifecycle: Lifecycle,
    /// Only while the phase is [`Phase::Running`].
    pub(crate) running: Option<Arc<L::Running>>,
    pub(crate) error: Option<L::Error>,
    /// No handle is left.
    pub(crate) is_closed: bool,
    /// No task is left: the runtime was shut down, or a method of `launch` has panicked.
    is_over: bool,
    pub(crate) version: u64,
}

impl<L: Launch> State<L> {
    fn status(&self) -> Status<L::Error> {
        let lifecycle = &self.lifecycle;
        Status {
            phase: lifecycle.phase(),
            since: lifecycle.since(),
            incarnation: lifecycle.incarnation(),
            error: self.error.clone(),
            version: self.version,
        }
    }

    fn position(&self) -> (Phase, u64, bool) {
        (self.lifecycle.phase(), self.lifecycle.incarnation(), self.is_closed)
    }
}

impl<L: Launch> Shared<L> {
    fn new(lifecycle: Lifecycle) -> Self {
        let state = State {
            lifecycle,
            running: None,
            error: None,
            is_closed: false,
            is_over: false,
            version: 0,
        };
        let (status, _) = watch::channel(state.status());
        Self { state: Mutex::new(state), status }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells everyone who waits, if it has changed. Once there is no task
    /// left, nothing changes.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State<L>, Instant)) {
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        let before = state.position();
        change(&mut state, now());
        let is_running = state.lifecycle.phase() == Phase::Running;
        let lost = state.running.take_if(|_| !is_running);
        if state.position() == before {
            return;
        }
        state.version += 1;
        let status = state.status();
        drop(state);
        // Foreign code, and so not under the lock either.
        drop(lost);
        self.status.send_if_modified(|told| {
            // Someone else may have changed more meanwhile, and told that first.
            let is_news = status.version > told.version;
            if is_news {
                *told = status;
            }
            is_news
        });
    }
}

/// Returns when there is something newer than `version`.
pub(crate) async fn changed<E>(status: &mut watch::Receiver<Status<E>>, version: u64) {
    // It cannot fail: whoever calls this keeps the sender.
    let _ = status.wait_for(|status| status.version > version).await;
}

struct Driver<L: Launch> {
    launch: L,
    shared: Arc<Shared<L>>,
    status: watch::Receiver<Status<L::Error>>,
    /// What was launched, until it is ended.
    current: Option<Arc<L::Running>>,
}

impl<L: Launch> Driver<L> {
    async fn run(mut self) {
        loop {
            let (position, version) = {
                let state = self.shared.lock();
                (state.position(), state.version)
            };
            let (phase, incarnation, is_closed) = position;
            match phase {
                Phase::Stopped if is_closed => return,
                Phase::Stopped | Phase::Failed(_) => changed(&mut self.status, version).await,
                Phase::Starting { until } => self.start(incarnation, until, version).await,
                Phase::Running => self.watch(incarnation, version).await,
                Phase::Stopping { .. } => self.end(incarnation).await,
                Phase::Backoff { until, .. } => self.pause(until, version).await,
            }
        }
    }

    async fn start(&mut self, incarnation: u64, until: Instant, version: u64) {
        let launched = tokio::select! {
            biased;
            () = changed(&mut self.status, version) => return,
            launched = self.launch.launch() => launched,
            () = time::sleep_until(until.into()) => {
                let limit = self.shared.lock().lifecycle.policy().start_timeout;
                Err(self.launch.late(limit))
            }
        };
        match launched {
            Ok(running) => {
                self.current = Some(Arc::clone(&running));
                self.shared.update(|state, now| {
                    state.running = Some(running);
                    state.lifecycle.ready(incarnation, now);
                });
            }
            Err(error) => self.shared.update(|state, now| {
                if matches!(state.lifecycle.phase(), Phase::Starting { .. }) {
                    state.error = Some(error);
                    state.lifecycle.not_ready(incarnation, now);
                }
            }),
        }
    }

    async fn watch(&mut self, incarnation: u64, version: u64) {
        let Some(running) = &self.current else { return };
        let ended = tokio::select! {
            biased;
            () = changed(&mut self.status, version) => return,
            ended = self.launch.ended(running) => ended,
        };
        self.shared.update(|state, now| {
            // Someone may have ended it meanwhile, for a reason of their own.
            if state.lifecycle.phase() == Phase::Running {
                let ending = if ended.is_ok() { Ending::Normal } else { Ending::Abnormal };
                state.error = ended.err();
                state.lifecycle.ended(incarnation, ending, now);
            }
        });
    }

    async fn end(&mut self, incarnation: u64) {
        match self.current.take() {
            Some(running) => self.launch.end(running).await,
            None => self.launch.abandon().await,
        }
        self.shared.update(|state, now| state.lifecycle.gone(incarnation, now, random()));
    }

    async fn pause(&mut self, until: Instant, version: u64) {
        tokio::select! {
            biased;
            () = changed(&mut self.status, version) => {}
            () = time::sleep_until(until.into()) => {
                self.shared.update(|state, now| state.lifecycle.tick(now));
            }
        }
    }
}

impl<L: Launch> Drop for Driver<L> {
    /// Whoever waits must not wait for a task that is gone.
    fn drop(&mut self) {
        self.shared.update(|state, now| {
            let incarnation = state.lifecycle.incarnation();
            state.lifecycle.stop(now);
            state.lifecycle.gone(incarnation, now, 0);
            state.is_over = true;
        });
    }
}

/// The one place here that reads a clock; tokio's, so that tests can pause it.
pub(crate) fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Chance enough for a pause: each `RandomState` has keys of its own.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
