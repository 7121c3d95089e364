//! How calls to one server are treated: its policy, that of each of its tools, and what is kept for
//! them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mcp_failover::{Budget, BudgetConfig, Latencies};
use mcp_wire::Request;
use tokio::time::Instant;

use crate::config::{Hedge, Policy, ServerSettings, ToolPolicy};

/// The tools of one server that something is kept for. Of more, the policy alone counts.
const TOOLS_MAX: usize = 1024;
/// What takes longer than this share of calls is late.
const LATE: f64 = 0.95;
/// Of fewer calls nobody knows what is late.
const SAMPLES_MIN: u32 = 20;

/// How calls to one server are treated. It is replaced as a whole, with the line-up that it is part of.
#[derive(Debug)]
pub(crate) struct Treatment {
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
    /// What calls take, where somebody wants to know.
    latencies: Option<Latencies>,
}

impl Treatment {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        let (policy, tools) = (settings.policy.clone(), settings.tools.clone());
        let mut config = BudgetConfig::default();
        config.ratio = f64::from(policy.repeats.budget) / 100.0;
        let now = Instant::now().into_std();
        let budget = Budget::new(&config, now).ok();
        let common = Arc::new(Treated::new(policy.clone()));
        Self { policy, tools, budget, common, known: RwLock::default() }
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

    fn of_tool(&self, tool: &str) -> Arc<Treated> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(treated) = known.get(tool) {
                return Arc::clone(treated);
            }
        }
        let mut policy = self.policy.clone();
        let said = self.tools.iter().filter(|said| said.tools.matches(tool));
        said.for_each(|said| said.apply(&mut policy));
        let treated = Arc::new(Treated::new(policy));
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
        Self { policy, latencies: learns.then(|| Latencies::new(LATE)) }
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
