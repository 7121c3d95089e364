//! How calls to one server are treated: its policy, that of each of its tools, and what is kept for
//! them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mcp_bulkhead::{Ask, Rates};
use mcp_failover::{Budget, BudgetConfig, Latencies};
use mcp_wire::Request;
use tokio::time::Instant;

use crate::config::{Hedge, Policy, ServerSettings, ToolPolicy, of_tool};
use crate::failure::Failure;
use crate::gate::{self, Gate, Pass, Shut};

/// The tools of one server that something is kept for. Of more, the policy alone counts.
const TOOLS_MAX: usize = 1024;
/// What takes longer than this share of calls is late.
const LATE: f64 = 0.95;
/// Of fewer calls nobody knows what is late.
const SAMPLES_MIN: u32 = 20;

/// How calls to one server are treated. It is replaced as a whole, with the line-up that it is part of.
#[derive(Debug)]
pub(crate) struct Treatment {
    server: Arc<str>,
    policy: Policy,
    tools: Vec<ToolPolicy>,
    /// Repeats and hedges of all calls.
    budget: Option<Budget>,
    /// Calls that are no tool's, or that nothing is said of.
    common: Arc<Treated>,
    /// The others.
    known: RwLock<HashMap<Box<str>, Arc<Treated>>>,
}

/// How calls of one kind are treated.
#[derive(Debug)]
pub(crate) struct Treated {
    pub(crate) policy: Policy,
    /// What stands before a tool.
    gate: Option<Arc<Gate>>,
    /// How many calls each client makes in a time.
    rates: Option<Arc<Rates>>,
    /// What calls take, where somebody wants to know.
    latencies: Option<Latencies>,
}

impl Treatment {
    pub(crate) fn new(server: &Arc<str>, settings: &ServerSettings) -> Self {
        let (policy, tools) = (settings.policy.clone(), settings.tools.clone());
        let mut config = BudgetConfig::default();
        config.ratio = f64::from(policy.repeats.budget) / 100.0;
        let now = Instant::now().into_std();
        let budget = Budget::new(&config, now).ok();
        let rates = rates(&policy);
        let common = Arc::new(Treated { rates, ..Treated::new(policy.clone()) });
        let server = Arc::clone(server);
        Self { server, policy, tools, budget, common, known: RwLock::default() }
    }

    /// Whether calls are treated as `settings` say.
    pub(crate) fn is_of(&self, settings: &ServerSettings) -> bool {
        self.policy == settings.policy && self.tools == settings.tools
    }

    /// What is said of the server as a whole.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A call begins, which pays for repeats of calls that fail.
    pub(crate) fn deposit(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
    }

