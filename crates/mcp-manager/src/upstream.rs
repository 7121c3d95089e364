//! One open connection to one replica of a server, and the process behind it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_supervisor::{Process, SpawnError, Spec};
use mcp_wire::http::sse_transport;
use mcp_wire::{
    CallError, Connection, Discovered, Era, ErrorObject, HandshakeError, Inbox, Initialized, Kind,
    Members, Message, Options, code, discover, initialize,
};
use tokio::time::timeout;

use crate::address::Address;
use crate::config::{ProtocolEra, ServerKind, Stdio, child_environment};
use crate::definition::{Definition, Source, Streams};
use crate::failure::Failure;
use crate::live::{Live, LiveGuard};
use crate::tcp;

/// How long a server may think about `server/discover` before it is asked to `initialize` as well.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a failed call waits to learn how its process ended.
const EXIT_TIMEOUT: Duration = Duration::from_millis(80);
/// The lines of stderr that an error carries.
const LAST_WORDS: usize = 5;

/// An open connection. Dropping it ends the process, in the background.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) connection: Connection,
    pub(crate) hello: Hello,
    /// The `serverInfo` of a session, as JSON text.
    info: Option<Box<str>>,
    server: Arc<str>,
    process: Option<(Process, LiveGuard)>,
}

/// How the server introduced itself.
#[derive(Clone, Debug)]
pub(crate) enum Hello {
    Session(Initialized),
    Stateless(Discovered),
}

impl Hello {
    /// The result of `initialize` or `server/discover`, as JSON text.
    pub(crate) fn introduction(&self) -> &str {
        let answer = match self {
            Self::Session(opened) => &opened.answer,
            Self::Stateless(opened) => &opened.answer,
        };
        answer.result_json().unwrap_or("{}")
    }
}

/// Which kind of connection is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish<'a> {
    /// One of ours, in the newest era that the server speaks.
    Ours { known: Option<Era> },
    /// One of ours, in the session era.
    OurSession,
    /// A session for one client alone, opened with the params of its `initialize`.
    Session { params: &'a str },
}

/// What opens connections to one server.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) name: Arc<str>,
    pub(crate) definition: Definition,
    pub(crate) address: Option<Address>,
    pub(crate) options: Options,
    pub(crate) shim: Option<mcp_supervisor::Shim>,
    pub(crate) live: Live,
}

/// Who we are when we speak for ourselves.
pub(crate) fn own_info() -> String {
    format!(r#"{{"name":"mcp-manager","version":"{}"}}"#, env!("CARGO_PKG_VERSION"))
}

fn own_params() -> String {
    format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{}}}"#, own_info())
}

