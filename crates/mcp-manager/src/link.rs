//! A connection to a server that nothing was said on yet: how it is made, and how it is greeted.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_supervisor::{Process, SpawnError, Spec};
use mcp_wire::http::sse_transport;
use mcp_wire::{
    CallError, Connection, HandshakeError, Inbox, Members, Options, discover, initialize,
};
use tokio::time::timeout;

use crate::address::Address;
use crate::config::{ServerKind, Stdio, child_environment};
use crate::definition::{Definition, Source, Streams};
use crate::failure::Failure;
use crate::live::LiveGuard;
use crate::opener::{Means, Opener};
use crate::tcp;
use crate::upstream::{Hello, Upstream, retire, with_exit};

/// How long a server may think about `server/discover` before it is asked to `initialize` as well.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Who we are when we speak for ourselves.
pub(crate) fn own_info() -> String {
    format!(r#"{{"name":"mcp-manager","version":"{}"}}"#, env!("CARGO_PKG_VERSION"))
}

pub(crate) fn own_params() -> String {
    format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{}}}"#, own_info())
}

/// A connection that has not been greeted yet.
pub(crate) struct Link {
    pub(crate) definition: Arc<Definition>,
    pub(crate) connection: Connection,
    pub(crate) process: Option<(Process, LiveGuard)>,
}

impl Link {
    pub(crate) async fn initialize(&self, params: &str) -> Result<Hello, HandshakeError> {
        // The start timeout around it is the bound.
        initialize(&self.connection, params, Duration::MAX).await.map(Hello::Session)
    }

    pub(crate) async fn discover(&self) -> Result<Hello, HandshakeError> {
        discover(&self.connection, &own_info(), Duration::MAX).await.map(Hello::Stateless)
    }

    /// Finds out which era the server speaks.
    ///
    /// One that is silent may not know `server/discover`, or may only be slow to start; and one
    /// that answers it late will refuse `initialize` from then on. So both questions stay open, and
    /// the first good answer counts.
    pub(crate) async fn greet(&self) -> Result<Hello, HandshakeError> {
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

    pub(crate) fn open(mut self, hello: Hello, opener: &Arc<Opener>) -> Upstream {
        let info = match &hello {
            Hello::Session(opened) => opened.answer.result_json(),
            Hello::Stateless(_) => None,
        };
        let info = info.and_then(|hello| Members::of(hello).ok()?.get("serverInfo"));
        let info = info.map(Box::from);
        Upstream::new(self.connection.clone(), hello, info, Arc::clone(opener), self.process.take())
    }

    pub(crate) async fn explain(&self, error: HandshakeError) -> Failure {
        let failure = Failure::of_handshake(&self.definition.name, error);
        let process = self.process.as_ref().map(|(process, _)| process);
        with_exit(failure, process, &self.definition).await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        retire(self.process.take());
    }
}

impl Opener {
    pub(crate) fn options_for(&self, exclusive: bool) -> Options {
        let mut options = self.options.clone();
        options.exclusive = exclusive;
        options
    }

    pub(crate) async fn connect(&self, exclusive: bool) -> Result<(Link, Inbox), Failure> {
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
        Ok((Link { definition: Arc::clone(&self.definition), connection, process }, inbox))
    }

    /// A connection to a server that is not started here.
    async fn reach(&self, options: &Options) -> Result<(Connection, Inbox), Failure> {
        let failed = |why: String| Failure::Connection { server: self.name.to_string(), why };
        match self.address() {
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
        let Means { shim, cgroups, ledger } = self.means.clone();
        (spec.shim, spec.cgroups, spec.ledger) = (shim, cgroups, ledger);
        let limits = &self.definition.settings.limits;
        spec.limits.memory_bytes = limits.memory_bytes;
        spec.limits.processes = limits.processes;
        spec.limits.open_files = limits.open_files;
        spec.limits.cpu_millis = limits.cpu_millis;
        let process = mcp_supervisor::spawn(&spec).await.map_err(|error| self.refused(&error))?;
        self.heard(&process);
        let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
            let why = "the process has no pipes".to_owned();
            return Err(Failure::Connection { server: self.name.to_string(), why });
        };
        let (connection, inbox) = Connection::over_streams(stdout, stdin, options);
        Ok((process, connection, inbox))
    }

    fn refused(&self, error: &SpawnError) -> Failure {
        let server = self.name.to_string();
        if let SpawnError::NotFound { .. } = error {
            return Failure::Command { server, why: error.to_string() };
        }
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Failure::NotStarted { server, why }
    }
}
