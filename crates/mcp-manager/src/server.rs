//! One server of the fleet: its replicas, its state, what it offers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use mcp_wire::{Members, Timing};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::client::Client;
use crate::doubt::Doubt;
use crate::duty::Roll;
use crate::failure::Failure;
use crate::feed::Feed;
use crate::gate::Gate;
use crate::header_params::HeaderParams;
use crate::hear::Stale;
use crate::line_up::{Current, LineUp, Standing};
use crate::lists::{self, ListKind};
use crate::logbook::Logbook;
use crate::names::Label;
use crate::opener::Opener;
use crate::pace::{CallStats, Pace};
use crate::profile::Profiles;
use crate::replica::Replica;
use crate::state::{ReplicaStatus, State, ToolStatus, Totals};
use crate::upstream::Upstream;

/// After a look at a list for a name that is not known, the next unknown name is not looked for.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A logical server.
#[derive(Debug)]
pub struct Server {
    name: Arc<str>,
    label: Label,
    line_up: RwLock<Arc<LineUp>>,
    /// Sessions of ours that say what stateless clients can do.
    pub(crate) profiles: Profiles,
    pub(crate) state: watch::Sender<State>,
    /// Counts what happens to its replicas.
    pub(crate) moves: watch::Sender<u64>,
    /// Calls that wait for a replica.
    pub(crate) waiting: AtomicUsize,
    catalog: Catalog,
    logbook: Arc<Logbook>,
    /// What became of its calls.
    pub(crate) pace: Pace,
    /// Whether it could not be reached when it was last called.
    pub(crate) doubt: Doubt,
    /// When a list was last fetched because of a name that was not known.
    looked: Mutex<Option<Instant>>,
    /// Counts how often a replica has come up and said what it offers.
    pub(crate) arrivals: watch::Sender<u64>,
    feed: Arc<Feed>,
    stale: Mutex<Stale>,
    /// The clients that share our session.
    sharers: Mutex<Vec<Weak<Client>>>,
    /// Which replicas have served. Held while the balancer is told how they are.
    roll: Mutex<Roll>,
    /// Held while what it consists of is being changed, so that changes come one after the other.
    pub(crate) turnover: tokio::sync::Mutex<()>,
    /// What became of the replicas that are gone.
    pub(crate) past: Mutex<Totals>,
    pub(crate) itself: Weak<Self>,
}

impl Server {
    pub(crate) fn new(opener: Opener) -> Arc<Self> {
        let logbook = Arc::new(Logbook::default());
        opener.log_to(&logbook);
        let line_up = LineUp::new(opener);
        let state = match line_up.standing {
            Standing::Disabled => State::Disabled,
            _ => State::Starting,
        };
        let name = Arc::clone(&line_up.opener.name);
        let profiles = Profiles::new(line_up.opener.definition.has_processes());
        Arc::new_cyclic(|itself| Self {
            label: Label::of(&name),
            name,
            profiles,
            state: watch::Sender::new(state),
            moves: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            catalog: Catalog::default(),
            logbook,
            pace: Pace::default(),
            doubt: Doubt::default(),
            looked: Mutex::new(None),
            arrivals: watch::Sender::new(0),
            feed: Arc::default(),
            stale: Mutex::default(),
            sharers: Mutex::default(),
            roll: Mutex::default(),
            turnover: tokio::sync::Mutex::default(),
            past: Mutex::default(),
            itself: Weak::clone(itself),
            line_up: RwLock::new(Arc::new(line_up)),
        })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn label(&self) -> &Label {
        &self.label
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What changes here, for those who want to hear it.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    pub(crate) fn stale(&self) -> &Mutex<Stale> {
        &self.stale
    }

    pub(crate) fn sharers(&self) -> &Mutex<Vec<Weak<Client>>> {
        &self.sharers
    }

    /// What it consists of now.
    pub(crate) fn line_up(&self) -> Arc<LineUp> {
        Arc::clone(&self.line_up.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces what it consists of. What it did until now is handed back, for somebody to end it.
    pub(crate) fn install(&self, next: LineUp) -> Arc<LineUp> {
        let next = Arc::new(next);
        let mut line_up = self.line_up.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *line_up, next)
    }

    /// Tells the balancer how the replicas are that are in the line-up now.
    pub(crate) fn tell(&self) {
        // Of two who look at once, the later one is right.
        let mut roll = lock(&self.roll);
        let (changes, wake) = self.line_up().tell();
        for change in &changes {
            let (from, to) = (&change.from, &change.to);
            tracing::warn!(server = %self.name, ?from, ?to, why = change.why.word(), "others serve");
        }
        roll.note(changes);
        let Some(wake) = wake.filter(|wake| roll.is_sooner(*wake)) else { return };
        let server = Weak::clone(&self.itself);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep_until(wake.into()).await;
                if let Some(server) = server.upgrade() {
                    lock(&server.roll).woke(wake);
                    server.assess();
                }
            });
        }
    }

