//! `mcp-manager check`: what is wrong with a file, without starting anything.
//!
//! An error is what keeps a server from starting, here and now; then the exit code is 2. What may be
//! otherwise when the manager starts, such as a port that is in use, is a warning. What would be better
//! written in another way is a recommendation.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use mcp_manager::config::{
    CheckKind, Config, ProcessLookup, ServerKind, ServerSpec, Settings, Severity, child_environment,
};
use mcp_supervisor::Spec;
use serde_json::json;

use crate::args::Check;
use crate::exit::{Error, Exit};
use crate::output::line;

/// One finding.
struct Finding {
    severity: &'static str,
    text: String,
}

pub(crate) fn run(check: &Check, json: bool) -> Result<Exit, Error> {
    let config = Config::load(&check.config, &ProcessLookup)
        .map_err(|error| Error::new(Exit::Usage, "CONFIG_ERROR", error.to_string()))?;
    let findings = findings(&config);
    let errors = findings.iter().filter(|finding| finding.severity == "error").count();
    for Finding { severity, text } in &findings {
        let text = if json {
            json!({ "severity": severity, "message": text }).to_string()
        } else {
            format!("{severity}: {text}")
        };
        if !line(&text) {
            break;
        }
    }
    let servers = config.servers.len();
    if json {
        line(&json!({ "servers": servers, "errors": errors }).to_string());
    } else if errors == 0 {
        line(&format!("{}: {servers} servers, no errors", check.config.display()));
    }
    Ok(if errors == 0 { Exit::Ok } else { Exit::Usage })
}

fn findings(config: &Config) -> Vec<Finding> {
    let notes = config.notes.iter().map(|note| {
        let severity = if note.severity == Severity::Warning { "warning" } else { "info" };
        Finding { severity, text: note.to_string() }
    });
    let enabled = || config.servers.iter().filter(|server| !server.disabled);
    let faults = enabled().filter_map(fault).map(|text| Finding { severity: "error", text });
    let doubts = enabled().filter_map(doubt).chain(ports(&config.settings));
    let doubts = doubts.map(|text| Finding { severity: "warning", text });
    let advice = config.advice().into_iter();
    let advice =
        advice.map(|advice| Finding { severity: "recommendation", text: advice.to_string() });
    notes.chain(faults).chain(doubts).chain(advice).collect()
}

/// What would keep the health of a server from being found out. It is served all the same.
fn doubt(server: &ServerSpec) -> Option<String> {
    let CheckKind::Command { command } = &server.settings.checks.kind else { return None };
    let mut spec = Spec::new(OsString::from(command.first()?));
    spec.env = std::env::vars_os().collect();
    let refused = mcp_supervisor::resolve(&spec).err()?;
    Some(format!("server {:?}: `healthCommand`: {refused}", server.name))
}

/// The ports that the file names and that cannot be had now. The one who has them may be the manager
/// that this file is for.
fn ports(settings: &Settings) -> impl Iterator<Item = String> {
    let named = [("listen", settings.listen), ("admin", settings.admin)];
    named.into_iter().filter_map(|(key, address)| unavailable(key, address?))
}

fn unavailable(key: &str, address: SocketAddr) -> Option<String> {
    let error = TcpListener::bind(address).err()?;
    let why = match error.kind() {
        ErrorKind::AddrInUse => "it is in use now".to_owned(),
        ErrorKind::PermissionDenied => "this user may not listen there".to_owned(),
        ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    };
    Some(format!("`{key}`: {address}: {why}"))
}

/// What would keep a server from starting, as far as can be told without starting it.
fn fault(server: &ServerSpec) -> Option<String> {
    if let Some(fault) = &server.fault {
        return Some(fault.to_string());
    }
    let ServerKind::Stdio(stdio) = &server.kind else { return None };
    let mut spec = Spec::new(OsString::from(stdio.command.expose()));
    spec.env = child_environment(stdio, std::env::vars_os());
    spec.cwd = stdio.cwd.as_ref().map(|cwd| cwd.expose().into());
    let refused = mcp_supervisor::resolve(&spec).err()?;
    Some(format!("server {:?}: {refused}", server.name))
}
