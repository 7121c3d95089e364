//! Why a call failed before, or instead of, an answer from its server: one code each, stable.

use std::time::Duration;

use mcp_wire::{CallError, ErrorObject, HandshakeError, MembersError, code, quoted};

/// A call that has no answer of its server.
///
/// Every kind has a stable [`code`](Self::code), which clients find in the `data.code` of the
/// JSON-RPC error, and says which server it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No server is configured, or every one is disabled.
    #[error("no server is available: none is configured and enabled")]
    NoServers,
    /// Nobody has a server of this name.
    #[error("there is no server {:?}", excerpt(name))]
    ServerNotFound {
        /// The name.
        name: String,
    },
    /// There is a server of this name already.
    #[error("there is a server {name:?} already")]
    AlreadyExists {
        /// The name.
        name: String,
    },
    /// Somebody has stopped the server.
    #[error("server {server:?} is stopped, and answers when it is started again")]
    Stopped {
        /// The server.
        server: String,
    },
    /// No server offers this tool, prompt or resource.
    #[error("there is no {what} {:?}", excerpt(name))]
    NotFound {
        /// `tool`, `prompt`, `resource`.
        what: &'static str,
        /// The name or URI.
        name: String,
    },
    /// Several servers offer it, and nothing in it says which is meant.
    #[error("{name:?} is a name of {}; {way_out}", servers.join(" and "))]
    Ambiguous {
        /// The name, URI or id.
        name: String,
        /// The servers that offer it.
        servers: Vec<String>,
        /// What to say instead, or where.
        way_out: String,
    },
    /// The server's command does not exist.
    #[error("server {server:?}: {why}")]
    Command {
        /// The server.
        server: String,
        /// Where it was looked for.
        why: String,
    },
    /// The server's command exists and cannot be started.
    #[error("server {server:?}: {why}")]
    NotStarted {
        /// The server.
        server: String,
        /// What is wrong with the command, or missing.
        why: String,
    },
    /// The server's entry in the configuration cannot be used.
    #[error("{why}")]
    Config {
        /// The server.
        server: String,
        /// What is wrong, where, and how to mend it.
        why: String,
    },
    /// No connection to the server could be made.
    #[error("server {server:?}: {why}")]
    Connection {
        /// The server.
        server: String,
        /// What failed.
        why: String,
    },
    /// The server ended, or its connection did, while the call was under way.
    #[error("server {server:?} is gone: {why}{}", last_words(stderr))]
    Unavailable {
        /// The server.
        server: String,
        /// How it ended.
        why: String,
        /// The last lines that it wrote to stderr.
        stderr: Vec<String>,
    },
    /// Several replicas of the server were tried, and each has failed the call.
    #[error("server {server:?}: {replicas} replicas were tried, the last one: {last}")]
    Exhausted {
        /// The server.
        server: String,
        /// How many.
        replicas: usize,
        /// Why the last one failed.
        last: Box<Self>,
    },
    /// The server did not answer in time. It was told to stop, and may have acted.
    #[error("server {server:?} did not answer within {after:?}")]
    Timeout {
        /// The server.
        server: String,
        /// How long the call was given.
        after: Duration,
    },
    /// Calls like this have failed, and are refused for a while; nothing was sent.
    #[error(
        "server {server:?}{}: the circuit is open, because {why}; retry in {retry_after:?}",
        of_tool(tool.as_deref())
    )]
    CircuitOpen {
        /// The server.
        server: String,
        /// The tool, if only its calls are refused.
        tool: Option<String>,
        /// What has happened.
        why: String,
        /// When a call may go through again.
        retry_after: Duration,
    },
    /// A rule of the configuration refuses the call.
    #[error("rule {rule:?} refuses this call: {why}")]
    Denied {
        /// The rule.
        rule: String,
        /// Why, as it says.
        why: String,
    },
    /// As many calls are under way, or wait, as the policy allows; nothing was sent.
    #[error("server {server:?}{}: {why}", of_tool(tool.as_deref()))]
    Busy {
        /// The server.
        server: String,
        /// The tool, if it is its limit.
        tool: Option<String>,
        /// Which limit it was.
        why: String,
    },
    /// The client has made more calls in a time than the policy allows; nothing was sent.
    #[error("server {server:?}: too many calls of this client; retry in {retry_after:?}")]
    RateLimited {
        /// The server.
        server: String,
        /// When the next call may be made.
        retry_after: Duration,
    },
    /// Too much is waiting for the server; nothing was sent.
    #[error("server {server:?} is overloaded: {why}")]
    Overloaded {
        /// The server.
        server: String,
        /// What is full.
        why: String,
    },
    /// The server broke the protocol.
    #[error("server {server:?} broke the protocol: {why}")]
    Protocol {
        /// The server.
        server: String,
        /// How.
        why: String,
    },
    /// The server asked for input of the client, and there is none to give.
    #[error("server {server:?} asked for input that it cannot have: {why}")]
    Input {
        /// The server.
        server: String,
        /// Why not.
        why: String,
    },
    /// The client cancelled the call.
    #[error("the call was cancelled")]
    Cancelled,
    /// The method is not known, or no server can be chosen for it.
    #[error("method {:?} is not available here", excerpt(method))]
    MethodNotFound {
        /// The method.
        method: String,
    },
    /// The parameters cannot be routed on.
    #[error("invalid params: {why}")]
    Params {
        /// What is wrong.
        why: String,
    },
    /// A request with this id is in flight already.
    #[error("a request with id {} is already in flight", excerpt(id))]
    DuplicateId {
        /// The id, as JSON text.
        id: String,
    },
    /// The operating system does not give what the manager needs.
    #[error("{why}")]
    System {
        /// What is missing.
        why: String,
    },
    /// The manager is shutting down.
    #[error("the manager is shutting down")]
    Stopping,
}

