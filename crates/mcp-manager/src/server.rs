//! One server of the fleet: its replicas, its state, what it offers.

use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use mcp_supervisor::Tail;
use mcp_wire::{Era, Members, Timing};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::client::Client;
use crate::config::ServerSettings;
use crate::doubt::Doubt;
use crate::failure::Failure;
use crate::feed::Feed;
use crate::header_params::HeaderParams;
use crate::hear::Stale;
use crate::lists::{self, ListKind};
use crate::names::Label;
use crate::profile::Profiles;
use crate::slot::Slot;
use crate::state::{ReplicaStatus, State};
use crate::upstream::{Opener, Upstream};

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
    /// Whose turn it is.
    pub(crate) turn: AtomicUsize,
    /// The newest era that the server is known to speak.
    pub(crate) era: Mutex<Option<Era>>,
    pub(crate) state: watch::Sender<State>,
    catalog: Catalog,
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
    pub(crate) itself: Weak<Self>,
}

/// What a server consists of at one moment. It is replaced as a whole, and never changed.
#[derive(Debug)]
pub(crate) struct LineUp {
    pub(crate) opener: Arc<Opener>,
    pub(crate) replicas: Vec<Arc<Replica>>,
}

/// The settings of a server as they were when they were asked for.
#[derive(Debug)]
pub(crate) struct Current(Arc<LineUp>);

/// One running instance.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    /// Our own connection: for stateless requests of all clients.
    pub(crate) ours: Arc<Slot>,
    /// Our own session, shared by all clients where the server is declared shareable.
    pub(crate) shared: Arc<Slot>,
    /// The end of its last process's stderr.
    pub(crate) stderr: Mutex<Option<Tail>>,
}

impl Server {
    pub(crate) fn new(opener: Opener) -> Arc<Self> {
        let definition = &opener.definition;
        let state = if definition.disabled { State::Disabled } else { State::Starting };
        let replicas =
            (0..definition.settings.scaling.replicas.max(1)).map(|_| Arc::default()).collect();
        let profiles = Profiles::new(definition.has_processes());
        Arc::new_cyclic(|itself| Self {
            name: Arc::clone(&opener.name),
            label: Label::of(&opener.name),
            profiles,
            turn: AtomicUsize::new(0),
            era: Mutex::new(None),
            state: watch::Sender::new(state),
            catalog: Catalog::default(),
            doubt: Doubt::default(),
            looked: Mutex::new(None),
            arrivals: watch::Sender::new(0),
            feed: Arc::default(),
            stale: Mutex::default(),
            sharers: Mutex::default(),
            itself: Weak::clone(itself),
            line_up: RwLock::new(Arc::new(LineUp { opener: Arc::new(opener), replicas })),
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
        let line_up = self.line_up();
        let each = line_up.replicas.iter().enumerate().map(|(number, replica)| {
            let ours = replica.ours.current();
            ReplicaStatus {
                number,
                state: if ours.is_some() { "ready" } else { "stopped" },
                pid: ours.and_then(|ours| Some(ours.process()?.pid())),
                url: None,
                restarts: 0,
                in_flight: 0,
                since: None,
                next_attempt: None,
                last_error: None,
            }
        });
        each.collect()
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

    /// The last lines that its replicas wrote to stderr.
    pub fn stderr(&self) -> Vec<String> {
        let line_up = self.line_up();
        let tails = line_up.replicas.iter().filter_map(|replica| lock(&replica.stderr).clone());
        tails.flat_map(|tail| tail.lines()).collect()
    }

    /// The processes of its replicas.
    pub fn pids(&self) -> Vec<u32> {
        let line_up = self.line_up();
        let open = line_up.replicas.iter().filter_map(|replica| replica.ours.current());
        open.filter_map(|upstream| Some(upstream.process()?.pid())).collect()
    }

    pub(crate) fn settings(&self) -> Current {
        Current(self.line_up())
    }

    pub(crate) fn timing(&self) -> Timing {
        let settings = self.settings();
        Timing { timeout: settings.call_timeout, timeout_max: settings.call_timeout_max }
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.line_up().opener.definition.disabled
    }

    /// Opens every replica. How it went is in the state.
    pub(crate) async fn start(&self) {
        let mut opening = tokio::task::JoinSet::new();
        for index in 0..self.replicas() {
            let Some(server) = self.itself.upgrade() else { return };
            opening.spawn(async move { _ = server.ours_at(index).await });
        }
        opening.join_all().await;
    }

    /// Closes what is open and opens nothing more by itself.
    pub(crate) fn stop(&self) {
        self.feed.close();
        for replica in &self.line_up().replicas {
            replica.ours.clear();
            replica.shared.clear();
        }
        self.profiles.clear();
    }

    /// Which of its replicas this connection of ours belongs to.
    pub(crate) fn replica_of(&self, upstream: &Arc<Upstream>) -> Option<usize> {
        let is_its_own = |replica: &Arc<Replica>| {
            replica.ours.current().is_some_and(|ours| Arc::ptr_eq(&ours, upstream))
        };
        self.line_up().replicas.iter().position(is_its_own)
    }

    /// A connection of ours that is open now.
    pub(crate) fn ready(&self) -> Option<Arc<Upstream>> {
        self.line_up().replicas.iter().find_map(|replica| replica.ours.current())
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

impl Deref for Current {
    type Target = ServerSettings;

    fn deref(&self) -> &ServerSettings {
        &self.0.opener.definition.settings
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
