//! One server of the fleet: its replicas, its state, what it offers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcp_supervisor::Tail;
use mcp_wire::{Era, ErrorObject, Inbox, Kind, Members, Message, Timing, code};
use tokio::sync::watch;

use crate::catalog::{Catalog, HeaderParam};
use crate::client::{Client, pump};
use crate::config::ServerSettings;
use crate::failure::Failure;
use crate::lists::{self, ListKind};
use crate::names::Label;
use crate::slot::Slot;
use crate::upstream::{Opener, Upstream, Wish};

/// A logical server.
#[derive(Debug)]
pub struct Server {
    name: Arc<str>,
    label: Label,
    opener: Opener,
    replicas: Vec<Replica>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// The newest era that the server is known to speak.
    era: Mutex<Option<Era>>,
    state: watch::Sender<State>,
    catalog: Catalog,
    /// Counts how often a replica has come up and said what it offers.
    arrivals: watch::Sender<u64>,
    itself: Weak<Self>,
}

/// One running instance.
#[derive(Debug, Default)]
struct Replica {
    /// Our own connection: for stateless requests of all clients.
    ours: Slot,
    /// Our own session, shared by all clients where the server is declared shareable.
    shared: Slot,
    /// The end of its last process's stderr.
    stderr: Mutex<Option<Tail>>,
}