impl Opener {
    /// Opens a connection within the server's start timeout, unless everything is being closed.
    pub(crate) async fn open(&self, wish: Wish<'_>) -> Result<(Upstream, Inbox), Failure> {
        let limit = self.definition.settings.start_timeout;
        let late = || Failure::Timeout { server: self.name.to_string(), after: limit };
        tokio::select! {
            biased;
            () = self.live.stopping() => Err(Failure::Stopping),
            opened = timeout(limit, self.open_unbounded(wish)) => {
                opened.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// The endpoint that its connections over HTTP share.
    pub(crate) fn endpoint(&self) -> Option<&mcp_wire::http::Endpoint> {
        match &self.address {
            Some(Address::Http { endpoint, .. } | Address::Sse(endpoint)) => Some(endpoint),
            _ => None,
        }
    }

    async fn open_unbounded(&self, wish: Wish<'_>) -> Result<(Upstream, Inbox), Failure> {
        if let Some(why) = &self.definition.fault {
            let server = self.name.to_string();
            return Err(Failure::Config { server, why: why.clone() });
        }
        let exclusive = matches!(wish, Wish::Session { .. });
        let (mut link, mut inbox) = self.connect(exclusive).await?;
        let mut hello = match wish {
            Wish::Session { params } => link.initialize(params).await,
            Wish::OurSession => link.initialize(&own_params()).await,
            Wish::Ours { known } => {
                let era = match self.definition.settings.protocol_era {
                    ProtocolEra::Legacy => Some(Era::Legacy),
                    ProtocolEra::Modern => Some(Era::Modern),
                    // The older transport knows the older era only.
                    ProtocolEra::Auto if matches!(self.address, Some(Address::Sse(_))) => {
                        Some(Era::Legacy)
                    }
                    ProtocolEra::Auto => known,
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
                Wish::Ours { .. } | Wish::OurSession => link.initialize(&own_params()).await,
            };
        }
        match hello {
            Ok(hello) => Ok((link.open(hello), inbox)),
            Err(error) => Err(link.explain(error).await),
        }
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
        let Some(Address::Http { endpoint, or_sse: true }) = &self.address else { return None };
        if self.definition.settings.protocol_era == ProtocolEra::Modern {
            return None;
        }
        let options = self.options_for(exclusive);
        let (reader, writer) = sse_transport::connect(endpoint, &options.limits).await.ok()?;
        let (connection, inbox) = Connection::over_streams(reader, writer, &options);
        Some((Link { server: Arc::clone(&self.name), connection, process: None }, inbox))
    }

    fn options_for(&self, exclusive: bool) -> Options {
        let mut options = self.options.clone();
        options.exclusive = exclusive;
        options
    }

    async fn connect(&self, exclusive: bool) -> Result<(Link, Inbox), Failure> {
        let options = self.options_for(exclusive);
        let failed = |why: String| Failure::Connection { server: self.name.to_string(), why };
        let (connection, inbox, process) = match &self.definition.source {
            Source::Custom(custom) => {
                let Streams { reader, writer } = custom.open().await.map_err(failed)?;
                let (connection, inbox) = Connection::over_streams(reader, writer, &options);
                (connection, inbox, None)
            }
            Source::Configured(ServerKind::Stdio(stdio)) => {
                let (process, connection, inbox) = self.spawn(stdio, &options).await?;
                (connection, inbox, Some((process, self.live.guard())))
            }
            Source::Configured(_) => {
                let (connection, inbox) = self.reach(&options).await?;
                (connection, inbox, None)
            }
        };
        Ok((Link { server: Arc::clone(&self.name), connection, process }, inbox))
    }

    /// A connection to a server that is not started here.
    async fn reach(&self, options: &Options) -> Result<(Connection, Inbox), Failure> {
        let failed = |why: String| Failure::Connection { server: self.name.to_string(), why };
        match &self.address {
            Some(Address::Http { endpoint, .. }) => {
                Ok(Connection::over_http(endpoint.clone(), options))
            }
            Some(Address::Sse(endpoint)) => {
                let streams = sse_transport::connect(endpoint, &options.limits).await;
                let (reader, writer) =
                    streams.map_err(|error| Failure::of_call(&self.name, error))?;
                Ok(Connection::over_streams(reader, writer, options))
            }
            Some(Address::Tcp { host, port }) => {
                let (reader, writer) = tcp::connect(host, *port).await.map_err(failed)?;
                Ok(Connection::over_streams(reader, writer, options))
            }
            #[cfg(feature = "ws")]
            Some(Address::WebSocket(endpoint)) => {
                let streams = mcp_wire::ws::connect(endpoint, &options.limits).await;
                let (reader, writer) =
                    streams.map_err(|error| Failure::of_call(&self.name, error))?;
                Ok(Connection::over_streams(reader, writer, options))
            }
            None => Err(failed("it has no address".to_owned())),
        }
    }

    async fn spawn(
        &self,
        stdio: &Stdio,
        options: &Options,
    ) -> Result<(Process, Connection, Inbox), Failure> {
        let mut spec = Spec::new(stdio.command.expose());
        spec.args = stdio.args.iter().map(|arg| arg.expose().into()).collect();
        spec.env = child_environment(stdio, std::env::vars_os());
        spec.cwd = stdio.cwd.as_ref().map(|cwd| cwd.expose().into());
        spec.shim = self.shim.clone();
        let process = mcp_supervisor::spawn(&spec).await.map_err(|error| self.refused(&error))?;
        let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
            let why = "the process has no pipes".to_owned();
            return Err(Failure::Connection { server: self.name.to_string(), why });
        };
        let (connection, inbox) = Connection::over_streams(stdout, stdin, options);
        Ok((process, connection, inbox))
    }

    fn refused(&self, error: &SpawnError) -> Failure {
        Failure::Command { server: self.name.to_string(), why: error.to_string() }
    }
}

/// A connection that has not been greeted yet.
struct Link {
    server: Arc<str>,
    connection: Connection,
    process: Option<(Process, LiveGuard)>,
}

impl Link {
    async fn initialize(&self, params: &str) -> Result<Hello, HandshakeError> {
        // The start timeout around it is the bound.
        initialize(&self.connection, params, Duration::MAX).await.map(Hello::Session)
    }

    async fn discover(&self) -> Result<Hello, HandshakeError> {
        discover(&self.connection, &own_info(), Duration::MAX).await.map(Hello::Stateless)
    }

    /// Finds out which era the server speaks.
    ///
    /// One that is silent may not know `server/discover`, or may only be slow to start; and one
    /// that answers it late will refuse `initialize` from then on. So both questions stay open, and
    /// the first good answer counts.
    async fn greet(&self) -> Result<Hello, HandshakeError> {
        let mut discovering = pin!(self.discover());
        match timeout(PROBE_TIMEOUT, &mut discovering).await {
            Ok(Err(HandshakeError::Call(error)))
                if matches!(
                    error,
                    CallError::Connect { .. } | CallError::Closed { .. } | CallError::Unsent { .. }
                ) =>
            {
                return Err(error.into());
            }
            Ok(Err(_)) => return self.initialize(&own_params()).await,
            Ok(opened) => return opened,
            Err(_) => {}
        }
        let own = own_params();
        let mut initializing = pin!(self.initialize(&own));
        tokio::select! {
            discovered = &mut discovering => match discovered {
                Err(_) => initializing.await,
                opened => opened,
            },
            initialized = &mut initializing => match initialized {
                Err(_) => discovering.await,
                opened => opened,
            },
        }
    }

    fn open(mut self, hello: Hello) -> Upstream {
        let info = match &hello {
            Hello::Session(opened) => opened.answer.result_json(),
            Hello::Stateless(_) => None,
        };
        let info = info.and_then(|hello| Members::of(hello).ok()?.get("serverInfo"));
        let info = info.map(Box::from);
        Upstream {
            connection: self.connection.clone(),
            hello,
            info,
            server: Arc::clone(&self.server),
            process: self.process.take(),
        }
    }

    async fn explain(&self, error: HandshakeError) -> Failure {
        let failure = Failure::of_handshake(&self.server, error);
        with_exit(failure, self.process.as_ref().map(|(process, _)| process)).await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        retire(self.process.take());
    }
}

impl Upstream {
    pub(crate) fn era(&self) -> Era {
        match self.hello {
            Hello::Session(_) => Era::Legacy,
            Hello::Stateless(_) => Era::Modern,
        }
    }

    /// The result of `initialize` or `server/discover`, as JSON text.
    pub(crate) fn introduction(&self) -> &str {
        self.hello.introduction()
    }

    /// How the server of a session calls itself, as JSON text.
    pub(crate) fn info(&self) -> Option<&str> {
        self.info.as_deref()
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.connection.is_ended()
    }

    pub(crate) fn server(&self) -> &Arc<str> {
        &self.server
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref().map(|(process, _)| process)
    }

    /// Tells the server that nobody can answer its request.
    pub(crate) async fn refuse(&self, request: &Message) {
        let why = format!("{:?} is not available in this session", request.method());
        let error = ErrorObject::new(code::METHOD_NOT_FOUND, why);
        let answer = Message::error(request.id().unwrap_or("null"), &error);
        let _ = self.connection.send(answer.bytes().clone()).await;
    }

    /// Sees to what a server says to nobody: a request is refused, unless it only wants to know
    /// whether we are there.
    pub(crate) async fn attend_to(&self, message: &Message) {
        match (message.kind(), message.id()) {
            (Kind::Request, Some(id)) if message.method() == "ping" => {
                let answer = Message::result(id, "{}");
                let _ = self.connection.send(answer.bytes().clone()).await;
            }
            (Kind::Request, _) => self.refuse(message).await,
            _ => {}
        }
    }

    /// The same, without waiting for it.
    pub(crate) fn attend_later(self: &Arc<Self>, message: Message) {
        if message.kind() == Kind::Request
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let upstream = Arc::clone(self);
            runtime.spawn(async move { upstream.attend_to(&message).await });
        }
    }

    /// What a call's failure means, with how the process ended if it has.
    pub(crate) async fn explain(&self, error: CallError) -> Failure {
        with_exit(Failure::of_call(&self.server, error), self.process()).await
    }
}

async fn with_exit(failure: Failure, process: Option<&Process>) -> Failure {
    let (Failure::Unavailable { server, why, .. }, Some(process)) = (&failure, process) else {
        return failure;
    };
    // The end of its output and its exit are two events: give the second a moment to arrive.
    let exit = timeout(EXIT_TIMEOUT, process.wait()).await.ok();
    let why = exit.map_or_else(|| why.clone(), |exit| exit.to_string());
    let lines = process.stderr().lines();
    let stderr = lines[lines.len().saturating_sub(LAST_WORDS)..].to_vec();
    Failure::Unavailable { server: server.clone(), why, stderr }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Other handles may exist in calls on their way; the process ends for them, too.
        self.connection.close("the session was closed");
        retire(self.process.take());
    }
}

/// Stops a process in the background; the guard says that it still lives.
fn retire(process: Option<(Process, LiveGuard)>) {
    let (Some((process, guard)), Ok(runtime)) = (process, tokio::runtime::Handle::try_current())
    else {
        return;
    };
    runtime.spawn(async move {
        process.stop().await;
        drop(guard);
    });
}
