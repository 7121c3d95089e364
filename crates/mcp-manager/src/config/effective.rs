//! What is in force, as the file would say it, and where each value comes from.

use std::fmt;
use std::time::Duration;

use super::care::is_limit;
use super::manager::ERAS;
use super::policies;
use super::problem::Place;
use super::said::Said;
use super::settings::{Namespace, Settings};
use super::spec::{ServerKind, ServerSettings};
use super::units;
use super::upkeep::{
    CheckKind, Checks, ResourceLimits, RestartPolicy, Restarts, Scaling, Sessions,
};
use super::{Config, Pattern};

/// One key that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effective {
    /// The key.
    pub key: &'static str,
    /// Its value, as the file would say it; `null` where there is none.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody has said it.
    Default,
    /// It is said there: in the file, or in a preset.
    Said(Place),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Said(place) if place.is_preset() => formatter.write_str(&place.origin),
            Self::Said(place) => place.fmt(formatter),
        }
    }
}

impl Config {
    /// What is in force for the manager itself.
    pub fn effective(&self) -> Vec<Effective> {
        let keys = said_by_root(&self.settings);
        let of_root = |said: &Said| said.of.server.is_none() && said.of.tools.is_none();
        keys.into_iter().map(|(key, value)| self.with_origin(key, value, of_root)).collect()
    }

    /// What is in force for a server; `None` if there is none of this name.
    pub fn effective_of(&self, server: &str) -> Option<Vec<Effective>> {
        let spec = self.servers.iter().find(|spec| spec.name == server)?;
        let mut keys = said_by_server(&spec.settings);
        keys.extend(spec.settings.policy.said());
        // The root's limits do not concern a server that is not started here.
        let is_limited = matches!(spec.kind, ServerKind::Stdio(_));
        let of_server = |said: &Said| {
            let of = &said.of;
            of.tools.is_none()
                && of.server.as_deref().is_none_or(|name| name == server)
                && (is_limited || !is_limit(&said.key))
        };
        let all = keys.into_iter().map(|(key, value)| self.with_origin(key, value, of_server));
        Some(all.collect())
    }

    /// What is in force for one tool of a server, by its own name there.
    pub fn effective_of_tool(&self, server: &str, tool: &str) -> Option<Vec<Effective>> {
        let spec = self.servers.iter().find(|spec| spec.name == server)?;
        let settings = &spec.settings;
        let (policy, _) = policies::of_tool(&settings.policy, &settings.tools, tool);
        let of_tool = |said: &Said| {
            let of = &said.of;
            let matches = |pattern: &String| Pattern::new(pattern.as_str()).matches(tool);
            of.tools.as_ref().is_none_or(matches)
                && of.server.as_deref().is_none_or(|name| name == server)
        };
        let is_tools = |key: &str| super::keys::TOOL.contains(&key);
        let keys = policy.said().into_iter().filter(|(key, _)| is_tools(key));
        let own = |said: &Said| of_tool(said) && (said.key != "breaker" || said.of.tools.is_some());
        Some(keys.map(|(key, value)| self.with_origin(key, value, own)).collect())
    }

    /// `counts`: which of those who speak of the key do so of what is asked about.
    fn with_origin(
        &self,
        key: &'static str,
        value: String,
        counts: impl Fn(&Said) -> bool,
    ) -> Effective {
        let speaks =
            |said: &&Said| (said.key == key || is_word_for(&said.key, key)) && counts(said);
        // The most special one goes before, and of several the last.
        let rank = |said: &&Said| (said.of.tools.is_some(), said.of.server.is_some());
        let last = self.said.iter().filter(speaks).max_by_key(rank);
        let origin = last.map_or(Origin::Default, |said| Origin::Said(said.place.clone()));
        Effective { key, value, origin }
    }
}

/// Whether `said` is another word for `key`.
fn is_word_for(said: &str, key: &str) -> bool {
    (said, key) == ("shareable", "sessions")
}

