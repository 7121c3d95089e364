//! `mcp-manager check`: what is wrong with a file, without starting anything.

use std::ffi::OsString;

use mcp_manager::config::{
    Config, ProcessLookup, ServerKind, ServerSpec, Severity, child_environment,
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
    let enabled = config.servers.iter().filter(|server| !server.disabled);
    let faults = enabled.filter_map(fault);
    notes.chain(faults.map(|text| Finding { severity: "error", text })).collect()
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
