//! Reads policies: the keys of a `manager` block that say how calls are treated, and its `tools`.

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;
use mcp_balance::Strategy;
use std::time::Duration;

use super::decode::{boolean, invalid, object, properties, string, strings, wrong_type};
use super::keys;
use super::pattern::Pattern;
use super::policy::{Hedge, PLANS, Policy, Rate, StandbyPlan};
use super::problem::ProblemKind;
use super::report::Report;
use super::setting::{bounded, choice, duration};
use super::suggest::{list, nearest, quote};
use super::units;

/// One key of a policy, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Breaker(bool),
    BreakerFailures(u32),
    BreakerRate(u32),
    BreakerSamples(u32),
    BreakerWindow(Duration),
    BreakerSlow(Option<Duration>),
    BreakerPause(Duration),
    BreakerPauseMax(Duration),
    MaxConcurrent(Option<usize>),
    Adaptive(bool),
    MaxQueued(usize),
    MaxWait(Duration),
    RateLimit(Option<Rate>),
    Priority(u8),
    Repeatable(Option<bool>),
    Retries(u32),
    RetryBudget(u32),
    AttemptTimeout(Option<Duration>),
    Hedge(Hedge),
    Fallback(Option<String>),
    Failover(StandbyPlan),
    Standby(usize),
    Zones(Vec<String>),
    Failback(Option<Duration>),
    Balance(Strategy),
}

/// What `tools` says of the tools whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolPolicy {
    /// The pattern.
    pub tools: Pattern,
    settings: Vec<Setting>,
}

impl ToolPolicy {
    /// Changes what it speaks of.
    fn apply(&self, policy: &mut Policy) {
        self.settings.iter().for_each(|setting| setting.put(policy));
    }

    /// Whether there is a breaker for each of the tools, if it says so.
    fn breaker(&self) -> Option<bool> {
        self.settings.iter().rev().find_map(|setting| match setting {
            Setting::Breaker(enabled) => Some(*enabled),
            _ => None,
        })
    }

    /// Whether it limits calls of each of the tools.
    fn limits(&self) -> bool {
        self.settings.iter().any(|setting| {
            matches!(
                setting,
                Setting::MaxConcurrent(_) | Setting::Adaptive(_) | Setting::RateLimit(_)
            )
        })
    }
}

/// What is said of `tool` in all, over the `policy` of its server; and whether it has limits of its own.
/// It has a breaker of its own only if that is said of it, too.
pub(crate) fn of_tool(policy: &Policy, tools: &[ToolPolicy], tool: &str) -> (Policy, bool) {
    let (mut policy, mut breaker, mut limits) = (policy.clone(), false, false);
    for said in tools.iter().filter(|said| said.tools.matches(tool)) {
        said.apply(&mut policy);
        breaker = said.breaker().unwrap_or(breaker);
        limits |= said.limits();
    }
    policy.breaker.enabled = breaker;
    (policy, limits)
}

