//! Whoever cancels, or goes away, frees the server at once: through every door, over every
//! transport, whatever the eras of client and server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{Client, Era};
use system_tests::wait::{PATIENCE, see};

const START_MAX: Duration = Duration::from_secs(20);
/// A round trip takes a millisecond. No timeout of ours is shorter than twice this, so whatever
/// comes within it was not waited for.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Whoever ends our stdin may be a script that still wants its answers: it is given so much more.
const FAREWELL: Duration = Duration::from_secs(5);
const LEGACY: Era = Era::Legacy("2025-11-25");

/// How a client lets go of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `notifications/cancelled`.
    Says,
    /// Its connection is closed.
    Leaves,
}

/// What the fixture's tool wrote: `begun`, and later `ended`.
fn written(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn call(file: &Path) -> String {
    json!({ "name": "wait_until_cancelled", "arguments": { "file": file } }).to_string()
}

fn over_http(config: &Value, era: Era, way: Way) {
    let gateway = Gateway::settled(config);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seen");
    let client = Client::connect(gateway.url(), era).unwrap();
    let stream = client.begin_as("7", "tools/call", &call(&file)).unwrap();
    see(PATIENCE, || written(&file), |lines| *lines == 1);
    match way {
        Way::Says => {
            client.notify("notifications/cancelled", r#"{"requestId":7}"#).unwrap();
        }
        Way::Leaves => drop(stream),
    }
    see(AT_ONCE, || written(&file), |lines| *lines == 2);
}

fn over_stdio(config: &Value, era: Era, way: Way) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seen");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut params: Value = serde_json::from_str(&call(&file)).unwrap();
    let mut limit = AT_ONCE;
    let face = match era {
        Era::Modern => {
            params["_meta"] = meta;
            Face::start(config)
        }
        Era::Legacy(_) => Face::initialized(config, "{}"),
    };
    face.send(
        &json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string(),
    );
    see(PATIENCE, || written(&file), |lines| *lines == 1);
    match way {
        Way::Says => face.send(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
        ),
        Way::Leaves => {
            drop(face);
            limit += FAREWELL;
        }
    }
    see(limit, || written(&file), |lines| *lines == 2);
}

/// Every door, in front of one server.
fn every_door(config: &Value) {
    over_http(config, LEGACY, Way::Says);
    over_http(config, LEGACY, Way::Leaves);
    over_http(config, Era::Modern, Way::Leaves);
    for era in [LEGACY, Era::Modern] {
        over_stdio(config, era, Way::Says);
        over_stdio(config, era, Way::Leaves);
    }
}

fn fixture(face: &[&str], era: &str) -> Command {
    let mut command = Command::new(peers::own("conformance-fixture"));
    command.args(face).args(["--era", era]);
    command
}

fn as_child(era: &str) -> Value {
    json!({ "mcpServers": { "fixture": peers::as_config(&fixture(&["stdio"], era)) } })
}

fn remote(face: &str, era: &str) -> (Running, Value) {
    let running = Running::start(fixture(&[face, "--until-stdin-closes"], era));
    let url = running.endpoint(START_MAX);
    (running, json!({ "mcpServers": { "fixture": { "url": url } } }))
}

#[test]
fn a_child_with_sessions() {
    every_door(&as_child("legacy"));
}

#[test]
fn a_stateless_child() {
    every_door(&as_child("modern"));
}

#[test]
fn a_server_over_tcp_with_sessions() {
    let (_running, config) = remote("tcp", "legacy");
    every_door(&config);
}

#[test]
fn a_stateless_server_over_tcp() {
    let (_running, config) = remote("tcp", "modern");
    every_door(&config);
}

#[test]
fn a_server_over_http_with_sessions() {
    let (_running, config) = remote("http", "legacy");
    every_door(&config);
}

#[test]
fn a_stateless_server_over_http() {
    let (_running, config) = remote("http", "modern");
    every_door(&config);
}
