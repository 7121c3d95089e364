//! What would be better written in another way: nothing of it is wrong.

use std::fmt;

use super::policy::{Hedge, StandbyPlan};
use super::preset::Preset;
use super::spec::{ServerKind, ServerSpec};
use super::upkeep::{CheckKind, Sessions};
use super::{Config, Settings};

/// A recommendation, with the key to change and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// The server that it is about; `None`: the manager itself.
    pub server: Option<String>,
    /// The key to change.
    pub key: &'static str,
    /// Why, and to what.
    pub reason: &'static str,
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(formatter, "server `{server}`, `{}`: {}", self.key, self.reason),
            None => write!(formatter, "`{}`: {}", self.key, self.reason),
        }
    }
}

impl Config {
    /// What would be better written in another way, the manager's first.
    pub fn advice(&self) -> Vec<Advice> {
        let of_manager = OF_MANAGER
            .iter()
            .filter(|rule| (rule.applies)(&self.settings))
            .map(|rule| Advice { server: None, key: rule.key, reason: rule.reason });
        let of_servers = self.servers.iter().filter(|server| !server.disabled).flat_map(|server| {
            let said = |key: &str| self.says(&server.name, key);
            let seen = Seen { server, said: &said };
            let apply = OF_SERVERS.iter().filter(|rule| (rule.applies)(&seen));
            let name = Some(server.name.clone());
            let advice = apply.map(|rule| Advice {
                server: name.clone(),
                key: rule.key,
                reason: rule.reason,
            });
            advice.collect::<Vec<_>>()
        });
        of_manager.chain(of_servers).collect()
    }

    /// Whether the file says this of a server, or of all.
    fn says(&self, server: &str, key: &str) -> bool {
        self.said.iter().any(|said| {
            said.key == key
                && said.of.tools.is_none()
                && said.of.server.as_deref().is_none_or(|name| name == server)
                && !said.place.is_preset()
        })
    }
}

struct Rule {
    key: &'static str,
    reason: &'static str,
    applies: fn(&Settings) -> bool,
}

struct ServerRule {
    key: &'static str,
    reason: &'static str,
    applies: fn(&Seen<'_>) -> bool,
}

/// A server, and what is said of it.
struct Seen<'a> {
    server: &'a ServerSpec,
    said: &'a dyn Fn(&str) -> bool,
}

impl Seen<'_> {
    fn is_alone(&self) -> bool {
        self.server.settings.scaling.replicas_max <= 1
    }
}

const OF_MANAGER: &[Rule] = &[
    Rule {
        key: "stateDir",
        reason: "without it, sessions of clients end with the manager: name a directory",
        applies: |settings| {
            let lasts = [Preset::HighAvailability, Preset::ProductionLarge];
            settings.state_dir.is_none()
                && settings.preset.is_some_and(|preset| lasts.contains(&preset))
        },
    },
    Rule {
        key: "allowedHosts",
        reason: "`listen` is not on loopback: name the hosts that clients ask for, or requests under \
                 other names than its address are refused",
        applies: |settings| {
            settings.allowed_hosts.is_empty()
                && settings.listen.is_some_and(|listen| !listen.ip().is_loopback())
        },
    },
];

