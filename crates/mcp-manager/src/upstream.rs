//! One open connection to one replica of a server, and the process behind it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use mcp_supervisor::Process;
use mcp_wire::{
    CallError, Connection, Discovered, Era, ErrorObject, Initialized, Kind, Message, code,
};
use tokio::time::timeout;

use crate::definition::Definition;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::live::LiveGuard;
use crate::load::Load;
use crate::opener::Opener;
use crate::redact::redact;
use crate::server::lock;
use crate::treatment::Treatment;

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
    opener: Arc<Opener>,
    process: Option<Process>,
    /// Says that the process lives.
    guard: Mutex<Option<LiveGuard>>,
    /// What stands before it, if it belongs to no replica.
    gate: OnceLock<Arc<Gate>>,
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

impl Upstream {
    pub(crate) fn new(
        connection: Connection,
        hello: Hello,
        info: Option<Box<str>>,
        opener: Arc<Opener>,
        process: Option<(Process, LiveGuard)>,
    ) -> Self {
        let (process, guard) = process.unzip();
        let (guard, gate) = (Mutex::new(guard), OnceLock::new());
        Self { connection, hello, info, opener, process, guard, gate }
    }

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

    /// Whether new calls may go over it: it is alive, and so is what it belongs to.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_alive() && !self.opener.is_retired() && !self.opener.is_shunned()
    }

    pub(crate) fn server(&self) -> &Arc<str> {
        &self.opener.name
    }

    /// The number of the replica that it leads to. A session with a process of its own belongs to
    /// none.
    pub(crate) fn replica(&self) -> Option<usize> {
        self.opener.number
    }

    /// What stands before it, where it belongs to no replica.
    pub(crate) fn gate(&self, treatment: &Treatment) -> &Arc<Gate> {
        self.gate.get_or_init(|| treatment.gate_of_session())
    }

    /// The calls that are under way where it leads to.
    pub(crate) fn load(&self) -> &Load {
        self.opener.load()
    }

    /// A call here had its answer.
    pub(crate) fn has_answered(&self) {
        if let Some(pulse) = self.opener.pulse() {
            // How long a tool takes is its own affair: only probes are slow.
            pulse.succeeded(Duration::ZERO);
        }
    }

    /// A call here failed. Those that were taken back, or never left, say nothing about the server.
    pub(crate) fn has_failed(&self, error: &CallError) {
        let own = matches!(error, CallError::Cancelled | CallError::Overloaded)
            || matches!(error, CallError::SlowCaller { .. });
        if let Some(pulse) = self.opener.pulse().filter(|_| !own) {
            pulse.failed();
        }
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Closes it, and returns when nothing is left of its process.
    pub(crate) async fn end(&self) {
        self.connection.close("the session was closed");
        if let Some(process) = &self.process {
            process.stop().await;
        }
        lock(&self.guard).take();
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
        let failure = Failure::of_call(self.server(), error);
        with_exit(failure, self.process(), &self.opener.definition).await
    }
}

pub(crate) async fn with_exit(
    failure: Failure,
    process: Option<&Process>,
    definition: &Definition,
) -> Failure {
    let (Failure::Unavailable { server, why, .. }, Some(process)) = (&failure, process) else {
        return failure;
    };
    // The end of its output and its exit are two events: give the second a moment to arrive.
    let exit = timeout(EXIT_TIMEOUT, process.wait()).await.ok();
    let why = match (exit, process.cause().filter(|cause| cause.is_limit())) {
        (_, Some(cause)) => format!("it was ended, because it {cause}"),
        (Some(exit), None) => exit.to_string(),
        (None, None) => why.clone(),
    };
    let lines = process.stderr().lines();
    let stderr = lines[lines.len().saturating_sub(LAST_WORDS)..].to_vec();
    let stderr = redact(definition, stderr);
    Failure::Unavailable { server: server.clone(), why, stderr }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Other handles may exist in calls on their way; the process ends for them, too.
        self.connection.close("the session was closed");
        let guard = lock(&self.guard).take();
        retire(self.process.take().zip(guard));
    }
}

/// Stops a process in the background; the guard says that it still lives.
pub(crate) fn retire(process: Option<(Process, LiveGuard)>) {
    let (Some((process, guard)), Ok(runtime)) = (process, tokio::runtime::Handle::try_current())
    else {
        return;
    };
    runtime.spawn(async move {
        process.stop().await;
        drop(guard);
    });
}
