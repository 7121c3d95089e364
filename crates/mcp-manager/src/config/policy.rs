//! How calls are treated on their way to a server.

use std::time::Duration;

use mcp_balance::Strategy;

use super::units;

/// How calls are treated on their way: those to one server, or those of one of its tools.
///
/// A key that an entry's `manager` block does not say is taken from the block of the root, and what
/// that does not say from its `preset`; for a tool, the patterns of `tools` come last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// When calls are refused without being sent, because they would fail.
    pub breaker: BreakerPolicy,
    /// How many calls there are at a time, and how many in a time.
    pub limits: CallLimits,
    /// What is done about a call that failed, or is slow.
    pub repeats: RepeatPolicy,
    /// `fallback`: the server that is asked when this one cannot do it, for a tool of the same name.
    /// Default: none.
    pub fallback: Option<String>,
    /// Which replicas serve, and which stand by. Not for a tool.
    pub standby: StandbyPolicy,
    /// `balance`: which replica a call goes to, one of [`Strategy::ALL`] by its name. Not for a
    /// tool. Default: `least-loaded`.
    pub balance: Strategy,
}

/// Which replicas serve, and which stand by: those are open, and get calls when others fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandbyPolicy {
    /// `failover`. Default: `active-active`.
    pub plan: StandbyPlan,
    /// `standby`: how many replicas stand by under `n-plus-one`. Default: 1; 1 to 63. One always serves.
    pub count: usize,
    /// `zones`: where the replicas are, under `cross-datacenter`: a name for each, in their order. The
    /// place that is named first is the preferred one; replicas without a name are at the last place
    /// that is named. Default: none, all are at one place.
    pub zones: Vec<String>,
    /// `failback`: how long a preferred replica must have been well before it serves again; `manual`:
    /// until somebody says so. Default: 60 s.
    pub failback: Option<Duration>,
}

/// Which replicas serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StandbyPlan {
    /// `active-active`: all.
    #[default]
    ActiveActive,
    /// `active-passive`: the first one that is well.
    ActivePassive,
    /// `n-plus-one`: all but `standby`.
    NPlusOne,
    /// `cross-datacenter`: those of the first place at which one is well.
    CrossDatacenter,
}

/// The words for [`StandbyPlan`].
pub(super) const PLANS: &[(&str, StandbyPlan)] = &[
    ("active-active", StandbyPlan::ActiveActive),
    ("active-passive", StandbyPlan::ActivePassive),
    ("n-plus-one", StandbyPlan::NPlusOne),
    ("cross-datacenter", StandbyPlan::CrossDatacenter),
];

impl StandbyPlan {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        PLANS.iter().find(|(_, plan)| *plan == self).map_or("", |(name, _)| name)
    }
}

impl Default for StandbyPolicy {
    fn default() -> Self {
        let failback = Some(Duration::from_secs(60));
        Self { plan: StandbyPlan::default(), count: 1, zones: Vec::new(), failback }
    }
}

/// When calls are refused without being sent, because they would fail: at one replica, or of one
/// tool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// `breaker`: whether there is one. Default: `true` for replicas; for a tool, if one of its
    /// patterns says `true`.
    pub enabled: bool,
    /// `breakerFailures`: so many failures in a row open it. Default: 5; 1 to 10,000.
    pub failures: u32,
    /// `breakerRate`: this share of failures within `breakerWindow` opens it, in percent. Default:
    /// 50; 1 to 100.
    pub rate: u32,
    /// `breakerSamples`: fewer calls than this within `breakerWindow` have no share. Default: 20; 1
    /// to 10,000.
    pub samples: u32,
    /// `breakerWindow`. Default: 10 s.
    pub window: Duration,
    /// `breakerSlow`: a call that takes longer counts as a failure. Default: none does.
    pub slow: Option<Duration>,
    /// `breakerPause`: how long it stays open before one call is let through to try. Twice as
    /// long each time that this fails. Default: 5 s.
    pub pause: Duration,
    /// `breakerPauseMax`. Default: 60 s. At least `breakerPause`.
    pub pause_max: Duration,
}

/// How many calls there are at a time, and how many in a time: at one replica, or of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallLimits {
    /// `maxConcurrent`: calls in flight; more wait. Default: no limit; 1 to 100,000.
    pub concurrent: Option<usize>,
    /// `adaptive`: whether the limit is found from latencies, between 1 and `maxConcurrent` (200, if
    /// that is not said). Default: `false`.
    pub adaptive: bool,
    /// `maxQueued`: calls that wait; more are refused. Default: 100; 0 to 100,000.
    pub queued: usize,
    /// `maxWait`: what has waited for so long is refused. Default: 5 s.
    pub wait: Duration,
    /// `rateLimit`: calls of one client in a time, such as `10/s`, `600/m` or `5000/h`; more are
    /// refused. All stateless requests together are one client. Default: no limit.
    pub rate: Option<Rate>,
    /// `priority`: who waits goes by it. Default: 5; 0 (last) to 10 (first).
    pub priority: u8,
}

