//! Seven real servers behind one endpoint, in front of every client: each sees all of them, and
//! reaches each of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use system_tests::clients::{self, Step};
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::process::Running;
use system_tests::raw::{self, Era};
use system_tests::typed::{self, Mode};
use tempfile::TempDir;

const START_MAX: Duration = Duration::from_secs(30);

/// One entity, as the memory server keeps it: a JSON line.
const MEMORY: &str =
    r#"{"type":"entity","name":"remembered","entityType":"thing","observations":["once"]}"#;

/// The gateway, and what it stands in front of.
struct Union {
    gateway: Gateway,
    dir: TempDir,
    /// The two servers over HTTP.
    _remote: [Running; 2],
}

/// A server, one of its tools, and a call whose answer nobody else could give.
struct Call {
    server: &'static str,
    tool: &'static str,
    arguments: Value,
    expect: &'static str,
}

fn prepare(dir: &Path) {
    std::fs::write(dir.join("note.txt"), "a note").unwrap();
    std::fs::write(dir.join("memory.json"), MEMORY).unwrap();
    let repository = dir.join("repository");
    let init = Command::new("git").args(["init", "-q"]).arg(&repository).status().unwrap();
    assert!(init.success());
}

fn python_server() -> Command {
    let mut command = peers::python();
    command.arg(peers::file("servers/python_server.py"));
    command
}

impl Union {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let mut everything = peers::server_everything();
        everything.arg("stdio");
        let remote =
            [Running::start(peers::server_everything_http()), Running::start(python_server())];
        // Each client with a session has processes of its own, and they start when it first lists.
        let config = json!({ "manager": { "listTimeout": "60s" }, "mcpServers": {
            "everything": as_config(&everything),
            "files": as_config(&peers::server_filesystem(dir.path())),
            "memory": as_config(&peers::server_memory(&dir.path().join("memory.json"))),
            "time": as_config(&peers::server_time()),
            "git": as_config(&peers::server_git(&dir.path().join("repository"))),
            "remote": { "type": "http", "url": remote[0].endpoint(START_MAX) },
            "python": { "type": "http", "url": remote[1].endpoint(START_MAX) },
        }});
        let gateway = Gateway::settled(&config);
        let status = gateway.status();
        for server in status["servers"].as_array().unwrap() {
            assert_eq!(server["state"], "ready", "{server:#}");
        }
        Self { gateway, dir, _remote: remote }
    }

    fn calls(&self) -> Vec<Call> {
        let call = |server, tool, arguments, expect| Call { server, tool, arguments, expect };
        let path = |name: &str| self.dir.path().join(name).to_string_lossy().into_owned();
        vec![
            call("everything", "echo", json!({ "message": "hi" }), "Echo: hi"),
            call("files", "read_text_file", json!({ "path": path("note.txt") }), "a note"),
            call("memory", "read_graph", json!({}), "remembered"),
            call("time", "get_current_time", json!({ "timezone": "UTC" }), "UTC"),
            call("git", "git_status", json!({ "repo_path": path("repository") }), "No commits yet"),
            call("remote", "get-sum", json!({ "a": 2, "b": 3 }), "The sum of 2 and 3 is 5"),
            call("python", "shout", json!({ "text": "quietly" }), "QUIETLY"),
        ]
    }

    fn plan(&self) -> Vec<Step> {
        let calls = self.calls().into_iter();
        calls.map(|call| Step::new(&call.exposed(), call.arguments, call.expect)).collect()
    }

    /// Every server's tool is there under its server's name, and no name is there twice.
    fn assert_all_listed(&self, who: &str, names: &[String]) {
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{who}: {names:?}");
        for call in self.calls() {
            assert!(unique.contains(&call.exposed()), "{who}: {} is not in {names:?}", call.tool);
        }
        assert!(names.iter().all(|name| name.contains("__")), "{who}: {names:?}");
    }
}