    /// When others took over, of late: the oldest first.
    pub fn failovers(&self) -> Vec<mcp_failover::Change> {
        lock(&self.roll).changes()
    }

    /// Says that somebody wanted others to serve.
    pub(crate) fn forced(&self, change: Option<mcp_failover::Change>) {
        lock(&self.roll).note(change.into_iter().collect());
        self.assess();
    }

    /// The name of the plan by which its replicas serve.
    pub fn plan(&self) -> &'static str {
        self.line_up().treatment.policy().standby.plan.name()
    }

    pub(crate) fn opener(&self) -> Arc<Opener> {
        Arc::clone(&self.line_up().opener)
    }

    /// The word for its transport.
    pub fn transport(&self) -> String {
        self.opener().definition.transport()
    }

    /// How many replicas it is to have.
    pub fn replicas(&self) -> usize {
        self.line_up().replicas.len()
    }

    /// How each replica is doing.
    pub fn replica_status(&self) -> Vec<ReplicaStatus> {
        let (line_up, now) = (self.line_up(), Instant::now().into_std());
        let all = line_up.replicas.iter().zip(line_up.gates());
        let status = |(replica, gate): (&Arc<Replica>, &Arc<Gate>)| {
            let (circuit, room) = (gate.status(now), gate.room());
            ReplicaStatus { circuit, room, ..replica.status() }
        };
        all.map(status).collect()
    }

    /// How the breakers and limits of its tools are doing, by name: of those that have been called and
    /// have any.
    pub fn tool_status(&self) -> Vec<ToolStatus> {
        let now = Instant::now().into_std();
        let gates = self.line_up().treatment.tool_gates();
        let status = |(tool, gate): (Box<str>, Arc<Gate>)| {
            let (circuit, room) = (gate.status(now), gate.room());
            ToolStatus { tool: tool.into(), circuit, room }
        };
        gates.into_iter().map(status).collect()
    }

    /// What became of the calls that were sent to it.
    pub fn call_stats(&self) -> CallStats {
        self.pace.stats(Instant::now())
    }

    /// The name of what chooses between its replicas.
    pub fn strategy(&self) -> &'static str {
        self.line_up().treatment.policy().balance.name()
    }

    /// What became of its replicas so far.
    pub fn totals(&self) -> Totals {
        let line_up = self.line_up();
        let past = *lock(&self.past);
        line_up.replicas.iter().fold(past, |sum, replica| sum.and(replica.totals()))
    }

    /// The calls that are under way, and those that wait: for a replica, or for their turn.
    pub fn queue(&self) -> (usize, usize) {
        let line_up = self.line_up();
        let replicas = line_up.replicas.iter().map(|replica| replica.opener.load().in_flight());
        let in_flight = line_up.opener.load().in_flight() + replicas.sum::<usize>();
        let mut waiting = self.waiting();
        for room in line_up.gates().iter().filter_map(|gate| gate.room()) {
            waiting += room.queued;
        }
        for (_, gate) in line_up.treatment.tool_gates() {
            waiting += gate.room().map_or(0, |room| room.queued);
        }
        (in_flight, waiting)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many tools it is known to offer.
    pub fn tools(&self) -> usize {
        self.catalog.tools()
    }

    /// The headers that a stateless call of `tool` must repeat arguments in. Unknown tools are
    /// looked for once.
    pub(crate) async fn header_params(&self, tool: &str) -> Option<HeaderParams> {
        if let Some(known) = self.catalog.headers(tool) {
            return Some(known);
        }
        self.look_again(&[ListKind::Tools]).await.ok()?;
        self.catalog.headers(tool)
    }

    /// How it is doing now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// How it is doing, as it changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Changes each time a replica has come up and its lists are known.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// What all of its processes write to stderr.
    pub fn logbook(&self) -> &Arc<Logbook> {
        &self.logbook
    }

    /// The last lines that its replicas wrote to stderr, without the secrets that it was given.
    pub fn stderr(&self) -> Vec<String> {
        let line_up = self.line_up();
        let tails = line_up.replicas.iter().filter_map(|replica| replica.opener.stderr());
        let lines = tails.flat_map(|tail| tail.lines()).collect();
        crate::redact::redact(&line_up.opener.definition, lines)
    }

    /// What the pool of its spare processes has counted, where it keeps any.
    #[cfg(feature = "pool")]
    pub fn pool_stats(&self) -> Option<crate::PoolStats> {
        self.line_up().opener.spares.stats()
    }

    /// The processes of its replicas.
    pub fn pids(&self) -> Vec<u32> {
        let line_up = self.line_up();
        line_up.open().filter_map(|upstream| Some(upstream.process()?.pid())).collect()
    }

    pub(crate) fn settings(&self) -> Current {
        Current::of(self.line_up())
    }

    pub(crate) fn timing(&self) -> Timing {
        let settings = self.settings();
        Timing { timeout: settings.call_timeout, timeout_max: settings.call_timeout_max }
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.line_up().standing == Standing::Disabled
    }

    /// Which of its replicas this connection leads to.
    pub(crate) fn replica_of(&self, upstream: &Arc<Upstream>) -> Option<usize> {
        upstream.replica()
    }

    /// A connection of ours that is open now.
    pub(crate) fn ready(&self) -> Option<Arc<Upstream>> {
        self.line_up().open().next()
    }

    /// As [`refresh`](Self::refresh), for a name that is not known: not for every one of them.
    pub(crate) async fn look_again(&self, kinds: &[ListKind]) -> Result<(), Failure> {
        let now = Instant::now();
        let last = lock(&self.looked).replace(now);
        if last.is_some_and(|last| now.duration_since(last) < LOOK_PAUSE) {
            return Ok(());
        }
        for kind in kinds {
            Box::pin(self.refresh(*kind)).await?;
        }
        Ok(())
    }

    /// Fetches a list anew, for what the catalog remembers of it.
    pub(crate) async fn refresh(&self, kind: ListKind) -> Result<(), Failure> {
        let upstream = self.ours().await?;
        lists::fetch(self, &upstream, kind).await
    }
}

/// Whether the server behind `upstream` says that it offers `capability`.
pub(crate) fn offers(upstream: &Upstream, capability: &str) -> bool {
    capabilities(upstream).is_some_and(|all| all.get(capability).is_some())
}

/// Whether it says that `feature` is part of the `capability` that it offers.
pub(crate) fn offers_within(upstream: &Upstream, capability: &str, feature: &str) -> bool {
    let offered = capabilities(upstream).and_then(|all| all.object(capability).ok()?);
    offered.is_some_and(|members| members.get(feature) == Some("true"))
}

/// What the server behind `upstream` says that it can do.
pub(crate) fn capabilities(upstream: &Upstream) -> Option<Members<'_>> {
    Members::of(upstream.introduction()).ok()?.object("capabilities").ok()?
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
