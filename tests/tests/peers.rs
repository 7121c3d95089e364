//! The clients and servers that the gateway stands between, without the gateway: what fails here is
//! not its fault.

use std::process::Command;
use std::time::Duration;

use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use system_tests::clients::{self, Step};
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{self, Era};
use system_tests::typed::{self, Mode};

const START_MAX: Duration = Duration::from_secs(30);

/// One entity, as the memory server keeps it: a JSON line.
const MEMORY: &str =
    r#"{"type":"entity","name":"remembered","entityType":"thing","observations":["once"]}"#;

fn fixture() -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-fixture"));
    command.args(["http", "--until-stdin-closes"]);
    let running = Running::start(command);
    let url = running.endpoint(START_MAX);
    (running, url)
}

fn everything() -> (Running, String) {
    let running = Running::start(peers::server_everything_http());
    let url = running.endpoint(START_MAX);
    (running, url)
}

#[test]
fn python_client_in_both_eras() {
    let (_fixture, url) = fixture();
    let both = [
        Step::new("test_simple_text", json!({}), "simple text response"),
        Step::new("greet", json!({ "name": "Zoë" }), "Hello, Zoë!"),
        Step::new("test_error_handling", json!({}), "intentionally").failing(),
        Step::new("test_tool_with_progress", json!({}), "Reported"),
    ];
    let legacy_only = [
        Step::new("test_elicitation", json!({ "message": "?" }), "action=accept"),
        Step::new("test_sampling", json!({ "prompt": "?" }), "The model says so."),
    ];
    let legacy = clients::python(&url, "legacy", &[&both[..], &legacy_only].concat());
    assert_eq!(legacy.protocol_version, "2025-11-25");
    assert_eq!(legacy.calls[3].progress, [0.0, 50.0, 100.0]);

    let modern_only = [
        Step::new("test_input_required_result_multi_round", json!({}), "Alice\" likes"),
        Step::new("test_input_required_result_sampling", json!({}), "The model says so."),
        Step::new("test_input_required_result_list_roots", json!({}), "file:///tmp/root"),
    ];
    let modern = clients::python(&url, "auto", &[&both[..], &modern_only].concat());
    assert_eq!(modern.protocol_version, "2026-07-28");
    assert_eq!(modern.tools, legacy.tools);
    assert_eq!(modern.calls[3].progress, [0.0, 50.0, 100.0]);
}

#[test]
fn python_client_falls_back_for_a_legacy_server() {
    let (_everything, url) = everything();
    let plan = [Step::new("echo", json!({ "message": "hi" }), "Echo: hi")];
    let report = clients::python(&url, "auto", &plan);
    assert_eq!(report.protocol_version, "2025-11-25");
    assert!(report.tools.contains(&"get-sum".to_owned()), "{:?}", report.tools);
}

#[test]
fn inspector_in_both_eras_and_over_stdio() {
    let (_fixture, url) = fixture();
    let greet = ["--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name=you", "-q"];
    let stdio = {
        let mut server = Command::new(env!("CARGO_BIN_EXE_conformance-fixture"));
        server.arg("stdio");
        clients::inspector_stdio(&server, &greet)
    };
    let answers =
        [clients::inspector(&url, "legacy", &greet), clients::inspector(&url, "modern", &greet)];
    for answer in answers.iter().chain([&stdio]) {
        assert!(answer.success(), "{answer:?}");
        let result: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(result["content"][0]["text"], "Hello, you!");
    }
    let failing = ["--method", "tools/call", "--tool-name", "test_error_handling"];
    let failed = clients::inspector(&url, "legacy", &failing);
    assert_eq!(failed.status.and_then(|status| status.code()), Some(5), "{failed:?}");
}

