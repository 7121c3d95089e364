//! One running instance of a server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use mcp_health::{Prober, Report};
use mcp_supervisor::{Ending, GaveUp, Phase, Supervised, supervise};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::hold::Hold;
use crate::keeper::{Keeper, policy};
use crate::opener::Opener;
use crate::server::{Server, lock};
use crate::slot::Slot;
use crate::state::{ReplicaStatus, Totals};
use crate::upstream::Upstream;

/// How the supervision of a replica is doing.
pub(crate) type Status = mcp_supervisor::Status<Failure>;

/// A replica, and what keeps it open.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) opener: Arc<Opener>,
    number: usize,
    /// Keeps our own connection open, for stateless requests of all clients. Made when it is first
    /// wanted, because it takes a runtime.
    kept: OnceLock<Result<Supervised<Keeper>, Failure>>,
    /// Our own session, shared by all clients where the server is declared shareable.
    pub(crate) shared: Arc<Slot>,
    /// Asks for its health, once it is kept open.
    prober: OnceLock<Option<Prober>>,
    /// Why it gets no calls, if somebody wants it.
    hold: Mutex<Option<Hold>>,
    /// Whether others serve, and this one only if they fail.
    standby: AtomicBool,
}

/// What there is to hope for where a replica is not ready.
#[derive(Debug)]
pub(crate) enum Prospect {
    /// It is on its way.
    Soon,
    /// It died, and is started again at this time.
    Later(Instant, Option<Failure>),
    /// It has ended and is not started again by itself, but by the next call.
    Idle(Failure),
    /// It does not start, or not yet; when it is tried again, if it is.
    None(Failure, Option<Instant>),
}

impl Replica {
    pub(crate) fn new(opener: &Opener, number: usize) -> Arc<Self> {
        Arc::new(Self {
            opener: Arc::new(opener.part(number)),
            number,
            kept: OnceLock::new(),
            shared: Arc::default(),
            prober: OnceLock::new(),
            hold: Mutex::new(None),
            standby: AtomicBool::new(false),
        })
    }

    /// No other replica of its server has this number at the same time.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Our own connection to it, if it is open and alive.
    pub(crate) fn ours(&self) -> Option<Arc<Upstream>> {
        self.supervised()?.running().filter(|upstream| upstream.is_alive())
    }

    pub(crate) fn hold(&self, hold: Option<Hold>) {
        *lock(&self.hold) = hold;
    }

    pub(crate) fn stand_by(&self, stands_by: bool) {
        self.standby.store(stands_by, Ordering::Relaxed);
    }

    /// Whether others serve, and this one only if they fail.
    pub(crate) fn stands_by(&self) -> bool {
        self.standby.load(Ordering::Relaxed)
    }

    /// Why it gets no calls, if somebody wants it so.
    pub(crate) fn held(&self, now: Instant) -> Option<Hold> {
        lock(&self.hold).filter(|hold| match hold {
            Hold::Drained => true,
            Hold::Ejected { until } => now < *until,
        })
    }

    /// As the choice between replicas sees it.
    pub(crate) fn standing(&self) -> mcp_balance::State {
        use mcp_balance::State;
        if self.held(tokio::time::Instant::now().into_std()).is_some() {
            return State::Away;
        }
        match (self.ours(), self.health().map(|report| report.state)) {
            (None, _) => State::Away,
            (Some(_), Some(mcp_health::State::Unhealthy)) => State::Unhealthy,
            (Some(_), Some(mcp_health::State::Degraded)) => State::Degraded,
            (Some(_), _) => State::Ready,
        }
    }

    /// All that is known of its health; `None` where nothing asks for it.
    pub(crate) fn health(&self) -> Option<Report> {
        Some(self.prober.get()?.as_ref()?.passive().report())
    }

    /// Opens it, and keeps it open from now on. One that is, or is on its way, stays so.
    pub(crate) fn start(self: &Arc<Self>, server: &Weak<Server>) {
        if let Ok(kept) = self.kept.get_or_init(|| self.keep(server)) {
            kept.start();
        }
    }

    fn keep(self: &Arc<Self>, server: &Weak<Server>) -> Result<Supervised<Keeper>, Failure> {
        self.opener.sound()?;
        let keeper = Keeper::new(Weak::clone(server), Arc::clone(&self.opener));
        let kept = supervise(policy(&self.opener.definition), keeper).map_err(|error| {
            let (server, why) = (self.opener.name.to_string(), error.to_string());
            Failure::Config { server, why }
        })?;
        tokio::spawn(follow(Weak::clone(server), Arc::downgrade(self), kept.watch()));
        let prober = self.look_after(server)?;
        if let Some(prober) = &prober {
            self.opener.hear(prober.passive());
        }
        let _ = self.prober.set(prober);
        Ok(kept)
    }

    /// Somebody needs it: starts it if it is not kept open, and tries again what costs nothing.
    pub(crate) fn nudge(self: &Arc<Self>, server: &Weak<Server>) {
        if self.opener.is_retired() {
            return;
        }
        let Ok(kept) = self.kept.get_or_init(|| self.keep(server)) else { return };
        match kept.status().phase {
            Phase::Stopped | Phase::Failed(GaveUp::Temporary) => kept.start(),
            _ => kept.nudge(),
        }
    }

