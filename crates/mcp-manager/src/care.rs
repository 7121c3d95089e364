//! How one call is treated, and what may be done with it.

use std::sync::Arc;
use std::time::Duration;

use mcp_bulkhead::Ask;
use mcp_wire::Request;

use crate::server::Server;
use crate::steer::Steer;
use crate::treatment::{Treated, Treatment};

/// How a call is treated.
#[derive(Clone, Debug)]
pub(crate) struct Care {
    pub(crate) treatment: Arc<Treatment>,
    pub(crate) treated: Arc<Treated>,
    /// Whether a rule has sent it to its server, rather than its name.
    pub(crate) steered: bool,
    priority: Option<u8>,
    fallback: Option<Box<str>>,
}

impl Care {
    pub(crate) fn of(server: &Server, request: &Request) -> Self {
        let treatment = server.line_up().treatment();
        let treated = treatment.of(request);
        Self { treatment, treated, steered: false, priority: None, fallback: None }
    }

    /// The same, as rules say.
    pub(crate) fn steered(self, steer: &Steer) -> Self {
        let fallback = steer.fallback.clone();
        Self { steered: steer.server.is_some(), priority: steer.priority, fallback, ..self }
    }

    /// How a call of this client waits, where it has to.
    pub(crate) fn ask(&self, client: Option<u64>) -> Ask {
        let priority = self.priority.unwrap_or(self.treated.policy.limits.priority);
        Ask::of(client.unwrap_or(0)).with_priority(priority)
    }

    /// The server that is asked when its own cannot do it.
    pub(crate) fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref().or(self.treated.policy.fallback.as_deref())
    }

    /// How long the next attempt may be silent, where that is less than the whole call may. `repeats`:
    /// how many there were.
    pub(crate) fn haste(
        &self,
        server: &Server,
        request: &Request,
        repeats: u32,
    ) -> Option<Duration> {
        let policy = &self.treated.policy.repeats;
        // Alone it has nowhere else to go.
        let timeout = policy.attempt_timeout.filter(|_| server.replicas() > 1)?;
        let may = repeats < policy.retries && harm(server, request, &self.treated).is_ok();
        may.then_some(timeout).filter(|timeout| *timeout < server.timing().timeout)
    }
}

/// Why carrying `request`, named as its server knows it, out twice may do harm.
pub(crate) fn harm(
    server: &Server,
    request: &Request,
    treated: &Treated,
) -> Result<(), &'static str> {
    let params = request.params();
    let has = |name| params.as_ref().is_some_and(|params| params.get(name).is_some());
    if has("requestState") || has("inputResponses") {
        return Err("it carries a client's answers");
    }
    if has("task") {
        return Err("it starts a task");
    }
    match request.method() {
        "resources/read"
        | "prompts/get"
        | "completion/complete"
        | "server/discover"
        | "logging/setLevel"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "tasks/get"
        | "tasks/result"
        | "ping" => Ok(()),
        method if method.ends_with("/list") => Ok(()),
        "tools/call" if treated.policy.repeats.repeatable == Some(true) => Ok(()),
        "tools/call" if treated.policy.repeats.repeatable == Some(false) => {
            Err("its policy says that it is not repeatable")
        }
        "tools/call" if request.name().is_some_and(|tool| server.catalog().is_repeatable(tool)) => {
            Ok(())
        }
        "tools/call" => Err("its tool is known as neither readOnlyHint nor idempotentHint"),
        _ => Err("its method may change something"),
    }
}

/// Whether `request`, named as its server knows it, changes nothing at all.
pub(crate) fn only_reads(server: &Server, request: &Request, treated: &Treated) -> bool {
    let reads = match request.method() {
        "tools/call" => request.name().is_some_and(|tool| server.catalog().is_read_only(tool)),
        "resources/read" | "prompts/get" | "completion/complete" => true,
        method => method.ends_with("/list"),
    };
    reads && harm(server, request, treated).is_ok()
}
