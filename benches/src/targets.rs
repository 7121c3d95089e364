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
            let config = serde_json::json!({"mcpServers": {"echo": {"url": url}}});
            add("gateway", Part::Gateway, gateway(dir, "http", &config.to_string())?);
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
            let config = serde_json::json!({"mcpServers": {"echo": server}});
            add("gateway", Part::Gateway, gateway(dir, "stdio", &config.to_string())?);
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
