//! Stateless clients in front of servers that have sessions: whatever such a server asks on the way
//! reaches the client that it is asked because of, and nobody else.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::clients::{self, Step};
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::process::Running;
use system_tests::raw::{Client, Era};
use system_tests::wait::{PATIENCE, see};

const START_MAX: Duration = Duration::from_secs(30);
const MODERN: &str = "2026-07-28";

const CAN_FILL_IN_FORMS: &str = r#"{"elicitation":{}}"#;

/// A gateway in front of one server, over stdio and over HTTP.
struct Both {
    gateway: Gateway,
    _remote: Running,
}

/// server-everything, over stdio and over HTTP.
fn everything() -> Both {
    let remote = Running::start(peers::server_everything_http());
    let mut local = peers::server_everything();
    local.arg("stdio");
    let gateway = Gateway::settled(&json!({ "mcpServers": {
        "stdio": as_config(&local),
        "http": { "url": remote.endpoint(START_MAX) },
    }}));
    Both { gateway, _remote: remote }
}

#[test]
fn the_python_client_is_asked_everything_that_a_session_would_be() {
    let everything = everything();
    let plan = |name: &dyn Fn(&str) -> String| {
        let step =
            |tool: &str, arguments: Value, expect: &str| Step::new(&name(tool), arguments, expect);
        vec![
            step("trigger-sampling-request", json!({ "prompt": "hi" }), "The model says so."),
            step("trigger-elicitation-request", json!({}), "Alice"),
            step("get-roots-list", json!({}), "file:///tmp/root"),
            step(
                "trigger-long-running-operation",
                json!({ "duration": 1, "steps": 3 }),
                "completed",
            ),
        ]
    };
    let is_good = |report: &clients::Report| {
        assert_eq!(report.protocol_version, MODERN);
        assert_eq!(report.calls[3].progress, [1.0, 2.0, 3.0]);
    };
    for server in ["stdio", "http"] {
        let report =
            clients::python(&everything.gateway.url_of(server), MODERN, &plan(&str::to_owned));
        is_good(&report);
        assert_eq!(report.tools.len(), 17, "{:?}", report.tools);
        let named = |tool: &str| format!("{server}__{tool}");
        let report = clients::python(everything.gateway.url(), MODERN, &plan(&named));
        is_good(&report);
        assert_eq!(report.tools.len(), 34, "{:?}", report.tools);
    }
}

fn fixture(args: &[&str]) -> Command {
    let mut command = Command::new(peers::own("conformance-fixture"));
    command.args(args).args(["--era", "legacy"]);
    command
}

/// The conformance fixture, with sessions only.
fn fixtures() -> Both {
    let remote = Running::start(fixture(&["http", "--until-stdin-closes"]));
    let gateway = Gateway::settled(&json!({ "mcpServers": {
        "stdio": as_config(&fixture(&["stdio"])),
        "http": { "url": remote.endpoint(START_MAX) },
    }}));
    Both { gateway, _remote: remote }
}