impl Setting {
    /// Reads one key. `None`: it is none of these; `Some(None)`: it is not understood, and the report
    /// says so.
    pub(super) fn read(
        key: &str,
        value: &Value<'_>,
        report: &mut Report<'_>,
    ) -> Option<Option<Self>> {
        let is_null = value.as_null_keyword().is_some();
        let off = |setting: Self| is_null.then_some(setting);
        Some(match key {
            "breaker" => boolean(key, value, report).map(Self::Breaker),
            "breakerFailures" => bounded(key, value, 1, 10_000, report).map(Self::BreakerFailures),
            "breakerRate" => bounded(key, value, 1, 100, report).map(Self::BreakerRate),
            "breakerSamples" => bounded(key, value, 1, 10_000, report).map(Self::BreakerSamples),
            "breakerWindow" => duration(key, value, report).map(Self::BreakerWindow),
            "breakerSlow" => off(Self::BreakerSlow(None))
                .or_else(|| Some(Self::BreakerSlow(Some(duration(key, value, report)?)))),
            "breakerPause" => duration(key, value, report).map(Self::BreakerPause),
            "breakerPauseMax" => duration(key, value, report).map(Self::BreakerPauseMax),
            "maxConcurrent" => off(Self::MaxConcurrent(None)).or_else(|| {
                Some(Self::MaxConcurrent(Some(bounded(key, value, 1, 100_000, report)?)))
            }),
            "adaptive" => boolean(key, value, report).map(Self::Adaptive),
            "maxQueued" => bounded(key, value, 0, 100_000, report).map(Self::MaxQueued),
            "maxWait" => duration(key, value, report).map(Self::MaxWait),
            "rateLimit" => off(Self::RateLimit(None))
                .or_else(|| Some(Self::RateLimit(Some(rate(key, value, report)?)))),
            "priority" => bounded(key, value, 0, 10, report).map(Self::Priority),
            "repeatable" => off(Self::Repeatable(None))
                .or_else(|| Some(Self::Repeatable(Some(boolean(key, value, report)?)))),
            "retries" => bounded(key, value, 0, 10, report).map(Self::Retries),
            "retryBudget" => bounded(key, value, 0, 100, report).map(Self::RetryBudget),
            "attemptTimeout" => off(Self::AttemptTimeout(None))
                .or_else(|| Some(Self::AttemptTimeout(Some(duration(key, value, report)?)))),
            "hedge" => hedge(key, value, report).map(Self::Hedge),
            "fallback" => off(Self::Fallback(None)).or_else(|| {
                let fix = "write the name of another server";
                let lit = string(key, value, fix, report)?;
                Some(Self::Fallback(Some(lit.value.clone().into_owned())))
            }),
            "failover" => choice(key, value, PLANS, report).map(Self::Failover),
            "standby" => bounded(key, value, 1, 63, report).map(Self::Standby),
            "zones" => Some(Self::Zones(zones(key, value, report))),
            "failback" => {
                let is_manual = value.as_string_lit().is_some_and(|lit| lit.value == "manual");
                match is_manual {
                    true => Some(Self::Failback(None)),
                    false => duration(key, value, report).map(|time| Self::Failback(Some(time))),
                }
            }
            "balance" => strategy(key, value, report).map(Self::Balance),
            _ => return None,
        })
    }

    pub(super) fn put(&self, policy: &mut Policy) {
        let Policy { breaker, limits, repeats, fallback, standby, balance } = policy;
        match self {
            Self::Breaker(enabled) => breaker.enabled = *enabled,
            Self::BreakerFailures(failures) => breaker.failures = *failures,
            Self::BreakerRate(rate) => breaker.rate = *rate,
            Self::BreakerSamples(samples) => breaker.samples = *samples,
            Self::BreakerWindow(window) => breaker.window = *window,
            Self::BreakerSlow(slow) => breaker.slow = *slow,
            Self::BreakerPause(pause) => breaker.pause = *pause,
            Self::BreakerPauseMax(pause) => breaker.pause_max = *pause,
            Self::MaxConcurrent(limit) => limits.concurrent = *limit,
            Self::Adaptive(adaptive) => limits.adaptive = *adaptive,
            Self::MaxQueued(queued) => limits.queued = *queued,
            Self::MaxWait(wait) => limits.wait = *wait,
            Self::RateLimit(rate) => limits.rate = *rate,
            Self::Priority(priority) => limits.priority = *priority,
            Self::Repeatable(may) => repeats.repeatable = *may,
            Self::Retries(retries) => repeats.retries = *retries,
            Self::RetryBudget(budget) => repeats.budget = *budget,
            Self::AttemptTimeout(timeout) => repeats.attempt_timeout = *timeout,
            Self::Hedge(hedge) => repeats.hedge = *hedge,
            Self::Fallback(server) => fallback.clone_from(server),
            Self::Failover(plan) => standby.plan = *plan,
            Self::Standby(count) => standby.count = *count,
            Self::Zones(zones) => standby.zones.clone_from(zones),
            Self::Failback(time) => standby.failback = *time,
            Self::Balance(strategy) => *balance = *strategy,
        }
    }
}

