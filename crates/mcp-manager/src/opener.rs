//! Opens connections to one server, each of its kind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use mcp_health::Passive;
use mcp_supervisor::{Cgroups, Ledger, Process, Shim, Tail};
use mcp_wire::http::{Endpoint, sse_transport};
use mcp_wire::{CallError, Connection, Era, HandshakeError, Inbox, Limits, Options};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::address::Address;
use crate::config::{ProtocolEra, Settings};
use crate::definition::{Definition, Source};
use crate::failure::Failure;
use crate::link::{Link, own_params};
use crate::live::Live;
use crate::load::Load;
use crate::logbook::Logbook;
use crate::server::lock;
#[cfg(feature = "pool")]
use crate::spares::Spares;
use crate::upstream::{Hello, Upstream};

/// Which kind of connection is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish<'a> {
    /// One of ours, in the newest era that the server speaks.
    Ours,
    /// One of ours, in the session era.
    OurSession,
    /// A session for one client alone, opened with the params of its `initialize`.
    Session { params: &'a str },
}

/// What processes are started with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Means {
    /// What stands between the manager and its processes.
    pub(crate) shim: Option<Shim>,
    /// What limits them best, where that is ours to use.
    pub(crate) cgroups: Option<Cgroups>,
    /// Where it is written down which of them run, for the manager's next life.
    pub(crate) ledger: Option<Ledger>,
}

/// What opens connections to one place: a server's definition, or one of its replicas.
///
/// It knows what it has opened, so that all of that can be ended when the place is given up.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) name: Arc<str>,
    pub(crate) definition: Arc<Definition>,
    /// The number of the replica that the place belongs to.
    pub(crate) number: Option<usize>,
    /// Why nothing can be opened here.
    pub(crate) fault: Option<Arc<str>>,
    /// Where the server is. None if it is started here.
    addresses: Arc<[Address]>,
    pub(crate) options: Options,
    pub(crate) means: Means,
    pub(crate) live: Live,
    /// The newest era that the server is known to speak.
    era: Arc<Mutex<Option<Era>>>,
    load: Load,
    /// Hears what becomes of calls, where somebody asks for the health of the place.
    pulse: OnceLock<Arc<Passive>>,
    /// Whether the place is being given up: what was opened here is not used for new calls.
    retired: AtomicBool,
    /// Whether sessions are better off elsewhere, for now.
    shunned: AtomicBool,
    opened: Mutex<Vec<Weak<Upstream>>>,
    /// The end of the stderr of the process that was started here last.
    stderr: Mutex<Option<Tail>>,
    /// Where all that processes say is written down.
    logbook: OnceLock<Arc<Logbook>>,
    /// Processes for sessions to come.
    #[cfg(feature = "pool")]
    pub(crate) spares: Spares,
}

impl Opener {
    /// What opens connections by `definition`.
    pub(crate) fn new(
        definition: Arc<Definition>,
        settings: &Settings,
        means: Means,
        live: &Live,
    ) -> Self {
        let mut limits = Limits::default();
        limits.frame_bytes = settings.frame_bytes_max;
        let mut options = Options::default();
        options.limits = limits;
        let (mut fault, mut addresses) = (definition.fault.clone(), Vec::new());
        if let (Source::Configured(kind), None) = (&definition.source, &fault) {
            match Address::each(kind) {
                Ok(found) => addresses = found,
                Err(why) => fault = Some(why),
            }
        }
        Self {
            name: definition.name.as_str().into(),
            definition,
            number: None,
            fault: fault.map(Arc::from),
            addresses: addresses.into(),
            options,
            means,
            live: live.part(),
            era: Arc::default(),
            load: Load::default(),
            pulse: OnceLock::new(),
            retired: AtomicBool::new(false),
            shunned: AtomicBool::new(false),
            opened: Mutex::default(),
            stderr: Mutex::default(),
            logbook: OnceLock::new(),
            #[cfg(feature = "pool")]
            spares: Spares::default(),
        }
    }

