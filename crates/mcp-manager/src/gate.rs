//! What stands before a replica, or a tool: calls that would fail are refused there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp_breaker::{Breaker, Config, Outcome, State, Ticket, Window};
use mcp_bulkhead::{Adaptive, Ask, Bulkhead, OwnedPermit, Sample};

use crate::config::{BreakerPolicy, CallLimits};
use crate::failure::Failure;
use crate::hold::Circuit;
use crate::judge::Judgement;
use crate::server::lock;
use crate::state::CircuitStatus;

/// The window of a breaker is at least this.
const WINDOW_MIN: Duration = Duration::from_millis(100);

/// What stands before one replica, or one tool.
#[derive(Debug)]
pub(crate) struct Gate {
    breaker: Option<Breaker>,
    bulkhead: Option<Arc<Bulkhead>>,
    /// Whether the breaker has changed since somebody looked.
    news: Arc<AtomicBool>,
    /// When a connection was lost last.
    lost: Mutex<Option<Instant>>,
}

/// A call that was let through. Dropping it says nothing of what became of it.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    ticket: Option<Ticket>,
    permit: Option<OwnedPermit>,
    begun: Instant,
}

/// Why a call does not go through, at once.
#[derive(Debug)]
pub(crate) enum Shut {
    /// It would fail.
    Open(mcp_breaker::Rejected),
    /// As many are under way as may be: it may wait.
    Full,
}

impl Gate {
    /// `what`: how the log calls it.
    pub(crate) fn new(
        breaker: &BreakerPolicy,
        limits: Option<&CallLimits>,
        what: String,
        now: Instant,
    ) -> Arc<Self> {
        let news: Arc<AtomicBool> = Arc::default();
        let breaker = breaker.enabled.then(|| {
            let heard = Arc::clone(&news);
            let breaker = Breaker::new(circuit(breaker), now).ok()?;
            Some(breaker.on_change(move |change| {
                heard.store(true, Ordering::Relaxed);
                match change.to {
                    State::Open => tracing::warn!("{what}: the circuit opens: {}", change.cause),
                    to => tracing::info!("{what}: the circuit is {to}"),
                }
            }))
        });
        let limits = limits.filter(|limits| limits.concurrent.is_some() || limits.adaptive);
        let bulkhead = limits.and_then(|limits| Bulkhead::new(room(limits)).ok());
        let (breaker, bulkhead) = (breaker.flatten(), bulkhead.map(Arc::new));
        Arc::new(Self { breaker, bulkhead, news, lost: Mutex::new(None) })
    }

    /// Lets a call through, or says why not.
    pub(crate) fn try_enter(self: &Arc<Self>, now: Instant) -> Result<Pass, Shut> {
        let permit = self.bulkhead.as_ref().map(|bulkhead| bulkhead.try_permit_owned());
        let permit = permit.transpose().map_err(|_| Shut::Full)?;
        self.pass(permit, now).map_err(Shut::Open)
    }

    /// The same, when it is its turn.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        ask: Ask,
        server: &str,
        tool: Option<&str>,
    ) -> Result<Pass, Failure> {
        let permit = match &self.bulkhead {
            Some(bulkhead) => {
                let busy = |rejected: mcp_bulkhead::Rejected| Failure::Busy {
                    server: server.to_owned(),
                    tool: tool.map(str::to_owned),
                    why: rejected.to_string(),
                };
                Some(bulkhead.permit_owned(ask).await.map_err(busy)?)
            }
            None => None,
        };
        let now = tokio::time::Instant::now().into_std();
        self.pass(permit, now).map_err(|rejected| refused(server, tool, rejected))
    }

    fn pass(
        self: &Arc<Self>,
        permit: Option<OwnedPermit>,
        now: Instant,
    ) -> Result<Pass, mcp_breaker::Rejected> {
        let ticket = self.breaker.as_ref().map(|breaker| breaker.admit(now)).transpose()?;
        Ok(Pass { gate: Arc::clone(self), ticket, permit, begun: now })
    }

    /// How its bulkhead is doing, if it has one.
    pub(crate) fn room(&self) -> Option<mcp_bulkhead::Stats> {
        self.bulkhead.as_ref().map(|bulkhead| bulkhead.stats())
    }

    pub(crate) fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_ref()
    }

    pub(crate) fn force(&self, circuit: Circuit, now: Instant) {
        let Some(breaker) = &self.breaker else { return };
        match circuit {
            Circuit::Open => breaker.force_open(now),
            Circuit::Close => breaker.force_close(now),
            Circuit::Reset => breaker.reset(now),
        }
    }

    /// How its breaker is doing, if it has one.
    pub(crate) fn status(&self, now: Instant) -> Option<CircuitStatus> {
        let breaker = self.breaker.as_ref()?;
        Some(CircuitStatus { view: breaker.state(now), stats: breaker.stats(now) })
    }

    /// Whether calls are refused here, for now.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        let state = self.breaker.as_ref().map(|breaker| breaker.state(now).state);
        matches!(state, Some(State::Open | State::HalfOpen | State::ForcedOpen))
    }

    /// Something else stands behind it now.
    pub(crate) fn renew(&self, now: Instant) {
        if let Some(breaker) = &self.breaker
            && matches!(breaker.state(now).state, State::Open | State::HalfOpen)
        {
            breaker.reset(now);
        }
    }

    /// Whether the breaker has changed since this was last asked.
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Relaxed) && self.news.swap(false, Ordering::Relaxed)
    }
}

