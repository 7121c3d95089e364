//! What changes the fleet, and how it is answered.

use std::time::Duration;

use http::StatusCode;
use mcp_manager::config::{Config, ProcessLookup};
use mcp_manager::reload::Reloader;
use mcp_manager::{Action, Changes, Circuit, Definition, Failure, Fleet, Report};
use serde::Deserialize;
use serde_json::{Value, json};

use super::route::{ToReplica, action};
use super::status;

/// What an operator is answered.
pub(super) type Outcome = Result<Value, Refused>;

/// Why nothing was done, or not all of it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMS", message)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::ServerNotFound { .. } => StatusCode::NOT_FOUND,
            Failure::AlreadyExists { .. } => StatusCode::CONFLICT,
            Failure::Config { .. } | Failure::Params { .. } => StatusCode::BAD_REQUEST,
            Failure::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            // Asked in the right way, and it did not come about.
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, failure.code(), failure.to_string())
    }
}

/// Adds the servers of a configuration: none of them, if one has a name that is taken.
pub(super) async fn add(fleet: &Fleet, body: &str) -> Outcome {
    let definitions = definitions(body)?;
    let taken = definitions.iter().find(|definition| fleet.server(&definition.name).is_some());
    if let Some(Definition { name, .. }) = taken {
        return Err(Failure::AlreadyExists { name: name.clone() }.into());
    }
    let mut added = Vec::new();
    for definition in definitions {
        let name = definition.name.clone();
        fleet.add(definition).await?;
        added.push(name);
    }
    Ok(json!({ "added": added }))
}

/// Replaces a server by the one of that name in a configuration.
pub(super) async fn update(fleet: &Fleet, name: &str, body: &str) -> Outcome {
    let mut definitions = definitions(body)?;
    match (definitions.pop(), definitions.is_empty()) {
        (Some(definition), true) if definition.name == name => {
            fleet.update(definition).await?;
            Ok(json!({ "updated": name }))
        }
        _ => Err(Refused::bad(format!("the configuration must have one server, {name:?}"))),
    }
}