    /// What opens connections to the replica of this number.
    pub(crate) fn part(&self, number: usize) -> Self {
        Self {
            name: Arc::clone(&self.name),
            definition: Arc::clone(&self.definition),
            number: Some(number),
            fault: self.fault.clone(),
            addresses: Arc::clone(&self.addresses),
            options: self.options.clone(),
            means: self.means.clone(),
            live: self.live.part(),
            era: Arc::clone(&self.era),
            load: Load::default(),
            pulse: OnceLock::new(),
            retired: AtomicBool::new(false),
            shunned: AtomicBool::new(false),
            opened: Mutex::default(),
            stderr: Mutex::default(),
            logbook: self.logbook.clone(),
            #[cfg(feature = "pool")]
            spares: Spares::default(),
        }
    }

    /// Opens a connection within the server's start timeout, unless everything is being closed.
    pub(crate) async fn open(
        self: &Arc<Self>,
        wish: Wish<'_>,
    ) -> Result<(Arc<Upstream>, Inbox), Failure> {
        let limit = self.definition.settings.start_timeout;
        tokio::select! {
            biased;
            () = self.live.stopping() => Err(Failure::Stopping),
            opened = timeout(limit, self.open_unbounded(wish)) => {
                opened.unwrap_or_else(|_| Err(self.late()))
            }
        }
    }

    /// What it is called that nothing was opened in time.
    pub(crate) fn late(&self) -> Failure {
        let after = self.definition.settings.start_timeout;
        Failure::Timeout { server: self.name.to_string(), after }
    }

    /// The calls that are under way on what was opened here.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Has the results of calls be told to `passive`. The first one counts.
    pub(crate) fn hear(&self, passive: &Arc<Passive>) {
        let _ = self.pulse.set(Arc::clone(passive));
    }

    /// Who wants to hear of the results of calls.
    pub(crate) fn pulse(&self) -> Option<&Arc<Passive>> {
        self.pulse.get()
    }

    pub(crate) fn shim(&self) -> Option<Shim> {
        self.means.shim.clone()
    }

    /// The end of the stderr of the process that was started here last.
    pub(crate) fn stderr(&self) -> Option<Tail> {
        lock(&self.stderr).clone()
    }

    /// Has all that processes say be written down in `logbook`. Before there are replicas.
    pub(crate) fn log_to(&self, logbook: &Arc<Logbook>) {
        let _ = self.logbook.set(Arc::clone(logbook));
    }

    /// A process was started here.
    pub(crate) fn heard(&self, process: &Process) {
        *lock(&self.stderr) = Some(process.stderr().clone());
        if let Some(logbook) = self.logbook.get() {
            logbook.follow(process.stderr(), &self.definition, self.number, process.pid());
        }
    }

