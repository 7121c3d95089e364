//! Everything that is called in one run: the upstream, the hops in front of it, the gateway.

use std::fmt;
use std::path::Path;

use crate::cli::Options;
use crate::process::{Started, gateway};

/// What a target stands on: only targets of one transport are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    Http,
    Stdio,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stdio => "stdio",
        }
    }
}

/// What a target is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing in between: says what the load program and the upstream can do.
    Direct,
    /// A hop that does the least that any hop must. The faster one is the floor.
    Floor,
    /// What is measured against the floor.
    Gateway,
    /// The same, with no policy on.
    Without,
    /// The same with all of them, which is measured against that without.
    With,
}

/// Nothing stands before a call.
const NO_POLICIES: &str = r#"{"breaker": false, "retries": 0}"#;
/// Everything that can stand before a call does, and none of it has a reason to do anything.
const ALL_POLICIES: &str = r#"{"breaker": true, "maxConcurrent": 10000, "retries": 2, "hedge": true,
    "attemptTimeout": "30s", "rateLimit": "1000000/s", "priority": 6,
    "tools": {"*": {"breaker": true, "maxConcurrent": 10000}}}"#;
/// A rule that has to look at the arguments of each call, and never holds.
const RULES: &str = r#"[{"name": "never", "when": {"methods": ["tools/call"],
    "arguments": [{"at": "/none", "is": {"exists": true}}]}, "then": {"deny": "never"}}]"#;

/// A configuration of one server, with these policies.
fn config(server: &serde_json::Value, policies: Option<&str>) -> String {
    let parsed = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap_or_default();
    let mut server = server.clone();
    let mut manager = serde_json::json!({});
    if let Some(policies) = policies {
        server["manager"] = parsed(policies);
        if policies == ALL_POLICIES {
            manager["rules"] = parsed(RULES);
        }
    }
    serde_json::json!({ "mcpServers": { "echo": server }, "manager": manager }).to_string()
}

/// A gateway as it comes, one with no policies and one with all of them.
fn gateways(
    add: &mut impl FnMut(&'static str, Part, Started),
    dir: &Path,
    transport: Transport,
    server: &serde_json::Value,
) -> Result<(), String> {
    let kinds = [
        ("gateway", Part::Gateway, None),
        ("no policies", Part::Without, Some(NO_POLICIES)),
        ("all policies", Part::With, Some(ALL_POLICIES)),
    ];
    for (name, part, policies) in kinds {
        let file = format!("{}-{}", transport.name(), name.replace(' ', "-"));
        add(name, part, gateway(dir, &file, &config(server, policies))?);
    }
    Ok(())
}

/// One thing to call.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    pub(crate) transport: Transport,
    pub(crate) process: Started,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport.name(), self.name)
    }
}

/// Starts what the options ask for; the upstream comes first and is itself a target.
pub(crate) fn start(options: &Options, dir: &Path) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    if options.only != Some(Transport::Stdio) {
        let upstream = Started::role(&["upstream-http"])?;
        let address = upstream.address.to_string();
        let mut add = target(&mut targets, Transport::Http);
        add("direct", Part::Direct, upstream);
        for (name, workers) in [("copy", "0"), ("copy, 2 threads", "2")] {
            let hop = Started::role(&["hop-copy", &address, "--workers", workers])?;
            add(name, Part::Floor, hop);
        }
        if !options.floors {
            let url = format!("http://{address}/mcp");
            gateways(&mut add, dir, Transport::Http, &serde_json::json!({ "url": url }))?;
        }
    }
    if options.only != Some(Transport::Http) {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = program.to_string_lossy();
        let mut add = target(&mut targets, Transport::Stdio);
        for (name, workers) in [("ids", "0"), ("ids, 2 threads", "2")] {
            let child = ["--", &program, "upstream-stdio"];
            let arguments = [&["hop-stdio", "--workers", workers][..], &child].concat();
            add(name, Part::Floor, Started::role(&arguments)?);
        }
        if !options.floors {
            let server = serde_json::json!({"command": program, "args": ["upstream-stdio"]});
            gateways(&mut add, dir, Transport::Stdio, &server)?;
        }
    }
    Ok(targets)
}

fn target(
    targets: &mut Vec<Target>,
    transport: Transport,
) -> impl FnMut(&'static str, Part, Started) {
    move |name, part, process| targets.push(Target { name, part, transport, process })
}
