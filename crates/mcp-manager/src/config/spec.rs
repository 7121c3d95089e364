//! One server of the fleet, as its entry describes it.

use std::fmt;
use std::time::Duration;

use super::care::Care;
use super::policies::ToolPolicy;
use super::policy::Policy;
use super::problem::Fault;
use super::settings::Settings;
use super::text::Text;
use super::upkeep::{Checks, ResourceLimits, Restarts, Scaling, Sessions};

/// One server of the fleet.
///
/// Two specs are equal when a server started from one need not be restarted for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSpec {
    /// Its key in the file: 1 to 128 characters, no control character and no `/`; spaces and
    /// other scripts are as welcome as in the clients.
    pub name: String,
    /// How it is reached.
    pub kind: ServerKind,
    /// Whether it stays off: `"disabled": true` or `"enabled": false`. Default: `false`.
    pub disabled: bool,
    /// What the manager is told about it, the file's global settings already merged in.
    pub settings: ServerSettings,
    /// Why it cannot be started; then `kind` is not complete and must not be used. The rest of
    /// the fleet is not concerned. A disabled server may have one too.
    pub fault: Option<Fault>,
}

impl ServerSpec {
    /// An enabled server with the settings of an empty file.
    pub fn new(name: impl Into<String>, kind: ServerKind) -> Self {
        let settings = ServerSettings::default();
        Self { name: name.into(), kind, disabled: false, settings, fault: None }
    }
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerKind {
    /// A child process that speaks over its standard input and output.
    Stdio(Stdio),
    /// A streamable HTTP endpoint.
    Http(Http),
    /// A WebSocket endpoint.
    WebSocket(WebSocket),
    /// An endpoint of HTTP+SSE, the transport of 2024-11-05.
    Sse(Http),
    /// A TCP port.
    Tcp(Tcp),
}

impl ServerKind {
    /// The transport it is reached by.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Stdio(_) => Transport::Stdio,
            Self::Http(_) => Transport::Http,
            Self::WebSocket(_) => Transport::WebSocket,
            Self::Sse(_) => Transport::Sse,
            Self::Tcp(_) => Transport::Tcp,
        }
    }
}

/// The transports that configuration files name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// `stdio`, or `local` as Copilot calls it.
    Stdio,
    /// `http`, also written `streamableHttp`, `streamable-http` and `streamable_http`.
    Http,
    /// `sse`: HTTP+SSE of the protocol of 2024-11-05.
    Sse,
    /// `ws`, also written `websocket`.
    WebSocket,
    /// `tcp`.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
            Self::WebSocket => "ws",
            Self::Tcp => "tcp",
        })
    }
}

/// A child process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stdio {
    /// The program: a path, or a name that is looked for in `PATH`. Not empty, no NUL.
    pub command: Text,
    /// Its arguments, without the program's name. No shell reads them.
    pub args: Vec<Text>,
    /// Variables it is given, those of `envFile` first; each name once, none empty or with a `=`.
    pub env: Vec<(String, Text)>,
    /// Inherited variables it is not given: those that are `null` in `env`.
    pub env_unset: Vec<String>,
    /// Its working directory, absolute if the manager's own is known: relative ones are joined to
    /// the file's directory. `None`: the manager's own.
    pub cwd: Option<Text>,
    /// Whether it inherits the manager's whole environment; see
    /// [`child_environment`](super::child_environment). Default: `false`.
    pub inherit_env: bool,
}

impl Stdio {
    /// `command` without arguments.
    pub fn new(command: impl Into<Text>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_unset: Vec::new(),
            cwd: None,
            inherit_env: false,
        }
    }
}

/// An HTTP endpoint, streamable or of the older kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http {
    /// An absolute `http://` or `https://` URL with a host and without a user name or password.
    pub url: Text,
    /// Where else the same server is, from `urls`: replica 0 is at `url`, the next at the first of
    /// these, and so on from the beginning.
    pub more: Vec<Text>,
    /// Sent with every request, in the order of the file. Names are valid and differ in more than
    /// case; values are valid.
    pub headers: Vec<(String, Text)>,
    /// Whether a streamable endpoint that refuses `initialize` is tried as HTTP+SSE of 2024-11-05.
    /// Default: yes, unless the file names a `type`.
    pub or_sse: bool,
}

impl Http {
    /// `url` without further headers.
    pub fn new(url: impl Into<Text>) -> Self {
        Self { url: url.into(), more: Vec::new(), headers: Vec::new(), or_sse: true }
    }
}

/// A TCP port. Each session is a connection, each message a line, as over stdio.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tcp {
    /// `host:port` or `tcp://host:port`; an IPv6 address stands in brackets.
    pub address: Text,
    /// Where else the same server is, from `urls`, as for [`Http`].
    pub more: Vec<Text>,
}

impl Tcp {
    /// The server at `address`.
    pub fn new(address: impl Into<Text>) -> Self {
        Self { address: address.into(), more: Vec::new() }
    }
}

/// A WebSocket endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocket {
    /// An absolute `ws://` or `wss://` URL with a host and without a user name or password.
    pub url: Text,
    /// Where else the same server is, from `urls`, as for [`Http`].
    pub more: Vec<Text>,
    /// Sent with the request that opens a connection, as for [`Http`].
    pub headers: Vec<(String, Text)>,
}

impl WebSocket {
    /// `url` without further headers.
    pub fn new(url: impl Into<Text>) -> Self {
        Self { url: url.into(), more: Vec::new(), headers: Vec::new() }
    }
}

/// What the manager is told about one server: its `"manager": {...}`, over the global one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// `sessions`, or `shareable: true` for `shared`. Default: `per-session`.
    pub sessions: Sessions,
    /// `spares`: processes kept ready for sessions to come, where they are `pooled`. Default: 1;
    /// 1 to 16.
    pub spares: usize,
    /// How many replicas run.
    pub scaling: Scaling,
    /// When a process that ended is started again.
    pub restarts: Restarts,
    /// How a replica's health is found out.
    pub checks: Checks,
    /// What its processes may use.
    pub limits: ResourceLimits,
    /// How calls to it are treated.
    pub policy: Policy,
    /// `tools`: what is different for tools whose names match a pattern, those of the root first. Of
    /// several that match, each is heard, and what comes later goes before.
    pub tools: Vec<ToolPolicy>,
    /// `protocolEra`: which era of the protocol to speak to it. Default: `auto`.
    pub protocol_era: ProtocolEra,
    /// `listTimeout`; see [`Settings::list_timeout`].
    pub list_timeout: Duration,
    /// `callTimeout`; see [`Settings::call_timeout`].
    pub call_timeout: Duration,
    /// `callTimeoutMax`; see [`Settings::call_timeout_max`]. At least `call_timeout`.
    pub call_timeout_max: Duration,
    /// `startTimeout`; see [`Settings::start_timeout`].
    pub start_timeout: Duration,
}

impl ServerSettings {
    pub(super) fn care(&mut self) -> Care<'_> {
        Care {
            restarts: &mut self.restarts,
            checks: &mut self.checks,
            limits: &mut self.limits,
            target: &mut self.scaling.target,
            cooldown: &mut self.scaling.cooldown,
        }
    }

    /// Whether all clients share one session.
    pub fn shareable(&self) -> bool {
        self.sessions == Sessions::Shared
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Settings::default().for_server()
    }
}

/// The eras of the Model Context Protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolEra {
    /// Find out.
    #[default]
    Auto,
    /// Up to 2025-11-25: `initialize`, sessions.
    Legacy,
    /// From 2026-07-28: stateless.
    Modern,
}