/// The beginning of what a client wrote: a message is for people, and may be logged.
fn excerpt(text: &str) -> std::borrow::Cow<'_, str> {
    const CHARS: usize = 200;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

fn of_tool(tool: Option<&str>) -> String {
    tool.map(|tool| format!(", tool {:?}", excerpt(tool))).unwrap_or_default()
}

/// What a server wrote last, without what a terminal would obey: a message is shown and logged.
fn last_words(stderr: &[String]) -> String {
    if stderr.is_empty() {
        return String::new();
    }
    let words = stderr.join(" | ").replace(|c: char| c.is_control(), "\u{fffd}");
    format!("; stderr: {words}")
}

impl Failure {
    /// The stable code. The list is part of the public contract: `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoServers => "NO_SERVERS_AVAILABLE",
            Self::ServerNotFound { .. } => "SERVER_NOT_FOUND",
            Self::AlreadyExists { .. } => "SERVER_ALREADY_EXISTS",
            Self::Stopped { .. } => "SERVER_STOPPED",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::Ambiguous { .. } => "AMBIGUOUS_NAME",
            Self::Command { .. } => "COMMAND_NOT_FOUND",
            Self::NotStarted { .. } => "COMMAND_NOT_STARTED",
            Self::Config { .. } => "CONFIG_ERROR",
            Self::Connection { .. } => "CONNECTION_FAILED",
            Self::Unavailable { .. } => "SERVER_UNAVAILABLE",
            Self::Exhausted { .. } => "FAILOVER_EXHAUSTED",
            Self::Timeout { .. } => "TIMEOUT",
            Self::CircuitOpen { .. } => "CIRCUIT_OPEN",
            Self::Denied { .. } => "DENIED",
            Self::Busy { .. } => "OVERLOADED",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::Overloaded { .. } => "MAX_OVERFLOW_REACHED",
            Self::Protocol { .. } => "PROTOCOL_ERROR",
            Self::Input { .. } => "INPUT_UNAVAILABLE",
            Self::Cancelled => "CANCELLED",
            Self::MethodNotFound { .. } => "METHOD_NOT_FOUND",
            Self::Params { .. } => "INVALID_PARAMS",
            Self::DuplicateId { .. } => "DUPLICATE_ID",
            Self::System { .. } => "SYSTEM_ERROR",
            Self::Stopping => "STOPPING",
        }
    }

    /// The server that it is about, if it is about one.
    pub fn server(&self) -> Option<&str> {
        match self {
            Self::Command { server, .. }
            | Self::NotStarted { server, .. }
            | Self::Config { server, .. }
            | Self::Connection { server, .. }
            | Self::Unavailable { server, .. }
            | Self::Exhausted { server, .. }
            | Self::Timeout { server, .. }
            | Self::CircuitOpen { server, .. }
            | Self::Busy { server, .. }
            | Self::RateLimited { server, .. }
            | Self::Overloaded { server, .. }
            | Self::Protocol { server, .. }
            | Self::Input { server, .. }
            | Self::Stopped { server } => Some(server),
            Self::ServerNotFound { name } | Self::AlreadyExists { name } => Some(name),
            _ => None,
        }
    }

    /// When it is worth to ask again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CircuitOpen { retry_after, .. } | Self::RateLimited { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// As the error object of a JSON-RPC response.
    pub fn to_error(&self) -> ErrorObject {
        let number = match self {
            Self::ServerNotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::NotFound { .. }
            | Self::Ambiguous { .. }
            | Self::Denied { .. }
            | Self::Params { .. } => code::INVALID_PARAMS,
            Self::MethodNotFound { .. } => code::METHOD_NOT_FOUND,
            Self::DuplicateId { .. } => code::INVALID_REQUEST,
            _ => code::INTERNAL_ERROR,
        };
        let server = self.server().map(|name| format!(",\"server\":{}", quoted(name)));
        let later =
            self.retry_after().map(|time| format!(",\"retryAfterMs\":{}", time.as_millis()));
        let (server, later) = (server.unwrap_or_default(), later.unwrap_or_default());
        let data = format!("{{\"code\":\"{}\"{server}{later}}}", self.code());
        ErrorObject::new(number, self.to_string()).with_data(data)
    }

    /// The same, after so many replicas were tried.
    pub(crate) fn of_several(self, replicas: usize) -> Self {
        match self.server().map(str::to_owned) {
            Some(server) => Self::Exhausted { server, replicas, last: Box::new(self) },
            None => self,
        }
    }

    /// The same with one thing more to know, where there is a reason to add it to.
    pub(crate) fn and(mut self, note: &str) -> Self {
        if let Self::Command { why, .. }
        | Self::NotStarted { why, .. }
        | Self::Connection { why, .. }
        | Self::Unavailable { why, .. }
        | Self::Protocol { why, .. } = &mut self
        {
            why.push_str("; ");
            why.push_str(note);
        }
        self
    }

    /// What a failed call on a connection to `server` is called here.
    pub(crate) fn of_call(server: &str, error: CallError) -> Self {
        let server = server.to_owned();
        match error {
            CallError::Connect { .. } | CallError::Status { .. } | CallError::SessionLost => {
                Self::Connection { server, why: error.to_string() }
            }
            CallError::Timeout { after } => Self::Timeout { server, after },
            CallError::Overloaded | CallError::SlowCaller { .. } => {
                Self::Overloaded { server, why: error.to_string() }
            }
            CallError::Cancelled => Self::Cancelled,
            CallError::Unreadable(_) | CallError::Protocol { .. } => {
                Self::Protocol { server, why: error.to_string() }
            }
            CallError::Unsent { .. } => {
                Self::Unavailable { server, why: error.to_string(), stderr: Vec::new() }
            }
            CallError::Closed { why } => Self::Unavailable { server, why, stderr: Vec::new() },
            other => Self::Connection { server, why: other.to_string() },
        }
    }

    /// What a failed handshake with `server` is called here.
    pub(crate) fn of_handshake(server: &str, error: HandshakeError) -> Self {
        match error {
            HandshakeError::Call(error) => Self::of_call(server, error),
            other => Self::Protocol { server: server.to_owned(), why: other.to_string() },
        }
    }
}

impl From<MembersError> for Failure {
    fn from(error: MembersError) -> Self {
        Self::Params { why: error.to_string() }
    }
}