    /// What was opened here is not used for new calls any more.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        #[cfg(feature = "pool")]
        drop(self.spares.retire());
    }

    /// Whether sessions are better off elsewhere from now on.
    pub(crate) fn shun(&self, shunned: bool) {
        self.shunned.store(shunned, Ordering::Release);
    }

    pub(crate) fn is_shunned(&self) -> bool {
        self.shunned.load(Ordering::Acquire)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Ends everything that was opened here, and waits for the last process.
    pub(crate) async fn end(&self) {
        #[cfg(feature = "pool")]
        self.spares.retire().await;
        let opened = std::mem::take(&mut *lock(&self.opened));
        let ending: JoinSet<()> = opened
            .iter()
            .filter_map(Weak::upgrade)
            .map(|upstream| async move { upstream.end().await })
            .collect();
        ending.join_all().await;
    }

    /// The endpoint that its connections over HTTP share.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        match self.address() {
            Some(Address::Http { endpoint, .. } | Address::Sse(endpoint)) => Some(endpoint),
            _ => None,
        }
    }

    /// How many different addresses its server has.
    pub(crate) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    pub(crate) fn address(&self) -> Option<&Address> {
        // Replicas are spread over the addresses in turn.
        self.addresses.get(self.number.unwrap_or(0) % self.addresses.len().max(1))
    }

    async fn open_unbounded(
        self: &Arc<Self>,
        wish: Wish<'_>,
    ) -> Result<(Arc<Upstream>, Inbox), Failure> {
        self.sound()?;
        let exclusive = matches!(wish, Wish::Session { .. });
        #[cfg(feature = "pool")]
        if let Wish::Session { params } = wish
            && let Some(opened) = self.open_spare(params).await
        {
            return opened;
        }
        let (mut link, mut inbox) = self.connect(exclusive).await?;
        let mut hello = match wish {
            Wish::Session { params } => link.initialize(params).await,
            Wish::OurSession => link.initialize(&own_params()).await,
            Wish::Ours => {
                let era = match self.definition.settings.protocol_era {
                    ProtocolEra::Legacy => Some(Era::Legacy),
                    ProtocolEra::Modern => Some(Era::Modern),
                    // The older transport knows the older era only.
                    ProtocolEra::Auto if matches!(self.address(), Some(Address::Sse(_))) => {
                        Some(Era::Legacy)
                    }
                    ProtocolEra::Auto => *lock(&self.era),
                };
                match era {
                    Some(Era::Legacy) => link.initialize(&own_params()).await,
                    Some(Era::Modern) => link.discover().await,
                    None => match link.greet().await {
                        // Some servers die of a request that they do not know: once more, without.
                        Err(HandshakeError::Call(
                            CallError::Closed { .. } | CallError::Unsent { .. },
                        )) => {
                            (link, inbox) = self.connect(exclusive).await?;
                            link.initialize(&own_params()).await
                        }
                        opened => opened,
                    },
                }
            }
        };
        if let Some(older) = self.older(&hello, exclusive).await {
            (link, inbox) = older;
            hello = match wish {
                Wish::Session { params } => link.initialize(params).await,
                Wish::Ours | Wish::OurSession => link.initialize(&own_params()).await,
            };
        }
        match hello {
            Ok(hello) => Ok((self.opened(link, hello, wish), inbox)),
            Err(error) => Err(link.explain(error).await),
        }
    }

    /// Why nothing can ever be opened here, if that is so.
    pub(crate) fn sound(&self) -> Result<(), Failure> {
        match &self.fault {
            Some(why) => {
                Err(Failure::Config { server: self.name.to_string(), why: why.to_string() })
            }
            None => Ok(()),
        }
    }

    pub(crate) fn opened(
        self: &Arc<Self>,
        link: Link,
        hello: Hello,
        wish: Wish<'_>,
    ) -> Arc<Upstream> {
        let upstream = Arc::new(link.open(hello, self));
        if let Wish::Ours = wish {
            *lock(&self.era) = Some(upstream.era());
        }
        let mut opened = lock(&self.opened);
        opened.retain(|upstream| upstream.strong_count() > 0);
        opened.push(Arc::downgrade(&upstream));
        drop(opened);
        upstream
    }

    /// A connection over HTTP+SSE, if the server refused `initialize` in the ways that the
    /// specification names for servers that speak only that ("backwards compatibility").
    async fn older(
        &self,
        hello: &Result<Hello, HandshakeError>,
        exclusive: bool,
    ) -> Option<(Link, Inbox)> {
        let Err(HandshakeError::Call(CallError::Status { status: 400 | 404 | 405, .. })) = hello
        else {
            return None;
        };
        let Some(Address::Http { endpoint, or_sse: true }) = self.address() else { return None };
        if self.definition.settings.protocol_era == ProtocolEra::Modern {
            return None;
        }
        let options = self.options_for(exclusive);
        let (reader, writer) = sse_transport::connect(endpoint, &options.limits).await.ok()?;
        let (connection, inbox) = Connection::over_streams(reader, writer, &options);
        Some((Link { definition: Arc::clone(&self.definition), connection, process: None }, inbox))
    }
}
