//! Servers as a configuration names them.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::peers;

/// The misbehaving server, with these flags.
pub fn misbehave(flags: &[&str]) -> Value {
    json!({ "command": peers::own("misbehave"), "args": flags })
}

/// The misbehaving server, which appends every line that reaches it to `log`.
pub fn logging(log: &Path, flags: &[&str]) -> Value {
    let log = log.to_string_lossy();
    misbehave(&[&["--log-file", &log], flags].concat())
}

/// A server that a shell starts with `script`; `$MISBEHAVE` is the misbehaving one.
pub fn shell(script: &str) -> Value {
    json!({
        "command": "/bin/sh",
        "args": ["-c", script],
        "env": { "MISBEHAVE": peers::own("misbehave") },
    })
}

/// An entry with members of its own block `manager`, such as `callTimeout`.
#[must_use]
pub fn managed(mut entry: Value, block: Value) -> Value {
    entry["manager"] = block;
    entry
}

/// An entry with one more environment variable.
#[must_use]
pub fn with_env(mut entry: Value, name: &str, value: &str) -> Value {
    entry["env"][name] = value.into();
    entry
}

/// A configuration of these servers.
pub fn fleet<const N: usize>(servers: [(&str, Value); N]) -> Value {
    let servers: Map<String, Value> =
        servers.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect();
    json!({ "mcpServers": servers })
}

/// The same, with the manager's own settings.
pub fn fleet_with<const N: usize>(manager: Value, servers: [(&str, Value); N]) -> Value {
    let mut config = fleet(servers);
    config["manager"] = manager;
    config
}
