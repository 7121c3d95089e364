//! What a server of the fleet is: an entry of the configuration, or Rust code in this process.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::config::{ServerKind, ServerSettings, ServerSpec};

/// A server that the fleet is to run.
///
/// Two definitions are equal when a server that runs by one need not be changed for the other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name, unique in the fleet.
    pub name: String,
    /// How it is reached.
    pub source: Source,
    /// Timeouts, sharing, era.
    pub settings: ServerSettings,
    /// Whether it stays off.
    pub disabled: bool,
    /// Why it cannot be started, if it cannot.
    pub fault: Option<String>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// A process or an endpoint, as the configuration describes it.
    Configured(ServerKind),
    /// Rust code.
    Custom(Custom),
}

/// The client's ends of two byte streams that carry one message per line.
#[expect(missing_debug_implementations, reason = "streams have nothing to show")]
#[expect(clippy::exhaustive_structs, reason = "a stream has two directions")]
pub struct Streams {
    /// What the server writes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the server reads.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// What [`Custom`] calls to open a session with its server.
pub type Start =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Streams, String>> + Send>> + Send + Sync;

/// A server that is reached by calling a function.
#[derive(Clone)]
pub struct Custom {
    start: Arc<Start>,
    health: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Custom {
    /// A server to which `start` opens one more session each time it is called.
    pub fn new<F, T>(start: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<Streams, String>> + Send + 'static,
    {
        Self { start: Arc::new(move || Box::pin(start())), health: Arc::new(|| Ok(())) }
    }

    /// The same server, open to new sessions, and healthy, only while `health` says so.
    #[must_use]
    pub fn with_health(
        mut self,
        health: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.health = Arc::new(health);
        self
    }

    /// What its health function says. One that panics is not well, and that is all.
    pub(crate) fn is_well(&self) -> Result<(), String> {
        let said = catch_unwind(AssertUnwindSafe(|| (self.health)()));
        said.unwrap_or_else(|_| Err("its health check panicked".to_owned()))
    }

    /// Runs the server's own code in a task of its own: if it panics, its start has failed, and
    /// nothing else.
    pub(crate) async fn open(&self) -> Result<Streams, String> {
        self.is_well()?;
        let start = Arc::clone(&self.start);
        let mut opening = JoinSet::new();
        opening.spawn(async move { start().await });
        match opening.join_next().await {
            Some(Ok(opened)) => opened,
            _ => Err("its start panicked".to_owned()),
        }
    }
}

/// The same functions, not such as do the same.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.start, &other.start) && Arc::ptr_eq(&self.health, &other.health)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Custom").finish_non_exhaustive()
    }
}

impl Definition {
    /// A server made of Rust code, one instance, default settings.
    pub fn custom(name: impl Into<String>, custom: Custom) -> Self {
        Self {
            name: name.into(),
            source: Source::Custom(custom),
            settings: ServerSettings::default(),
            disabled: false,
            fault: None,
        }
    }

    /// Whether clients have their sessions with it in another way than by `other`.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let way = |definition: &Self| {
            let settings = &definition.settings;
            (settings.sessions, settings.protocol_era, definition.transport())
        };
        way(self) != way(other)
    }

    /// Whether a server that runs by `other` need not be changed for this, but for how calls are
    /// treated on their way to it.
    pub(crate) fn runs_as(&self, other: &Self) -> bool {
        let plain = |definition: &Self| {
            let mut plain = definition.clone();
            (plain.settings.policy, plain.settings.tools) = Default::default();
            plain
        };
        plain(self) == plain(other)
    }

    /// Whether each connection to it has a process of its own.
    pub(crate) fn has_processes(&self) -> bool {
        matches!(self.source, Source::Configured(ServerKind::Stdio(_)))
    }

    /// Where the replica of this number is, without what is secret in it; `None` if it is started
    /// here.
    pub(crate) fn url(&self, number: usize) -> Option<String> {
        let Source::Configured(kind) = &self.source else { return None };
        let (first, more) = match kind {
            ServerKind::Stdio(_) => return None,
            ServerKind::Http(http) | ServerKind::Sse(http) => (&http.url, &http.more),
            ServerKind::WebSocket(ws) => (&ws.url, &ws.more),
            ServerKind::Tcp(tcp) => (&tcp.address, &tcp.more),
        };
        let each = std::iter::once(first).chain(more);
        each.cycle().nth(number % (more.len() + 1)).map(ToString::to_string)
    }

    /// The word for its transport: `stdio`, `http`, `custom`.
    pub fn transport(&self) -> String {
        match &self.source {
            Source::Configured(kind) => kind.transport().to_string(),
            Source::Custom(_) => "custom".to_owned(),
        }
    }
}

impl From<ServerSpec> for Definition {
    fn from(spec: ServerSpec) -> Self {
        Self {
            fault: spec.fault.as_ref().map(ToString::to_string),
            name: spec.name,
            source: Source::Configured(spec.kind),
            settings: spec.settings,
            disabled: spec.disabled,
        }
    }
}