impl Pass {
    /// What became of the call; whether the gate's state is another one now.
    pub(crate) fn judge(mut self, judgement: Judgement, now: Instant) -> bool {
        let outcome = match judgement {
            Judgement::Good => Outcome::Success,
            Judgement::Bad => Outcome::Failure,
            Judgement::Busy(retry_after) => Outcome::Throttled { retry_after },
            Judgement::Nothing => Outcome::Ignored,
        };
        self.record(outcome, now);
        self.gate.has_news()
    }

    /// The call's connection was lost; as for [`judge`](Self::judge). All calls that are lost together
    /// are one failure: a server that restarts while many are under way has failed once.
    pub(crate) fn lost(self, now: Instant) -> bool {
        let together = {
            let mut lost = lock(&self.gate.lost);
            let together = lost.is_some_and(|last| self.begun <= last);
            if !together {
                *lost = Some(now);
            }
            together
        };
        self.judge(if together { Judgement::Nothing } else { Judgement::Bad }, now)
    }

    fn record(&mut self, outcome: Outcome, now: Instant) {
        if let Some(permit) = self.permit.take() {
            let sample = match outcome {
                Outcome::Success => Sample::Answered,
                Outcome::Failure | Outcome::Throttled { .. } => Sample::Dropped,
                Outcome::Ignored => Sample::Ignored,
            };
            permit.finish(sample, now.saturating_duration_since(self.begun));
        }
        if let (Some(breaker), Some(ticket)) = (&self.gate.breaker, self.ticket.take()) {
            breaker.record(ticket, outcome, now.saturating_duration_since(self.begun), now);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.record(Outcome::Ignored, tokio::time::Instant::now().into_std());
        }
    }
}

/// What a refusal is called: of `server`, or of a tool of it.
pub(crate) fn refused(
    server: &str,
    tool: Option<&str>,
    rejected: mcp_breaker::Rejected,
) -> Failure {
    Failure::CircuitOpen {
        server: server.to_owned(),
        tool: tool.map(str::to_owned),
        why: rejected.cause.to_string(),
        retry_after: rejected.retry_after,
    }
}

fn circuit(policy: &BreakerPolicy) -> Config {
    let mut config = Config::default();
    let share = f64::from(policy.rate) / 100.0;
    config.failures_in_row = Some(policy.failures);
    config.failure_share = Some(share);
    config.window = Window::Time(policy.window.max(WINDOW_MIN));
    config.calls_min = policy.samples;
    if let Some(slow) = policy.slow {
        (config.slow_after, config.slow_share) = (slow, Some(share));
    }
    config.cooldown = policy.pause;
    config.cooldown_max = policy.pause_max;
    config.successes_to_close = 1;
    config
}

/// The limit that a search begins with.
const SEARCH_FROM: usize = 20;
/// The most that a search comes to, where nothing is said.
const SEARCH_TO: usize = 200;

fn room(limits: &CallLimits) -> mcp_bulkhead::Config {
    let mut config = mcp_bulkhead::Config::default();
    let most = limits.concurrent.unwrap_or(SEARCH_TO);
    config.limit = most;
    if limits.adaptive {
        let mut adaptive = Adaptive::default();
        adaptive.max = most;
        config.limit = most.min(SEARCH_FROM);
        config.adaptive = Some(adaptive);
    }
    config.queued_max = limits.queued;
    config.wait_max = limits.wait;
    config
}
