//! Rules: calls that do not go where their name says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use mcp_router::{Ask, Config, Router, Rule, Verdict};
use mcp_wire::{Request, unquoted};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::chance::Chance;
use crate::client::Client;
use crate::failure::Failure;
use crate::roster::Roster;
use crate::server::Server;

/// Copies of calls under way; more are not made.
const MIRRORS_MAX: usize = 64;

/// The rules that are in force.
#[derive(Debug)]
pub(crate) struct Rules {
    router: RwLock<Option<Arc<Router>>>,
    /// Whether there are any: nearly always there are none.
    any: AtomicBool,
    /// Whether one of them wants to know who calls.
    clients: AtomicBool,
    chance: Chance,
    mirrors: Arc<Semaphore>,
}

/// What rules say of one call.
#[derive(Debug, Default)]
pub(crate) struct Steer {
    /// The server that it goes to, if that is another one.
    pub(crate) server: Option<Arc<Server>>,
    pub(crate) priority: Option<u8>,
    pub(crate) fallback: Option<Box<str>>,
    /// The server that gets a copy, while the permit is there.
    pub(crate) mirror: Option<(Arc<Server>, OwnedSemaphorePermit)>,
}

impl Default for Rules {
    fn default() -> Self {
        let mirrors = Arc::new(Semaphore::new(MIRRORS_MAX));
        Self {
            router: RwLock::default(),
            any: AtomicBool::new(false),
            clients: AtomicBool::new(false),
            chance: Chance::default(),
            mirrors,
        }
    }
}

impl Rules {
    /// Has these rules be in force from now on. Wrong ones change nothing.
    pub(crate) fn set(&self, rules: Vec<Rule>) -> Result<(), Failure> {
        let any = !rules.is_empty();
        let clients = rules.iter().any(|rule| !rule.when.clients.is_empty());
        let mut router = self.router.write().unwrap_or_else(PoisonError::into_inner);
        let next = match &*router {
            Some(now) => now.changed(rules),
            None => Router::new(rules, Config::default()),
        };
        let wrong = |error: mcp_router::RuleError| Failure::Params { why: error.to_string() };
        *router = Some(Arc::new(next.map_err(wrong)?));
        self.clients.store(clients, Ordering::Release);
        self.any.store(any, Ordering::Release);
        Ok(())
    }

    /// How often each rule has held, by name, in their order.
    pub(crate) fn stats(&self) -> Option<mcp_router::Stats> {
        let router = self.router.read().unwrap_or_else(PoisonError::into_inner);
        router.as_ref().filter(|router| !router.rules().is_empty()).map(|router| router.stats())
    }

    /// What the rules say of `request`, which would go to `server` and is named as that has it.
    pub(crate) fn steer(
        &self,
        roster: &Roster,
        server: &Arc<Server>,
        request: &Request,
        client: Option<&Arc<Client>>,
    ) -> Result<Steer, Failure> {
        // What is about a session, or a task that was made somewhere, stays there.
        const FREE: [&str; 4] =
            ["tools/call", "prompts/get", "resources/read", "completion/complete"];
        if !self.any.load(Ordering::Acquire) || !FREE.contains(&request.method()) {
            return Ok(Steer::default());
        }
        let router = self.router.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(router) = router else { return Ok(Steer::default()) };
        let params = request.params();
        let arguments = params.as_ref().and_then(|params| params.get("arguments"));
        let wants_client = self.clients.load(Ordering::Acquire);
        let client = wants_client.then(|| name_of(client, request)).flatten();
        let mut ask = Ask::new(request.method());
        ask.tool = (request.method() == "tools/call").then(|| request.name()).flatten();
        ask.server = Some(server.name());
        ask.client = client.as_deref();
        ask.arguments = arguments.unwrap_or_default();
        ask.key = self.chance.next();
        let decision = router.route(&ask);
        let named = |name: &str| {
            let missing = || Failure::ServerNotFound { name: name.to_owned() };
            roster.server(name).ok_or_else(missing)
        };
        let mut steer = Steer {
            priority: decision.priority,
            fallback: decision.fallback.map(Into::into),
            ..Steer::default()
        };
        match decision.verdict {
            Verdict::Pass => {}
            Verdict::Route(name) => {
                steer.server = Some(named(name)?).filter(|other| !Arc::ptr_eq(other, server));
            }
            Verdict::Deny(why) => {
                let rule = decision.rule.and_then(|index| router.rules().get(index));
                let rule = rule.map(|rule| rule.name.clone()).unwrap_or_default();
                return Err(Failure::Denied { rule, why: why.to_owned() });
            }
        }
        if let Some(name) = decision.mirror {
            let permit = Arc::clone(&self.mirrors).try_acquire_owned();
            steer.mirror = Some(named(name)?).zip(permit.ok());
        }
        Ok(steer)
    }
}

/// How a client calls itself.
fn name_of(client: Option<&Arc<Client>>, request: &Request) -> Option<String> {
    let info = match client.and_then(|client| client.params()) {
        Some(params) => {
            let members = mcp_wire::Members::of(&params).ok()?;
            members.get("clientInfo")?.to_owned()
        }
        None => request.meta()?.get(mcp_wire::meta::CLIENT_INFO)?.to_owned(),
    };
    let name = mcp_wire::Members::of(&info).ok()?.get("name").map(str::to_owned)?;
    unquoted(&name).map(|name| name.into_owned())
}