/// What is done about a call that failed, or is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepeatPolicy {
    /// `repeatable`: whether calls may be carried out twice. Default: what the tool's annotations
    /// say, `readOnlyHint` or `idempotentHint`.
    pub repeatable: Option<bool>,
    /// `retries`: how often a call is repeated that may have been carried out. Default: 2; 0 to 10.
    pub retries: u32,
    /// `retryBudget`: repeats and hedges of all calls to the server together, in percent of its
    /// calls; beside it ten a second are free. Default: 20; 0 to 100.
    pub budget: u32,
    /// `attemptTimeout`: how long one attempt may go without an answer or a sign of progress, where
    /// the call may be repeated. Default: as `callTimeout`.
    pub attempt_timeout: Option<Duration>,
    /// `hedge`: when a call that only reads is sent to another replica as well. Default: `false`,
    /// never.
    pub hedge: Hedge,
}

/// When a call that only reads is sent to another replica as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hedge {
    /// `false`: never.
    #[default]
    Off,
    /// `true`: when it takes longer than 95 of 100 calls.
    Learned,
    /// A duration.
    After(Duration),
}

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// How many; 1 to 1,000,000.
    pub calls: u32,
    /// In which time: a second, a minute or an hour.
    pub per: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            failures: 5,
            rate: 50,
            samples: 20,
            window: Duration::from_secs(10),
            slow: None,
            pause: Duration::from_secs(5),
            pause_max: Duration::from_secs(60),
        }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            concurrent: None,
            adaptive: false,
            queued: 100,
            wait: Duration::from_secs(5),
            rate: None,
            priority: 5,
        }
    }
}

impl Default for RepeatPolicy {
    fn default() -> Self {
        Self { repeatable: None, retries: 2, budget: 20, attempt_timeout: None, hedge: Hedge::Off }
    }
}

impl Policy {
    /// Every key with its value, as the file would say it; `null` where there is none.
    pub fn said(&self) -> Vec<(&'static str, String)> {
        let Self { breaker, limits, repeats, fallback, standby, balance } = self;
        let time = |time: Duration| format!("\"{}\"", units::show(time));
        let or_null = |said: Option<String>| said.unwrap_or_else(|| "null".to_owned());
        let hedge = match repeats.hedge {
            Hedge::Off => "false".to_owned(),
            Hedge::Learned => "true".to_owned(),
            Hedge::After(after) => time(after),
        };
        let zones: Vec<String> = standby.zones.iter().map(|zone| mcp_wire::quoted(zone)).collect();
        vec![
            ("breaker", breaker.enabled.to_string()),
            ("breakerFailures", breaker.failures.to_string()),
            ("breakerRate", breaker.rate.to_string()),
            ("breakerSamples", breaker.samples.to_string()),
            ("breakerWindow", time(breaker.window)),
            ("breakerSlow", or_null(breaker.slow.map(time))),
            ("breakerPause", time(breaker.pause)),
            ("breakerPauseMax", time(breaker.pause_max)),
            ("maxConcurrent", or_null(limits.concurrent.map(|limit| limit.to_string()))),
            ("adaptive", limits.adaptive.to_string()),
            ("maxQueued", limits.queued.to_string()),
            ("maxWait", time(limits.wait)),
            ("rateLimit", or_null(limits.rate.map(|rate| format!("\"{rate}\"")))),
            ("priority", limits.priority.to_string()),
            ("repeatable", or_null(repeats.repeatable.map(|may| may.to_string()))),
            ("retries", repeats.retries.to_string()),
            ("retryBudget", repeats.budget.to_string()),
            ("attemptTimeout", or_null(repeats.attempt_timeout.map(time))),
            ("hedge", hedge),
            ("fallback", or_null(fallback.as_ref().map(|name| mcp_wire::quoted(name)))),
            ("failover", format!("\"{}\"", standby.plan.name())),
            ("standby", standby.count.to_string()),
            ("zones", format!("[{}]", zones.join(", "))),
            ("failback", standby.failback.map_or_else(|| "\"manual\"".to_owned(), time)),
            ("balance", format!("\"{balance}\"")),
        ]
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.per.as_secs() {
            ..=1 => "s",
            2..=60 => "m",
            _ => "h",
        };
        write!(formatter, "{}/{unit}", self.calls)
    }
}