/// Reads `tools`: what is different for tools of certain names.
pub(super) fn tools(value: &Value<'_>, report: &mut Report<'_>) -> Vec<ToolPolicy> {
    let fix = "write {\"search*\": {\"retries\": 1}, ...}";
    let Some(block) = object("tools", value, fix, report) else { return Vec::new() };
    let mut policies = Vec::new();
    for property in properties(block, report) {
        let name = property.name.as_str();
        let Some(keys) = object(name, &property.value, "write {\"key\": value, ...}", report)
        else {
            continue;
        };
        let mut settings = Vec::new();
        for property in properties(keys, report) {
            let key = property.name.as_str();
            let at = property.name.start();
            if !keys::TOOL.contains(&key) {
                let fix = match nearest(key, keys::TOOL) {
                    _ if keys::SERVER.contains(&key) => {
                        "it is about a server as a whole: write it outside of `tools`".to_owned()
                    }
                    Some(near) => format!("did you mean {}?", quote(near)),
                    None => format!("a tool takes {}", list(keys::TOOL)),
                };
                let what = format!("unknown key {} in `tools`", quote(key));
                report.problem(at, ProblemKind::UnknownKey, what, fix);
                continue;
            }
            report.says_of_tools(name, property);
            settings.extend(Setting::read(key, &property.value, report).flatten());
        }
        policies.push(ToolPolicy { tools: Pattern::new(name), settings });
    }
    policies
}

/// `at` is where this block speaks of a pause.
pub(super) fn check_pauses(at: Option<usize>, policy: &Policy, report: &mut Report<'_>) {
    let (pause, max) = (policy.breaker.pause, policy.breaker.pause_max);
    if let Some(at) = at.filter(|_| max < pause) {
        let what = format!(
            "{} is longer than `breakerPauseMax`, {}",
            units::show(pause),
            units::show(max)
        );
        invalid("breakerPause", at, what, "shorten the one or raise the other", report);
    }
}

fn zones(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    strings(key, value, report).iter().map(|lit| lit.value.clone().into_owned()).collect()
}

fn rate(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<Rate> {
    const FIX: &str = "write calls and a time, such as \"10/s\", \"600/m\" or \"5000/h\"";
    let lit = string(key, value, FIX, report)?;
    let read = || {
        let (calls, unit) = lit.value.split_once('/')?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        let calls = calls.trim().parse().ok().filter(|calls| (1..=1_000_000).contains(calls))?;
        Some(Rate { calls, per: Duration::from_secs(seconds) })
    };
    let rate = read();
    if rate.is_none() {
        let what = format!("{} is not a rate of 1 to 1,000,000 calls", quote(&lit.value));
        invalid(key, value.start(), what, FIX, report);
    }
    rate
}

fn hedge(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<Hedge> {
    if value.as_string_lit().is_some() {
        return duration(key, value, report).map(Hedge::After);
    }
    let Some(lit) = value.as_boolean_lit() else {
        let fix = "write it without quotes, or a duration such as \"50ms\"";
        wrong_type(key, value, "`true`, `false` or a duration", fix, report);
        return None;
    };
    Some(if lit.value { Hedge::Learned } else { Hedge::Off })
}

fn strategy(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<Strategy> {
    let names: Vec<String> = Strategy::ALL.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fix = format!("write one of {}", list(&names).replace(" and ", " or "));
    let lit = string(key, value, &fix, report)?;
    let strategy = lit.value.parse().ok();
    if strategy.is_none() {
        let what = format!("{} is not a choice", quote(&lit.value));
        invalid(key, value.start(), what, &fix, report);
    }
    strategy
}