/// How a server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It stays off, because the configuration says so.
    Disabled,
    /// Its first replica is being opened.
    Starting,
    /// At least one replica answers.
    Ready {
        /// How many do.
        replicas: usize,
        /// The era that it speaks to us.
        era: Era,
    },
    /// No replica answers; the next call tries again.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl State {
    /// One word: `disabled`, `starting`, `ready`, `failed`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Starting => "starting",
            Self::Ready { .. } => "ready",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Server {
    pub(crate) fn new(opener: Opener) -> Arc<Self> {
        let definition = &opener.definition;
        let state = if definition.disabled { State::Disabled } else { State::Starting };
        let replicas = (0..definition.replicas.max(1)).map(|_| Replica::default()).collect();
        Arc::new_cyclic(|itself| Self {
            name: Arc::clone(&opener.name),
            label: Label::of(&opener.name),
            replicas,
            turn: AtomicUsize::new(0),
            era: Mutex::new(None),
            state: watch::Sender::new(state),
            catalog: Catalog::default(),
            arrivals: watch::Sender::new(0),
            itself: Weak::clone(itself),
            opener,
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

    /// The word for its transport.
    pub fn transport(&self) -> String {
        self.opener.definition.transport()
    }

    /// How many replicas it is to have.
    pub fn replicas(&self) -> usize {
        self.replicas.len()
    }

    /// How many tools it is known to offer.
    pub fn tools(&self) -> usize {
        self.catalog.tools()
    }

    /// The headers that a stateless call of `tool` must repeat arguments in. Unknown tools are
    /// looked for once.
    pub async fn header_params(&self, tool: &str) -> Option<Arc<[HeaderParam]>> {
        if let Some(known) = self.catalog.headers(tool) {
            return Some(known);
        }
        Box::pin(self.refresh(ListKind::Tools)).await.ok()?;
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
        let tails = self.replicas.iter().filter_map(|replica| lock(&replica.stderr).clone());
        tails.flat_map(|tail| tail.lines()).collect()
    }

    /// The processes of its replicas.
    pub fn pids(&self) -> Vec<u32> {
        let open = self.replicas.iter().filter_map(|replica| replica.ours.current());
        open.filter_map(|upstream| Some(upstream.process()?.pid())).collect()
    }

    pub(crate) fn settings(&self) -> &ServerSettings {
        &self.opener.definition.settings
    }

    pub(crate) fn timing(&self) -> Timing {
        let settings = self.settings();
        Timing { timeout: settings.call_timeout, timeout_max: settings.call_timeout_max }
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.opener.definition.disabled
    }

    /// Opens every replica. How it went is in the state.
    pub(crate) async fn start(&self) {
        let mut opening = tokio::task::JoinSet::new();
        for index in 0..self.replicas.len() {
            let Some(server) = self.itself.upgrade() else { return };
            opening.spawn(async move { _ = server.ours_at(index).await });
        }
        opening.join_all().await;
    }

    /// Closes what is open and opens nothing more by itself.
    pub(crate) fn stop(&self) {
        for replica in &self.replicas {
            replica.ours.clear();
            replica.shared.clear();
        }
    }

    /// A connection of ours that is open now.
    pub(crate) fn ready(&self) -> Option<Arc<Upstream>> {
        self.replicas.iter().find_map(|replica| replica.ours.current())
    }

    /// A connection of ours, to the replica whose turn it is.
    pub(crate) async fn ours(&self) -> Result<Arc<Upstream>, Failure> {
        self.ours_at(self.next_turn()).await
    }

    fn next_turn(&self) -> usize {
        match self.replicas.len() {
            1 => 0,
            count => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        }
    }

    async fn ours_at(&self, index: usize) -> Result<Arc<Upstream>, Failure> {
        if self.is_disabled() {
            let why = format!("server {:?} is disabled in the configuration", self.name);
            return Err(Failure::Config { server: self.name.to_string(), why });
        }
        let replica = &self.replicas[index];
        let known = *lock(&self.era);
        let open = || async {
            let opened = self.opener.open(Wish::Ours { known }).await;
            match opened {
                Ok((upstream, inbox)) => Ok(self.opened(index, upstream, inbox)),
                Err(failure) => {
                    self.failed(&failure);
                    Err(failure)
                }
            }
        };
        replica.ours.get_or_open(open).await
    }

    /// The session of ours that clients share.
    async fn shared(&self, index: usize) -> Result<Arc<Upstream>, Failure> {
        let ours = self.ours_at(index).await?;
        if ours.era() == Era::Legacy {
            return Ok(ours);
        }
        let open = || async {
            let (upstream, inbox) = self.opener.open(Wish::OurSession).await?;
            let upstream = Arc::new(upstream);
            tokio::spawn(attend(Weak::clone(&self.itself), Arc::downgrade(&upstream), inbox));
            Ok(upstream)
        };
        self.replicas[index].shared.get_or_open(open).await
    }

    /// The connection of `client`, opened with what the client said of itself.
    ///
    /// A server that has no sessions is reached by a connection of ours.
    pub(crate) async fn session(&self, client: &Arc<Client>) -> Result<Arc<Upstream>, Failure> {
        if self.settings().shareable {
            return self.shared(0).await;
        }
        let slot = client.slot(self);
        let open = || async {
            if self.is_disabled() {
                return self.ours().await;
            }
            let Some(params) = client.params() else { return self.ours().await };
            let opened = self.opener.open(Wish::Session { params }).await;
            let (upstream, inbox) = match opened {
                Err(Failure::Protocol { .. }) if *lock(&self.era) == Some(Era::Modern) => {
                    return self.ours().await;
                }
                opened => opened?,
            };
            let upstream = Arc::new(upstream);
            let (client, server) = (Arc::downgrade(client), Weak::clone(&self.itself));
            tokio::spawn(pump(client.clone(), server, Arc::downgrade(&upstream), inbox));
            if let Some(level) = client.upgrade().and_then(|client| client.level()) {
                set_level(&upstream, level).await;
            }
            Ok(upstream)
        };
        slot.get_or_open(open).await
    }

    fn opened(&self, index: usize, upstream: Upstream, inbox: Inbox) -> Arc<Upstream> {
        let upstream = Arc::new(upstream);
        *lock(&self.era) = Some(upstream.era());
        if let Some(process) = upstream.process() {
            *lock(&self.replicas[index].stderr) = Some(process.stderr().clone());
        }
        let weak = Arc::downgrade(&upstream);
        tokio::spawn(attend(Weak::clone(&self.itself), Weak::clone(&weak), inbox));
        tokio::spawn(watch_end(Weak::clone(&self.itself), index, weak));
        let era = upstream.era();
        self.state.send_modify(|state| {
            let before = if let State::Ready { replicas, .. } = state { *replicas } else { 0 };
            *state = State::Ready { replicas: before + 1, era };
        });
        let server = Weak::clone(&self.itself);
        tokio::spawn(async move {
            let Some(server) = server.upgrade() else { return };
            for kind in ListKind::ALL {
                let _ = server.refresh(kind).await;
            }
            server.arrivals.send_modify(|count| *count += 1);
        });
        upstream
    }

    fn failed(&self, failure: &Failure) {
        tracing::warn!(server = %self.name, code = failure.code(), %failure, "server failed");
        self.state.send_modify(|state| match state {
            State::Ready { replicas, .. } if *replicas > 0 => {}
            state => *state = State::Failed { failure: failure.clone() },
        });
    }

    fn ended(&self, index: usize, failure: Failure) {
        tracing::warn!(server = %self.name, %failure, "server ended");
        self.replicas[index].ours.clear();
        self.state.send_modify(|state| match state {
            State::Ready { replicas, .. } if *replicas > 1 => *replicas -= 1,
            state => *state = State::Failed { failure },
        });
    }

    /// Fetches a list anew, for what the catalog remembers of it.
    pub(crate) async fn refresh(&self, kind: ListKind) -> Result<(), Failure> {
        let upstream = self.ours().await?;
        lists::fetch(self, &upstream, kind, None).await.map(drop)
    }
}

/// Whether the server behind `upstream` says that it offers `capability`.
pub(crate) fn offers(upstream: &Upstream, capability: &str) -> bool {
    let introduction = Members::of(upstream.introduction());
    let capabilities = introduction.as_ref().ok().and_then(|hello| hello.get("capabilities"));
    capabilities
        .and_then(|json| Members::of(json).ok())
        .is_some_and(|all| all.get(capability).is_some())
}

/// Sets the log level of a session that was opened after the client chose it.
async fn set_level(upstream: &Upstream, level: Message) {
    if let Ok(request) = mcp_wire::Request::read(level)
        && offers(upstream, "logging")
    {
        let _ = upstream.connection.call(request, Timing::default()).reply().await;
    }
}

/// Reads what the server says to us outside of calls.
async fn attend(server: Weak<Server>, upstream: Weak<Upstream>, mut inbox: Inbox) {
    while let Some(message) = inbox.next().await {
        let (Some(server), Some(upstream)) = (server.upgrade(), upstream.upgrade()) else { return };
        match (message.kind(), message.id()) {
            (Kind::Request, Some(id)) => {
                let answer = match message.method() {
                    "ping" => Message::result(id, "{}"),
                    // We declared no capability, so nothing else may be asked of us.
                    other => {
                        let why = format!("{other:?} is not available in this session");
                        Message::error(id, &ErrorObject::new(code::METHOD_NOT_FOUND, why))
                    }
                };
                let _ = upstream.connection.send(answer.bytes().clone()).await;
            }
            _ => {
                if let Some(kind) = ListKind::changed_by(message.method()) {
                    // A storm of these becomes one fetch after another, never two at a time.
                    let _ = server.refresh(kind).await;
                }
            }
        }
    }
}

/// Notices the end of a replica's connection.
async fn watch_end(server: Weak<Server>, index: usize, upstream: Weak<Upstream>) {
    let Some(ended) = upstream.upgrade().map(|upstream| upstream.connection.ended()) else {
        return;
    };
    let error = ended.await;
    // Gone means that we let go of it ourselves.
    let (Some(server), Some(upstream)) = (server.upgrade(), upstream.upgrade()) else { return };
    let failure = upstream.explain(error).await;
    server.ended(index, failure);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
