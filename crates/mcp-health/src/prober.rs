//! The task that probes.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::{Calls, Config, ConfigError, Health, Outcome, Report, State};

/// What a [`Prober`] asks.
///
/// Every `Fn() -> impl Future<Output = Outcome>` is one.
pub trait Check: Send + Sync + 'static {
    /// Asks once. Dropped when it takes longer than [`Config::timeout`].
    fn check(&self) -> impl Future<Output = Outcome> + Send;
}

impl<F, T> Check for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Outcome> + Send,
{
    fn check(&self) -> impl Future<Output = Outcome> + Send {
        self()
    }
}

/// Probes until it is dropped.
#[derive(Debug)]
pub struct Prober {
    passive: Arc<Passive>,
    task: AbortHandle,
}

/// Where the results of calls are told. A call that succeeds costs one addition.
#[derive(Debug)]
pub struct Passive {
    succeeded: AtomicU64,
    slow: AtomicU64,
    /// Whether calls succeeded since the prober last looked: those above may have been told by then.
    heard: AtomicBool,
    slow_from: Duration,
    health: Mutex<Health>,
    state: watch::Sender<State>,
}

impl Prober {
    /// Begins to ask `check`, for the first time at some moment of the first interval, on the current
    /// tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime, or on one without time.
    pub fn start(config: Config, check: impl Check) -> Result<Self, ConfigError> {
        let passive = Passive::new(config)?;
        let task = tokio::spawn(run(Arc::clone(&passive), check)).abort_handle();
        Ok(Self { passive, task })
    }

    /// Where results of calls are told, and all that is known is read.
    pub fn passive(&self) -> &Arc<Passive> {
        &self.passive
    }

    /// The state, as it changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.passive.watch()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Passive {
    /// One of which nothing is known, for those who have no probe to ask.
    pub fn new(config: Config) -> Result<Arc<Self>, ConfigError> {
        let slow_from = config.slow;
        let health = Mutex::new(Health::new(config, now())?);
        let (succeeded, slow, heard, state) = Default::default();
        Ok(Arc::new(Self { succeeded, slow, heard, slow_from, health, state }))
    }

    /// A call had an answer after `latency`.
    pub fn succeeded(&self, latency: Duration) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        if latency >= self.slow_from {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(*self.state.borrow(), State::Unhealthy | State::Unknown) {
            // That is news, and need not wait for the next probe.
            self.update(|_, _| {});
        }
    }

    /// A call failed for a reason of the server's: not because of its arguments, nor because its
    /// client took it back.
    pub fn failed(&self) {
        self.update(|health, now| {
            let _ = health.called(Calls { failed: 1, ..Calls::default() }, now);
        });
    }

    /// Something else stands in its place.
    pub fn reset(&self) {
        self.collect();
        self.heard.store(false, Ordering::Relaxed);
        self.update(|health, now| {
            let _ = health.reset(now);
        });
    }

    /// The state.
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// The state, as it changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// All that is known.
    pub fn report(&self) -> Report {
        self.update(|_, _| {});
        self.lock().report(now())
    }

    /// Whether calls succeeded since this was last asked, with all that is known of them told.
    fn has_heard(&self) -> bool {
        self.update(|_, _| {});
        self.heard.swap(false, Ordering::Relaxed)
    }

    fn probed(&self, outcome: &Outcome, latency: Duration) {
        self.update(|health, now| {
            let _ = health.probed(outcome, latency, now);
        });
    }

    fn collect(&self) -> Calls {
        let succeeded = self.succeeded.swap(0, Ordering::Relaxed);
        if succeeded > 0 {
            self.heard.store(true, Ordering::Relaxed);
        }
        Calls { succeeded, slow: self.slow.swap(0, Ordering::Relaxed), failed: 0 }
    }

    fn update(&self, change: impl FnOnce(&mut Health, std::time::Instant)) {
        self.update_with(self.collect(), change);
    }

    fn update_with(&self, calls: Calls, change: impl FnOnce(&mut Health, std::time::Instant)) {
        let mut health = self.lock();
        let now = now();
        if calls.succeeded > 0 {
            let _ = health.called(calls, now);
        }
        change(&mut health, now);
        let state = health.state();
        // Told under the lock, so that the last one told is the one that holds.
        self.state.send_if_modified(|told| std::mem::replace(told, state) != state);
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(passive: Arc<Passive>, check: impl Check) {
    let config = passive.lock().config().clone();
    // Probers that were started together do not ask together.
    sleep(config.interval.mul_f64(chance())).await;
    loop {
        // A server that answers calls is not asked whether it would.
        if !(passive.has_heard() && config.skip_when_busy) {
            let began = Instant::now();
            let outcome = timeout(config.timeout, check.check())
                .await
                .unwrap_or_else(|_| Outcome::Bad(format!("no answer within {:?}", config.timeout)));
            passive.probed(&outcome, began.elapsed());
        }
        let stretch = 1.0 + config.jitter * (2.0 * chance() - 1.0);
        sleep(config.interval.mul_f64(stretch)).await;
    }
}

/// The one place here that reads a clock; tokio's, so that tests can pause it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// 0 to 1. Chance enough for a pause: each `RandomState` has keys of its own.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}