fn asking(message: &str) -> String {
    format!(r#""name":"test_elicitation","arguments":{{"message":"{message}"}}"#)
}

/// What a client sends that was asked its user's name.
fn named(message: &str, state: &Value, name: &str) -> String {
    let content = format!(r#"{{"username":"{name}","email":"{name}@example.org"}}"#);
    let response = format!(r#"{{"action":"accept","content":{content}}}"#);
    let responses = format!(r#"{{"question-1":{response}}}"#);
    format!(r#"{{{},"requestState":{state},"inputResponses":{responses}}}"#, asking(message))
}

#[test]
fn clients_at_once_are_asked_each_their_own() {
    let both = fixtures();
    for server in ["stdio", "http"] {
        let url = both.gateway.url_of(server);
        let client = || Client::with_capabilities(&url, Era::Modern, CAN_FILL_IN_FORMS).unwrap();
        let users = ["Ann", "Bob", "Cleo"].map(|name| (name, client()));
        let states = users.each_ref().map(|(name, client)| {
            let message = format!("Are you {name}?");
            let params = format!("{{{}}}", asking(&message));
            let demand = client.request("tools/call", &params).unwrap().value()["result"].take();
            assert_eq!(demand["resultType"], "input_required", "{demand}");
            let question = &demand["inputRequests"]["question-1"];
            assert_eq!(question["method"], "elicitation/create");
            assert_eq!(question["params"]["message"], message);
            demand["requestState"].clone()
        });
        // Nobody's state serves another request; the last one asked answers first.
        let stolen = named("Are you Ann?", &states[1], "Ann");
        let refused = users[0].1.request("tools/call", &stolen).unwrap();
        assert!(refused.error().contains("-32602"), "{refused:?}");
        for ((name, client), state) in users.iter().zip(&states).rev() {
            let params = named(&format!("Are you {name}?"), state, name);
            let answer = client.request("tools/call", &params).unwrap();
            let answer = &answer.value()["result"];
            assert_eq!(answer["resultType"], "complete", "{answer}");
            assert_eq!(
                answer["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
                "conformance-fixture"
            );
            let text = answer["content"][0]["text"].as_str().unwrap();
            assert!(text.contains(&format!("{name}@example.org")), "{name}: {text}");
            let again = client.request("tools/call", &params).unwrap();
            assert!(again.error().contains("-32602"), "a state is good once: {again:?}");
        }
    }
}

#[test]
fn the_log_is_seen_from_the_level_that_a_request_names() {
    let both = fixtures();
    for server in ["stdio", "http"] {
        let client = Client::connect(&both.gateway.url_of(server), Era::Modern).unwrap();
        for (level, seen) in [("info", 3), ("error", 0), ("debug", 3), ("", 0)] {
            let meta = match level {
                "" => String::new(),
                _ => format!(r#""io.modelcontextprotocol/logLevel":"{level}""#),
            };
            let params = r#"{"name":"test_tool_with_logging","arguments":{}}"#;
            let answer = client.request_with_meta("tools/call", params, &meta).unwrap();
            assert_eq!(answer.before.len(), seen, "{server} at {level:?}: {answer:?}");
            assert!(answer.before.iter().all(|line| line.contains("notifications/message")));
        }
    }
}

#[test]
fn a_client_that_leaves_cancels_its_call_at_the_server() {
    let both = fixtures();
    let dir = tempfile::tempdir().unwrap();
    for server in ["stdio", "http"] {
        let url = both.gateway.url_of(server);
        let client = Client::with_capabilities(&url, Era::Modern, CAN_FILL_IN_FORMS).unwrap();
        let file = dir.path().join(server);
        let read = || std::fs::read_to_string(&file).unwrap_or_default();
        let arguments = json!({ "file": file }).to_string();
        let params = format!(r#"{{"name":"wait_until_cancelled","arguments":{arguments}}}"#);
        let stream = client.begin_as("7", "tools/call", &params).unwrap();
        see(PATIENCE, read, |text| text.contains("begun"));
        drop(stream);
        see(PATIENCE, read, |text| text.contains("ended"));
    }
}

#[test]
fn a_client_on_our_stdin_is_asked_as_well() {
    let config = json!({ "mcpServers": { "fixture": as_config(&fixture(&["stdio"])) } });
    let face = Face::start(&config);
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{CAN_FILL_IN_FORMS}}}"#
    );
    let demand = face.ask("1", "tools/call", &format!("{{{meta},{}}}", asking("Who?")));
    let demand: Value = serde_json::from_str(&demand).unwrap();
    let state = &demand["result"]["requestState"];
    assert!(state.is_string(), "{demand}");
    let params = named("Who?", state, "Dora").replacen('{', &format!("{{{meta},"), 1);
    let answer = face.ask("2", "tools/call", &params);
    assert!(answer.contains("Dora@example.org"), "{answer}");
    let log = face.process().stdout();
    assert!(!log.contains(r#""method":"elicitation/create","id""#), "nothing is sent by itself");
    assert_eq!(log.lines().count(), 2, "{log}");
}