impl Call {
    /// The name of the tool where all servers are one.
    fn exposed(&self) -> String {
        format!("{}__{}", self.server, self.tool)
    }
}

fn python_client(union: &Union, mode: &str, version: &str) {
    let report = clients::python(union.gateway.url(), mode, &union.plan());
    assert_eq!(report.protocol_version, version);
    union.assert_all_listed("the Python client", &report.tools);
}

fn inspector(union: &Union, era: &str) {
    let url = union.gateway.url();
    let listed = clients::inspector(url, era, &["--method", "tools/list", "-q"]);
    let list: Value =
        serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed:?}"));
    union.assert_all_listed("the inspector", &names(&list["tools"]));
    for call in union.calls() {
        let pairs: Vec<String> = call.arguments.as_object().unwrap().iter().map(pair).collect();
        let exposed = call.exposed();
        let mut args = vec!["--method", "tools/call", "--tool-name", &exposed, "-q"];
        args.extend(pairs.iter().flat_map(|pair| ["--tool-arg", pair]));
        let answer = clients::inspector(url, era, &args);
        assert!(answer.success() && answer.stdout.contains(call.expect), "{exposed}: {answer:?}");
    }
}

/// `key=value`, as the inspector takes arguments.
fn pair((key, value): (&String, &Value)) -> String {
    format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn names(tools: &Value) -> Vec<String> {
    let tools = tools.as_array().into_iter().flatten();
    tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect()
}

fn mcporter(union: &Union) {
    let url = union.gateway.url();
    let listed = clients::mcporter_list(url);
    let list: Value =
        serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed:?}"));
    union.assert_all_listed("mcporter", &names(&list["tools"]));
    for call in union.calls() {
        let answer = clients::mcporter_call(url, &call.exposed(), &call.arguments);
        assert!(answer.success() && answer.stdout.contains(call.expect), "{answer:?}");
    }
}

async fn typed_client(union: &Union, mode: Mode) {
    let client = typed::Client::connect(union.gateway.url(), mode).await;
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<String> = tools.iter().map(|tool| tool.name.to_string()).collect();
    union.assert_all_listed("rmcp", &names);
    for call in union.calls() {
        let arguments = call.arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(call.exposed()).with_arguments(arguments);
        let result = client.call_tool(request).await.unwrap();
        let texts = result.content.iter().filter_map(|block| block.as_text());
        let text: String = texts.map(|block| block.text.as_str()).collect();
        assert!(text.contains(call.expect), "{mode:?} {}: {result:?}", call.exposed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stateless_clients_see_and_reach_every_server() {
    let union = Union::start();
    python_client(&union, "auto", "2026-07-28");
    typed_client(&union, Mode::Modern).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_with_a_session_see_and_reach_every_server() {
    let union = Union::start();
    python_client(&union, "legacy", "2025-11-25");
    typed_client(&union, Mode::Legacy).await;
}

#[test]
fn the_inspector_sees_and_reaches_every_server() {
    inspector(&Union::start(), "modern");
}

#[test]
fn mcporter_sees_and_reaches_every_server() {
    mcporter(&Union::start());
}

#[test]
fn each_server_is_alone_under_its_own_names() {
    let union = Union::start();
    for era in [Era::Legacy("2025-11-25"), Era::Modern] {
        for call in union.calls() {
            let client = raw::Client::connect(&union.gateway.url_of(call.server), era).unwrap();
            let list = client.request("tools/list", "{}").unwrap().value();
            let names = names(&list["result"]["tools"]);
            assert!(names.iter().any(|name| name == call.tool), "{era:?} {}: {list}", call.server);
            assert!(!names.iter().any(|name| name.contains("__")), "{era:?}: {names:?}");
            let answer = client.call(call.tool, &call.arguments.to_string()).unwrap();
            assert!(answer.result().contains(call.expect), "{era:?}: {answer:?}");
        }
    }
}