const OF_SERVERS: &[ServerRule] = &[
    ServerRule {
        key: "retryBudget",
        reason: "with 0 percent nothing but ten repeats a second is left of `retries`: give it some, or \
                 write `retries`: 0",
        applies: |seen| {
            let repeats = &seen.server.settings.policy.repeats;
            repeats.budget == 0 && repeats.retries > 0
        },
    },
    ServerRule {
        key: "hedge",
        reason: "there is no other replica to ask: raise `replicas`, or add `urls`",
        applies: |seen| {
            seen.is_alone()
                && (seen.said)("hedge")
                && seen.server.settings.policy.repeats.hedge != Hedge::Off
        },
    },
    ServerRule {
        key: "attemptTimeout",
        reason: "there is no other replica to go to: raise `replicas`, or add `urls`",
        applies: |seen| {
            seen.is_alone()
                && (seen.said)("attemptTimeout")
                && seen.server.settings.policy.repeats.attempt_timeout.is_some()
        },
    },
    ServerRule {
        key: "attemptTimeout",
        reason: "it means nothing unless it is shorter than `callTimeout`",
        applies: |seen| {
            let settings = &seen.server.settings;
            let attempt = settings.policy.repeats.attempt_timeout;
            attempt.is_some_and(|attempt| attempt >= settings.call_timeout)
        },
    },
    ServerRule {
        key: "breaker",
        reason: "without it a replica that fails is asked as long as it is there: write `true`",
        applies: |seen| {
            !seen.is_alone()
                && (seen.said)("breaker")
                && !seen.server.settings.policy.breaker.enabled
        },
    },
    ServerRule {
        key: "maxConcurrent",
        reason: "nobody waits without a limit: `maxQueued` and `maxWait` mean nothing without it, or \
                 `adaptive`",
        applies: |seen| {
            let limits = &seen.server.settings.policy.limits;
            let waits = (seen.said)("maxQueued") || (seen.said)("maxWait");
            waits && limits.concurrent.is_none() && !limits.adaptive
        },
    },
    ServerRule {
        key: "healthTimeout",
        reason: "a check may take longer than the time from one to the next: shorten it, or raise \
                 `healthInterval`",
        applies: |seen| {
            let checks = &seen.server.settings.checks;
            checks.timeout >= checks.interval && checks.kind != CheckKind::None
        },
    },
    ServerRule {
        key: "failover",
        reason: "there is no other replica to stand by: raise `replicas`, or add `urls`",
        applies: |seen| {
            let plan = seen.server.settings.policy.standby.plan;
            seen.is_alone() && plan != StandbyPlan::ActiveActive
        },
    },
    ServerRule {
        key: "zones",
        reason: "nobody knows where its replicas are: name the place of each",
        applies: |seen| {
            let standby = &seen.server.settings.policy.standby;
            standby.plan == StandbyPlan::CrossDatacenter && standby.zones.is_empty()
        },
    },
    ServerRule {
        key: "sessions",
        reason: "its replicas serve stateless clients; a client with a session has a process of its own. If \
                 it keeps clients apart by itself, write `shared`",
        applies: |seen| {
            let settings = &seen.server.settings;
            (seen.said)("replicas")
                && settings.scaling.replicas > 1
                && settings.sessions == Sessions::PerSession
                && matches!(seen.server.kind, ServerKind::Stdio(_))
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessLookup;

    fn advice(manager: &str, server: &str) -> Vec<String> {
        let file = format!(
            r#"{{"mcpServers": {{"a": {{"urls": ["http://127.0.0.1:1/a", "http://127.0.0.1:2/a"],
               "manager": {server}}}, "s": {{"command": "x", "manager": {server}}}}},
               "manager": {manager}}}"#
        );
        let config = Config::parse(&file, "mcp.json", &ProcessLookup).expect("no mistakes");
        let all = config.advice();
        all.iter()
            .map(|one| format!("{}/{}", one.server.as_deref().unwrap_or("-"), one.key))
            .collect()
    }

    #[test]
    fn each_piece_of_advice_is_given_where_it_helps_and_nowhere_else() {
        for (manager, server, expected) in [
            ("{}", "{}", &[][..]),
            (r#"{"preset": "high-availability", "stateDir": "x"}"#, "{}", &[]),
            (r#"{"preset": "high-availability"}"#, "{}", &["-/stateDir"]),
            (r#"{"listen": "0.0.0.0:80"}"#, "{}", &["-/allowedHosts"]),
            (r#"{"listen": "0.0.0.0:80", "allowedHosts": ["x"]}"#, "{}", &[]),
            ("{}", r#"{"retryBudget": 0}"#, &["a/retryBudget", "s/retryBudget"]),
            ("{}", r#"{"retryBudget": 0, "retries": 0}"#, &[]),
            ("{}", r#"{"hedge": true}"#, &["s/hedge"]),
            ("{}", r#"{"attemptTimeout": "1s"}"#, &["s/attemptTimeout"]),
            (
                "{}",
                r#"{"attemptTimeout": "2m"}"#,
                &["a/attemptTimeout", "s/attemptTimeout", "s/attemptTimeout"],
            ),
            ("{}", r#"{"breaker": false}"#, &["a/breaker"]),
            ("{}", r#"{"maxQueued": 5}"#, &["a/maxConcurrent", "s/maxConcurrent"]),
            ("{}", r#"{"maxQueued": 5, "maxConcurrent": 5}"#, &[]),
            ("{}", r#"{"healthTimeout": "30s"}"#, &["a/healthTimeout", "s/healthTimeout"]),
            ("{}", r#"{"healthTimeout": "30s", "healthCheck": "none"}"#, &[]),
            // Who takes a preset knows that it does without.
            (r#"{"preset": "development"}"#, "{}", &[]),
            ("{}", r#"{"failover": "active-passive"}"#, &["s/failover"]),
            ("{}", r#"{"failover": "cross-datacenter"}"#, &["a/zones", "s/failover", "s/zones"]),
            ("{}", r#"{"replicas": 2}"#, &["s/sessions"]),
            ("{}", r#"{"replicas": 2, "sessions": "shared"}"#, &[]),
        ] {
            assert_eq!(advice(manager, server), expected, "{manager} {server}");
        }
    }
}