pub(super) async fn act(fleet: &Fleet, action: Action, name: &str) -> Outcome {
    match action {
        Action::Start => fleet.start_server(name).await?,
        Action::Stop => fleet.stop_server(name).await?,
        _ => fleet.restart(name).await?,
    }
    let now = tokio::time::Instant::now().into_std();
    let server = fleet.server(name);
    Ok(json!({ "server": server.map(|server| status::server(&server, now)) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    replicas: usize,
}

pub(super) async fn scale(fleet: &Fleet, name: &str, body: &str) -> Outcome {
    let Scale { replicas } = parsed(body, r#"{"replicas": 2}"#)?;
    fleet.scale(name, replicas).await?;
    Ok(json!({ "name": name, "replicas": replicas }))
}

/// How long a replica is ejected, unless somebody says so.
const EJECTED: Duration = Duration::from_secs(30);
/// At most a day: whoever wants longer drains it.
const EJECTED_MAX: u64 = 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Eject {
    seconds: u64,
}

/// Drains, ejects or restores one replica.
pub(super) async fn replica(
    fleet: &Fleet,
    what: ToReplica,
    name: &str,
    number: usize,
    body: &str,
) -> Outcome {
    match what {
        ToReplica::Drain => {
            let left = fleet.drain_replica(name, number).await?;
            Ok(
                json!({ "server": name, "replica": number, "drained": left == 0, "in_flight": left }),
            )
        }
        ToReplica::Eject => {
            let time = match body.trim() {
                "" => EJECTED,
                body => {
                    let Eject { seconds } = parsed(body, r#"{"seconds": 30}"#)?;
                    if !(1..=EJECTED_MAX).contains(&seconds) {
                        let why = format!("`seconds` is 1 to {EJECTED_MAX}, not {seconds}");
                        return Err(Refused::bad(why));
                    }
                    Duration::from_secs(seconds)
                }
            };
            fleet.eject_replica(name, number, time)?;
            Ok(json!({ "server": name, "replica": number, "ejected_seconds": time.as_secs() }))
        }
        ToReplica::Restore => {
            fleet.restore_replica(name, number)?;
            Ok(json!({ "server": name, "replica": number, "restored": true }))
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    to: Option<usize>,
}

/// Has a replica serve that stands by.
pub(super) fn fail_over(fleet: &Fleet, name: &str, body: &str) -> Outcome {
    let To { to } =
        if body.trim().is_empty() { To::default() } else { parsed(body, r#"{"to": 1}"#)? };
    let active = fleet.fail_over(name, to)?;
    Ok(json!({ "server": name, "active": active }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToCircuit {
    state: String,
    tool: Option<String>,
}

/// Opens or closes circuits.
pub(super) fn circuit(fleet: &Fleet, name: &str, body: &str) -> Outcome {
    let ToCircuit { state, tool } = parsed(body, r#"{"state": "open", "tool": "search"}"#)?;
    let circuit = match &*state {
        "open" => Circuit::Open,
        "closed" => Circuit::Close,
        "auto" => Circuit::Reset,
        _ => {
            let why = format!("`state` is open, closed or auto, not {state:?}");
            return Err(Refused::bad(why));
        }
    };
    fleet.force_circuit(name, tool.as_deref(), circuit)?;
    Ok(json!({ "server": name, "tool": tool, "state": state }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    action: String,
    /// All, if they are not named.
    servers: Option<Vec<String>>,
}

pub(super) async fn bulk(fleet: &Fleet, body: &str) -> Outcome {
    let Bulk { action: name, servers } =
        parsed(body, r#"{"action": "restart", "servers": ["a", "b"]}"#)?;
    let action = action(&name).ok_or_else(|| {
        Refused::bad(format!("there is no action {name:?}; there are start, stop and restart"))
    })?;
    let all = || fleet.servers().iter().map(|server| server.name().to_owned()).collect();
    Ok(report(&fleet.bulk(action, &servers.unwrap_or_else(all)).await))
}

pub(super) async fn reload(reloader: Option<&Reloader>) -> Outcome {
    let Some(reloader) = reloader else {
        let why = "this fleet does not come from a file";
        return Err(Refused::new(StatusCode::CONFLICT, "NO_CONFIG", why));
    };
    let reloaded = reloader.reload().await.map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, "CONFIG_ERROR", error.to_string())
    })?;
    let Changes { added, removed, changed, unchanged, failed, .. } = &*reloaded.changes;
    let failed: Vec<Value> = failed
        .iter()
        .map(|(name, why)| json!({ "name": name, "error": status::failure(why) }))
        .collect();
    let warnings: Vec<String> = reloaded.warnings.iter().map(ToString::to_string).collect();
    Ok(json!({
        "added": added,
        "removed": removed,
        "changed": changed,
        "unchanged": unchanged,
        "failed": failed,
        "needs_restart": reloaded.needs_restart,
        "warnings": warnings,
        "generation": reloaded.generation,
    }))
}

fn report(report: &Report) -> Value {
    let result = |(name, result): &(String, Result<(), Failure>)| {
        json!({
            "name": name,
            "ok": result.is_ok(),
            "error": result.as_ref().err().map(status::failure),
        })
    };
    let results: Vec<Value> = report.results.iter().map(result).collect();
    json!({ "successful": report.successful, "failed": report.failed, "results": results })
}

/// The servers of a configuration as a file has it, with the same rules.
fn definitions(body: &str) -> Result<Vec<Definition>, Refused> {
    let config = Config::parse(body, "request", &ProcessLookup).map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, "CONFIG_ERROR", error.to_string())
    })?;
    if config.servers.is_empty() {
        let shape = r#"{"mcpServers": {"name": {"command": "program"}}}"#;
        return Err(Refused::bad(format!("no server is in it; write {shape}")));
    }
    if let Some(spec) = config.servers.iter().find(|spec| spec.fault.is_some()) {
        let why = spec.fault.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(Failure::Config { server: spec.name.clone(), why }.into());
    }
    Ok(config.servers.into_iter().map(Definition::from).collect())
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &str, shape: &str) -> Result<T, Refused> {
    serde_json::from_str(body).map_err(|error| Refused::bad(format!("{error}; write {shape}")))
}