    /// Whether there may be one more repeat now.
    pub(crate) fn affords_repeat(&self) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.withdraw(Instant::now().into_std()))
    }

    /// What stands before `tool`, if anything does.
    pub(crate) fn tool_gate(&self, tool: &str) -> Option<Arc<Gate>> {
        self.of_tool(tool).gate.clone()
    }

    /// The tools that have been called and that something stands before, by name.
    pub(crate) fn tool_gates(&self) -> Vec<(Box<str>, Arc<Gate>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let gates = known.iter().filter_map(|(name, one)| Some((name.clone(), one.gate.clone()?)));
        let mut gates: Vec<_> = gates.collect();
        gates.sort_by(|(one, _), (other, _)| one.cmp(other));
        gates
    }

    /// What stands before a replica of this number.
    pub(crate) fn gate(&self, number: usize) -> Arc<Gate> {
        let what = format!("{}, replica {number}", self.server);
        let (breaker, limits) = (&self.policy.breaker, &self.policy.limits);
        Gate::new(breaker, Some(limits), what, Instant::now().into_std())
    }

    /// What stands before a session that has a process of its own.
    pub(crate) fn gate_of_session(&self) -> Arc<Gate> {
        let what = format!("{}, a client's session", self.server);
        let (breaker, limits) = (&self.policy.breaker, &self.policy.limits);
        Gate::new(breaker, Some(limits), what, Instant::now().into_std())
    }

    /// How `request`, named as its server knows it, is treated.
    pub(crate) fn of(&self, request: &Request) -> Arc<Treated> {
        let tool = (request.method() == "tools/call").then(|| request.name()).flatten();
        match tool.filter(|_| self.tells_tools_apart()) {
            Some(tool) => self.of_tool(tool),
            None => Arc::clone(&self.common),
        }
    }

    fn tells_tools_apart(&self) -> bool {
        !self.tools.is_empty() || self.policy.repeats.hedge == Hedge::Learned
    }

    /// All that is said of `tool`; it has a breaker and limits of its own only if those are said of
    /// it, too.
    fn treated(&self, tool: &str) -> Treated {
        let (policy, limits) = of_tool(&self.policy, &self.tools, tool);
        let gate = (policy.breaker.enabled || limits).then(|| {
            let what = format!("{}, tool {tool:?}", self.server);
            let limits = limits.then_some(&policy.limits);
            Gate::new(&policy.breaker, limits, what, Instant::now().into_std())
        });
        let rates = match policy.limits.rate == self.policy.limits.rate {
            true => self.common.rates.clone(),
            false => rates(&policy),
        };
        Treated { gate, rates, ..Treated::new(policy) }
    }

    fn of_tool(&self, tool: &str) -> Arc<Treated> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(treated) = known.get(tool) {
                return Arc::clone(treated);
            }
        }
        let treated = Arc::new(self.treated(tool));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TOOLS_MAX && !known.contains_key(tool) {
            // Whoever makes up names does not push out those that are in use.
            known.retain(|_, treated| Arc::strong_count(treated) > 1);
            if known.len() >= TOOLS_MAX {
                return treated;
            }
        }
        Arc::clone(known.entry(tool.into()).or_insert(treated))
    }
}

impl Treated {
    fn new(policy: Policy) -> Self {
        let learns = policy.repeats.hedge == Hedge::Learned;
        let latencies = learns.then(|| Latencies::new(LATE));
        Self { policy, gate: None, rates: None, latencies }
    }

    /// Whether this client may make one more call.
    pub(crate) fn admit(&self, server: &str, client: Option<u64>) -> Result<(), Failure> {
        let Some(rates) = &self.rates else { return Ok(()) };
        match rates.check(client.unwrap_or(0), Instant::now().into_std()) {
            Err(mcp_bulkhead::Rejected::TooMany { retry_after }) => {
                Err(Failure::RateLimited { server: server.to_owned(), retry_after })
            }
            _ => Ok(()),
        }
    }

    /// Lets a call of the tool through when it is its turn; `None` if there is nothing to pass.
    pub(crate) async fn enter(
        &self,
        server: &str,
        request: &Request,
        ask: Ask,
    ) -> Result<Option<Pass>, Failure> {
        let Some(gate) = &self.gate else { return Ok(None) };
        match gate.try_enter(Instant::now().into_std()) {
            Ok(pass) => Ok(Some(pass)),
            Err(Shut::Open(rejected)) => Err(gate::refused(server, request.name(), rejected)),
            // Boxed: rare, and it would make every request's future larger.
            Err(Shut::Full) => Box::pin(gate.enter(ask, server, request.name())).await.map(Some),
        }
    }

    /// A call had its answer after this time.
    pub(crate) fn took(&self, latency: Duration) {
        if let Some(latencies) = &self.latencies {
            latencies.record(latency);
        }
    }

    /// After which time a call that only reads is sent to another replica as well.
    pub(crate) fn hedge_after(&self) -> Option<Duration> {
        match self.policy.repeats.hedge {
            Hedge::Off => None,
            Hedge::After(after) => Some(after),
            Hedge::Learned => self.latencies.as_ref()?.tail(SAMPLES_MIN),
        }
    }
}

fn rates(policy: &Policy) -> Option<Arc<Rates>> {
    let rate = policy.limits.rate?;
    let calls = NonZeroU32::new(rate.calls)?;
    Some(Arc::new(Rates::new(calls, rate.per, Instant::now().into_std())))
}
