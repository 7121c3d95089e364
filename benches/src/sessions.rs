//! What sessions cost: to open one, to keep a thousand idle, to stream to a hundred.

#![allow(clippy::print_stdout, reason = "a benchmark speaks")]

mod idle;
mod new;
mod streams;

use std::path::Path;

use crate::process::{Started, gateway};

/// Runs all three and prints their verdicts.
pub(crate) fn run() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut verdicts = new::run(dir.path())?;
    verdicts.extend(idle::run(dir.path())?);
    verdicts.extend(streams::run(dir.path())?);
    println!();
    for verdict in verdicts {
        println!("{verdict}");
    }
    Ok(())
}

/// A gateway with room for all these sessions, in front of one server.
fn front(dir: &Path, name: &str, server: &serde_json::Value) -> Result<Started, String> {
    let config = serde_json::json!({
        "mcpServers": { "echo": server },
        "manager": { "maxSessions": 100_000 },
    });
    gateway(dir, name, &config.to_string())
}

/// This program in the role of a stdio server, as a configuration names it.
fn own_child(arguments: &[&str]) -> Result<serde_json::Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(serde_json::json!({ "command": program, "args": arguments }))
}

fn verdict(case: &str, value: f64, most: f64) -> String {
    let word = if value <= most { "ok" } else { "short" };
    format!("sessions/{case} {value:.2} <={most} {word}")
}