type Keys = Vec<(&'static str, String)>;

fn time(time: Duration) -> String {
    format!("\"{}\"", units::show(time))
}

fn or_null<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn quoted(value: impl fmt::Display) -> String {
    mcp_wire::quoted(&value.to_string())
}

fn said_by_root(settings: &Settings) -> Keys {
    // Each field is named, so that a new one cannot be forgotten here.
    let Settings {
        preset,
        policy,
        tools: _,
        rules: _,
        namespace,
        listen,
        admin,
        allowed_hosts,
        allowed_origins,
        list_timeout,
        call_timeout,
        call_timeout_max,
        start_timeout,
        sessions_max,
        session_idle,
        resume_timeout,
        state_dir,
        restarts,
        checks,
        limits,
        scale_target,
        scale_cooldown,
        drain_timeout,
        watch,
        frame_bytes_max,
    } = settings;
    let namespace = match namespace {
        Namespace::Server => "server",
        Namespace::None => "none",
    };
    let mut keys = vec![
        ("preset", or_null(preset.map(quoted))),
        ("namespace", quoted(namespace)),
        ("listen", or_null(listen.map(quoted))),
        ("admin", or_null(admin.map(quoted))),
        ("allowedHosts", format!("{allowed_hosts:?}")),
        ("allowedOrigins", format!("{allowed_origins:?}")),
        ("maxSessions", sessions_max.to_string()),
        ("sessionIdle", time(*session_idle)),
        ("resumeTimeout", time(*resume_timeout)),
        ("stateDir", or_null(state_dir.as_ref().map(|path| quoted(path.display())))),
        ("maxFrameBytes", frame_bytes_max.to_string()),
        ("drainTimeout", time(*drain_timeout)),
        ("watch", watch.to_string()),
        ("listTimeout", time(*list_timeout)),
        ("callTimeout", time(*call_timeout)),
        ("callTimeoutMax", time(*call_timeout_max)),
        ("startTimeout", time(*start_timeout)),
        ("scaleTarget", scale_target.to_string()),
        ("scaleCooldown", time(*scale_cooldown)),
    ];
    keys.extend(care(restarts, checks, limits));
    keys.extend(policy.said());
    keys
}

fn said_by_server(settings: &ServerSettings) -> Keys {
    let ServerSettings {
        sessions,
        spares,
        scaling,
        restarts,
        checks,
        limits,
        policy: _,
        tools: _,
        protocol_era,
        list_timeout,
        call_timeout,
        call_timeout_max,
        start_timeout,
    } = settings;
    let Scaling { replicas, replicas_min, replicas_max, target, cooldown } = scaling;
    let sessions = match sessions {
        Sessions::PerSession => "per-session",
        Sessions::Shared => "shared",
        Sessions::Pooled => "pooled",
    };
    let era = ERAS.iter().find(|(_, era)| era == protocol_era).map_or("auto", |(name, _)| name);
    let mut keys = vec![
        ("replicas", replicas.to_string()),
        ("minReplicas", replicas_min.to_string()),
        ("maxReplicas", replicas_max.to_string()),
        ("scaleTarget", target.to_string()),
        ("scaleCooldown", time(*cooldown)),
        ("sessions", quoted(sessions)),
        ("spares", spares.to_string()),
        ("protocolEra", quoted(era)),
        ("listTimeout", time(*list_timeout)),
        ("callTimeout", time(*call_timeout)),
        ("callTimeoutMax", time(*call_timeout_max)),
        ("startTimeout", time(*start_timeout)),
    ];
    keys.extend(care(restarts, checks, limits));
    keys
}

fn care(restarts: &Restarts, checks: &Checks, limits: &ResourceLimits) -> Keys {
    let Restarts { policy, max, period, pause_max } = restarts;
    let Checks { kind, interval, timeout, unhealthy_after, healthy_after, restart } = checks;
    let ResourceLimits { memory_bytes, processes, open_files, cpu_millis } = limits;
    let policy = match policy {
        RestartPolicy::Permanent => "permanent",
        RestartPolicy::Transient => "transient",
        RestartPolicy::Temporary => "temporary",
    };
    let kind = match kind {
        CheckKind::Auto => "auto",
        CheckKind::Ping => "ping",
        CheckKind::Tcp => "tcp",
        CheckKind::Http { .. } => "http",
        CheckKind::Command { .. } => "command",
        CheckKind::None => "none",
    };
    vec![
        ("restart", quoted(policy)),
        ("restartsMax", max.to_string()),
        ("restartPeriod", time(*period)),
        ("restartPauseMax", time(*pause_max)),
        ("healthCheck", quoted(kind)),
        ("healthInterval", time(*interval)),
        ("healthTimeout", time(*timeout)),
        ("unhealthyAfter", unhealthy_after.to_string()),
        ("healthyAfter", healthy_after.to_string()),
        ("restartUnhealthy", restart.to_string()),
        ("maxMemory", or_null(*memory_bytes)),
        ("maxProcesses", or_null(*processes)),
        ("maxOpenFiles", or_null(*open_files)),
        ("maxCpu", or_null(cpu_millis.map(|millis| millis as f64 / 1000.0))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessLookup;
    use crate::config::keys;

    const FILE: &str = r#"{
  "mcpServers": { "a": { "command": "x", "manager": {
    "retries": 1, "callTimeout": "5s", "tools": { "get_*": { "retries": 4, "breaker": true } }
  }}, "b": { "command": "x" } },
  "manager": { "preset": "high-availability", "retries": 5, "tools": { "*": { "priority": 9 } } }
}"#;

    fn read() -> Config {
        Config::parse(FILE, "mcp.json", &ProcessLookup).expect("it is a configuration")
    }

    fn find(all: &[Effective], key: &str) -> (String, String) {
        let one = all.iter().find(|one| one.key == key).expect("a key of these");
        (one.value.clone(), one.origin.to_string())
    }

    #[test]
    fn the_most_special_word_counts_and_where_it_stands_is_known() {
        let config = read();
        let said = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
        let root = config.effective();
        assert_eq!(find(&root, "retries"), said("5", "mcp.json:5:47"));
        assert_eq!(find(&root, "hedge"), said("true", "preset high-availability"));
        assert_eq!(find(&root, "maxQueued"), said("100", "default"));
        let a = config.effective_of("a").expect("it is there");
        assert_eq!(find(&a, "retries"), said("1", "mcp.json:3:5"));
        assert_eq!(find(&a, "callTimeout"), said("\"5s\"", "mcp.json:3:19"));
        let b = config.effective_of("b").expect("it is there");
        assert_eq!(find(&b, "retries"), said("5", "mcp.json:5:47"));
        let tool = config.effective_of_tool("a", "get_x").expect("it is there");
        assert_eq!(find(&tool, "retries"), said("4", "mcp.json:3:62"));
        assert_eq!(find(&tool, "breaker"), said("true", "mcp.json:3:76"));
        assert_eq!(find(&tool, "priority"), said("9", "mcp.json:5:79"));
        let other = config.effective_of_tool("a", "put").expect("it is there");
        assert_eq!(find(&other, "retries"), said("1", "mcp.json:3:5"));
        assert_eq!(find(&other, "breaker"), said("false", "default"));
        assert_eq!(config.effective_of("c"), None);
    }

    #[test]
    fn an_origin_is_that_of_the_value_that_is_shown() {
        let file = r#"{"mcpServers": {
  "a": { "command": "x", "manager": { "shareable": true } },
  "b": { "url": "http://127.0.0.1:1/" } }, "manager": { "maxMemory": "1GiB" } }"#;
        // The name of a file, not of a preset.
        let config = Config::parse(file, "preset x", &ProcessLookup).expect("no mistakes");
        let shown =
            |server: &str, key: &str| find(&config.effective_of(server).expect("it is there"), key);
        let said = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
        assert_eq!(shown("a", "sessions"), said("\"shared\"", "preset x:2:39"));
        assert_eq!(shown("a", "maxMemory"), said("1073741824", "preset x:3:57"));
        assert_eq!(shown("b", "maxMemory"), said("null", "default"));
    }

    #[test]
    fn every_value_is_json_whatever_it_holds() {
        let odd = "\u{200b}\"\\";
        let text = serde_json::json!({
            "mcpServers": {
                (odd): { "command": "x" },
                "a": { "command": "x", "manager": { "fallback": odd, "zones": [odd, "b"] } },
            },
            "manager": { "stateDir": odd, "allowedHosts": ["h:1"] },
        });
        let config =
            Config::parse(&text.to_string(), "mcp.json", &ProcessLookup).expect("no mistakes");
        for one in config.effective().into_iter().chain(config.effective_of("a").expect("it")) {
            let value = serde_json::from_str::<serde_json::Value>(&one.value);
            assert!(value.is_ok(), "{}: {}", one.key, one.value);
        }
    }

    #[test]
    fn every_key_that_a_block_takes_is_shown_once() {
        let config = read();
        let shown = |all: &[Effective]| -> Vec<&'static str> {
            let mut keys: Vec<_> = all.iter().map(|one| one.key).collect();
            keys.sort_unstable();
            keys
        };
        // What is another word for a key that is shown, belongs to one, or is shown by tool.
        let silent = ["shareable", "inheritEnv", "healthUrl", "healthCommand", "tools", "rules"];
        let expected = |keys: &[&'static str]| -> Vec<&'static str> {
            let mut keys: Vec<_> =
                keys.iter().copied().filter(|key| !silent.contains(key)).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(shown(&config.effective()), expected(keys::GLOBAL));
        let a = config.effective_of("a").expect("it is there");
        assert_eq!(shown(&a), expected(keys::SERVER));
        let tool = config.effective_of_tool("a", "x").expect("it is there");
        assert_eq!(shown(&tool), expected(keys::TOOL));
    }
}