#[test]
fn mcporter_calls_and_lists() {
    let (_fixture, url) = fixture();
    let called = clients::mcporter_call(&url, "greet", &json!({ "name": "you" }));
    assert!(called.success(), "{called:?}");
    assert_eq!(called.stdout.trim(), "Hello, you!");
    let failed = clients::mcporter_call(&url, "test_error_handling", &json!({}));
    assert!(!failed.success(), "{failed:?}");
    let listed = clients::mcporter_list(&url);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert!(listed.to_string().contains("test_simple_text"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_client_in_both_eras() {
    let (_fixture, url) = fixture();
    for (mode, version) in
        [(Mode::Legacy, "2025-11-25"), (Mode::Modern, "2026-07-28"), (Mode::Auto, "2026-07-28")]
    {
        let client = typed::Client::connect(&url, mode).await;
        let agreed = client.peer_info().unwrap().protocol_version.to_string();
        assert_eq!(agreed, version, "{mode:?}");
        let arguments = json!({ "name": "you" }).as_object().unwrap().clone();
        let greet = CallToolRequestParams::new("greet").with_arguments(arguments);
        let greeted = client.call_tool(greet).await.unwrap();
        assert_eq!(greeted.content[0].as_text().unwrap().text, "Hello, you!");
        let asks = match mode {
            Mode::Legacy => "test_elicitation_sep1330_enums",
            _ => "test_input_required_result_multiple_inputs",
        };
        let asked = client.call_tool(CallToolRequestParams::new(asks)).await.unwrap();
        assert_ne!(asked.is_error, Some(true), "{asked:?}");
    }
}

#[test]
fn raw_client_in_both_eras() {
    let (_fixture, url) = fixture();
    for era in [Era::Legacy("2025-06-18"), Era::Modern] {
        let client = raw::Client::connect(&url, era).unwrap();
        let answer = client.call("greet", r#"{"name":"caf\u00e9"}"#).unwrap();
        assert!(answer.result().contains("Hello, café!"), "{answer:?}");
        let token = r#""progressToken":"t""#;
        let call = r#"{"name":"test_tool_with_progress"}"#;
        let answer = client.request_with_meta("tools/call", call, token).unwrap();
        assert_eq!(answer.before.len(), 3, "{answer:?}");
        let unknown = client.request("no/such/method", "{}").unwrap();
        assert_eq!(unknown.value()["error"]["code"], -32601, "{unknown:?}");
        let expected = if era == Era::Modern { 404 } else { 200 };
        assert_eq!(unknown.status, expected, "{unknown:?}");
    }
}

#[test]
fn raw_client_hears_of_changes() {
    let (_fixture, url) = fixture();
    let modern = raw::Client::connect(&url, Era::Modern).unwrap();
    let filter = r#"{"notifications":{"toolsListChanged":true}}"#;
    let (_, mut stream) = modern.open("subscriptions/listen", filter, "").unwrap();
    let acknowledged = stream.message().unwrap().unwrap();
    assert!(acknowledged.contains("notifications/subscriptions/acknowledged"), "{acknowledged}");

    let legacy = raw::Client::connect(&url, Era::Legacy("2025-11-25")).unwrap();
    let mut session = legacy.listen().unwrap();
    assert_eq!(session.status, 200);
    modern.call("test_trigger_tool_change", "{}").unwrap();
    for stream in [&mut stream, &mut session] {
        let changed = stream.message().unwrap().unwrap();
        assert!(changed.contains("notifications/tools/list_changed"), "{changed}");
    }
    assert!(matches!(legacy.delete().unwrap().status, 200..=204));
}

#[test]
fn servers_over_stdio() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("note.txt"), "a note").unwrap();
    let note = format!("path={}", dir.path().join("note.txt").display());
    let call = |server: &Command, tool: &str, arguments: &[&str]| {
        let arguments = arguments.iter().flat_map(|pair| ["--tool-arg", pair]);
        let args = ["--method", "tools/call", "--tool-name", tool, "-q"];
        let answer = clients::inspector_stdio(
            server,
            &args.into_iter().chain(arguments).collect::<Vec<_>>(),
        );
        assert!(answer.success(), "{answer:?}");
        answer.stdout
    };
    let mut everything = peers::server_everything();
    everything.arg("stdio");
    assert!(call(&everything, "echo", &["message=hi"]).contains("Echo: hi"));
    let files = peers::server_filesystem(dir.path());
    assert!(call(&files, "read_text_file", &[&note]).contains("a note"));
    let memory = peers::server_memory(&dir.path().join("memory.json"));
    std::fs::write(dir.path().join("memory.json"), MEMORY).unwrap();
    assert!(call(&memory, "read_graph", &[]).contains("remembered"));
    let repository = dir.path().join("repository");
    let init = Command::new("git").args(["init", "-q"]).arg(&repository).status().unwrap();
    assert!(init.success());
    let repo_path = format!("repo_path={}", repository.display());
    let git = peers::server_git(&repository);
    assert!(call(&git, "git_status", &[&repo_path]).contains("No commits yet"));
    assert!(call(&peers::server_time(), "get_current_time", &["timezone=UTC"]).contains("UTC"));
}