    /// Ends what there is of it, and opens it with a clean record.
    pub(crate) fn restart(self: &Arc<Self>, server: &Weak<Server>) {
        if let Ok(kept) = self.kept.get_or_init(|| self.keep(server)) {
            let kept = kept.clone();
            // It goes on when nobody waits for it.
            tokio::spawn(async move { kept.restart().await.map(drop) });
        }
    }

    /// Ends it as if it had failed by itself, if `upstream` is its connection.
    pub(crate) fn fail(&self, upstream: &Arc<Upstream>, failure: Failure) {
        if let Some(kept) = self.supervised() {
            kept.fail(upstream, failure);
        }
    }

    /// What there is to hope for while it is not ready.
    pub(crate) fn prospect(&self) -> Prospect {
        let kept = match self.kept.get() {
            Some(Ok(kept)) => kept,
            Some(Err(failure)) => return Prospect::None(failure.clone(), None),
            None => return Prospect::Soon,
        };
        let Status { phase, error, .. } = kept.status();
        match phase {
            Phase::Backoff { until, after: Ending::NeverReady, .. } => {
                Prospect::None(self.last(error), Some(until))
            }
            Phase::Backoff { until, .. } => Prospect::Later(until, error),
            Phase::Failed(GaveUp::Temporary) | Phase::Stopped => Prospect::Idle(self.last(error)),
            Phase::Failed(_) => Prospect::None(self.last(error), None),
            Phase::Starting { .. } | Phase::Running | Phase::Stopping { .. } => Prospect::Soon,
        }
    }

    /// Why it ended last. It may have ended as it should.
    pub(crate) fn last(&self, error: Option<Failure>) -> Failure {
        error.unwrap_or_else(|| Failure::Unavailable {
            server: self.opener.name.to_string(),
            why: "it has ended".to_owned(),
            stderr: Vec::new(),
        })
    }

    /// Ends it, and returns when nothing is left of it.
    pub(crate) async fn stop(&self) {
        if let Some(kept) = self.supervised() {
            kept.stop().await;
        }
        self.shared.clear();
        self.opener.end().await;
    }

    pub(crate) fn supervised(&self) -> Option<&Supervised<Keeper>> {
        self.kept.get()?.as_ref().ok()
    }

    /// What became of it so far.
    pub(crate) fn totals(&self) -> Totals {
        self.supervised().map(|kept| Totals::from(kept.stats())).unwrap_or_default()
    }

    /// How it is doing, as others see it.
    pub(crate) fn status(&self) -> ReplicaStatus {
        let status = self.supervised().map(Supervised::status);
        let (phase, since) = status.as_ref().map(|status| (status.phase, status.since)).unzip();
        let state = match phase {
            None if matches!(self.kept.get(), Some(Err(_))) => "failed",
            None | Some(Phase::Stopped) => "stopped",
            Some(Phase::Failed(GaveUp::Temporary)) => "stopped",
            Some(Phase::Starting { .. }) => "starting",
            Some(Phase::Running) => "ready",
            Some(Phase::Stopping { .. }) => "stopping",
            Some(Phase::Backoff { .. }) => "restarting",
            Some(Phase::Failed(_)) => "failed",
        };
        let next_attempt = match phase {
            Some(Phase::Backoff { until, .. }) => Some(until),
            _ => None,
        };
        let ours = self.ours();
        let faulty = self.kept.get().and_then(|kept| kept.as_ref().err().cloned());
        ReplicaStatus {
            number: self.number,
            state,
            pid: ours.as_ref().and_then(|ours| Some(ours.process()?.pid())),
            url: self.opener.definition.url(self.number),
            restarts: self.totals().restarted,
            in_flight: self.opener.load().in_flight(),
            since,
            next_attempt,
            last_error: status.and_then(|status| status.error).or(faulty),
            health: self.health(),
            hold: self.held(tokio::time::Instant::now().into_std()),
            standby: self.stands_by(),
            circuit: None,
            room: None,
            usage: ours.as_ref().and_then(|ours| ours.process()?.usage()),
            limits: ours
                .as_ref()
                .and_then(|ours| Some(ours.process()?.enforced().to_vec()))
                .unwrap_or_default(),
        }
    }
}

/// Tells a server how its replica is doing, each time that this changes.
async fn follow(
    server: Weak<Server>,
    replica: Weak<Replica>,
    mut statuses: watch::Receiver<Status>,
) {
    loop {
        let status = statuses.borrow_and_update().clone();
        {
            let (Some(server), Some(replica)) = (server.upgrade(), replica.upgrade()) else {
                return;
            };
            if status.phase == Phase::Running
                && let Some(Some(prober)) = replica.prober.get()
            {
                // Another life of it, of which nothing is known but that it has shaken hands.
                prober.passive().reset();
                prober.passive().succeeded(Duration::ZERO);
            }
            if status.phase == Phase::Running
                && let Some(gate) = server.line_up().gate(replica.number)
            {
                gate.renew(tokio::time::Instant::now().into_std());
            }
            server.note(&replica, &status);
        }
        if statuses.changed().await.is_err() {
            return;
        }
    }
}
