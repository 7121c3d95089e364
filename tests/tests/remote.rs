//! Servers that are reached by TCP, and by the HTTP+SSE of 2024-11-05: they do what others do.

use std::process::Command;
use std::time::Duration;

use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use system_tests::gateway::{self, Gateway};
use system_tests::peers;
use system_tests::process::Running;
use system_tests::servers::fleet;
use system_tests::typed::{Client, Mode};
use system_tests::wait::{PATIENCE, see};

const START_MAX: Duration = Duration::from_secs(30);

fn fixture(era: &str) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-fixture"));
    command.args(["tcp", "--until-stdin-closes", "--era", era]);
    let running = Running::start(command);
    let url = running.endpoint(START_MAX);
    (running, url)
}

/// Calls `tool`, and waits until all of this progress was heard. rmcp hands each report to a task of
/// its own, so the last ones may come after the answer.
async fn call_with_progress(client: &Client, tool: &'static str, args: Value, expected: &[f64]) {
    call(client, tool, args).await;
    let heard = || client.service().progress();
    see(PATIENCE, heard, |heard| expected.iter().all(|report| heard.contains(report)));
}

/// A tool's text.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> String {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    let result = client.call_tool(request).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
    let texts = result.content.iter().filter_map(|content| content.as_text());
    texts.map(|text| text.text.as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_tcp_in_both_eras() {
    for (era, mode) in [("legacy", Mode::Legacy), ("modern", Mode::Modern)] {
        let (_fixture, url) = fixture(era);
        let port = url.trim_start_matches("tcp://").to_owned();
        let servers = [("url", json!({ "url": url })), ("tcp", json!({ "tcp": port }))];
        let gateway = Gateway::settled(&fleet(servers));
        for name in ["url", "tcp"] {
            let status = gateway.server(name);
            assert_eq!((&status["transport"], &status["era"]), (&json!("tcp"), &json!(era)));
            let client = Client::connect(&gateway.url_of(name), mode).await;
            let said = call(&client, "greet", json!({ "name": "you" })).await;
            assert_eq!(said, "Hello, you!");
            let progress = [0.0, 50.0, 100.0];
            call_with_progress(&client, "test_tool_with_progress", json!({}), &progress).await;
            if era == "legacy" {
                let said = call(&client, "test_sampling", json!({ "prompt": "?" })).await;
                assert!(said.contains("The model says so."), "{said}");
                let said = call(&client, "test_elicitation", json!({ "message": "?" })).await;
                assert!(said.contains("action=accept"), "{said}");
            }
        }
        // Together they are one server.
        let all = Client::connect(gateway.url(), mode).await;
        let said = call(&all, "tcp__greet", json!({ "name": "all" })).await;
        assert_eq!(said, "Hello, all!");
    }
}

#[test]
fn a_tcp_server_that_is_not_there_is_named_with_its_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let config = fleet([("gone", json!({ "tcp": address }))]);
    let gateway = Gateway::settled(&config);
    let status = gateway.server_in("gone", "restarting").to_string();
    assert!(status.contains("CONNECTION_FAILED") && status.contains(&address), "{status}");
    assert!(status.contains("is the server running"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tcp_server_that_ends_is_unavailable_until_it_is_back() {
    let (running, url) = fixture("legacy");
    let gateway = Gateway::settled(&fleet([("a", json!({ "url": url }))]));
    running.close_stdin();
    let status = gateway.server_in("a", "restarting").to_string();
    assert!(status.contains("SERVER_UNAVAILABLE"), "{status}");
}

/// With `type`, and without: then by the fallback that the specification asks of clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_over_http_and_sse() {
    let everything = Running::start(peers::server_everything_sse());
    let url = everything.endpoint(START_MAX).replace("/mcp", "/sse");
    let gateway = Gateway::settled(&fleet([
        ("typed", json!({ "type": "sse", "url": url })),
        ("guessed", json!({ "url": url })),
        ("wrong", json!({ "type": "http", "url": url })),
    ]));
    assert_eq!(gateway.server("wrong")["state"], "restarting");
    for (name, transport) in [("typed", "sse"), ("guessed", "http")] {
        let status = gateway.server(name);
        assert_eq!(status["state"], "ready", "{status:#}");
        let found = (&status["transport"], &status["era"]);
        assert_eq!(found, (&json!(transport), &json!("legacy")));
        let client = Client::connect(&gateway.url_of(name), Mode::Legacy).await;
        let tools = client.list_all_tools().await.unwrap();
        assert!(tools.iter().any(|tool| tool.name == "trigger-sampling-request"), "{tools:?}");
        let said = call(&client, "echo", json!({ "message": "hi" })).await;
        assert_eq!(said, "Echo: hi");
        let long = json!({ "duration": 1, "steps": 3 });
        let tool = "trigger-long-running-operation";
        call_with_progress(&client, tool, long, &[1.0, 2.0, 3.0]).await;
        let said = call(&client, "trigger-sampling-request", json!({ "prompt": "?" })).await;
        assert!(said.contains("The model says so."), "{said}");
        let said = call(&client, "get-roots-list", json!({})).await;
        assert!(said.contains("file:///"), "{said}");
    }
    // A stateless client sees the same server.
    let client = Client::connect(&gateway.url_of("typed"), Mode::Modern).await;
    assert_eq!(call(&client, "echo", json!({ "message": "hi" })).await, "Echo: hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_server_over_http_and_sse() {
    let mut command = peers::python();
    command.arg(peers::file("servers/python_tour.py")).arg("sse");
    let python = Running::start(command);
    let url = python.endpoint(START_MAX);
    let gateway = Gateway::settled(&fleet([
        ("typed", json!({ "type": "sse", "url": url })),
        ("guessed", json!({ "url": url })),
    ]));
    for name in ["typed", "guessed"] {
        let status = gateway.server(name);
        assert_eq!(status["state"], "ready", "{status:#}");
        let client = Client::connect(&gateway.url_of(name), Mode::Legacy).await;
        assert_eq!(call(&client, "add", json!({ "a": 2, "b": 3 })).await, "5");
        let to = json!({ "to": 3 });
        call_with_progress(&client, "count", to, &[1.0, 2.0, 3.0]).await;
        let said = call(&client, "think", json!({})).await;
        assert!(said.contains("The model says so."), "{said}");
        let said = call(&client, "greet", json!({})).await;
        assert!(said.starts_with("Hello, "), "{said}");
    }
}

/// Not everything at a URL is a server: the fallback hides nothing of what was wrong.
#[test]
fn a_url_without_a_server_says_what_it_answered() {
    let everything = Running::start(peers::server_everything_sse());
    let url = everything.endpoint(START_MAX).replace("/mcp", "/nothing");
    let config = fleet([("a", json!({ "url": url }))]).to_string();
    let finished = gateway::run(&config, &["list", "--config", "mcp.json"]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("HTTP status 404"), "{said}");
}
