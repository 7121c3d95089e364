//! Clients and servers of different eras, neither written here, with the gateway between: each sees
//! all that there is to see, as if the other were of its own era.

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::process::Running;
use system_tests::servers::managed;
use system_tests::tour::{self, Seen};

const START_MAX: Duration = Duration::from_secs(30);
const MODERN: &str = "2026-07-28";

/// What there is to see of server-everything.
fn everything() -> Value {
    let step = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let long = |seconds: u32| json!({ "duration": seconds, "steps": 3 });
    json!({
        "call": step("get-sum", json!({ "a": 2, "b": 3 })),
        "prompt": step("args-prompt", json!({ "city": "Rome" })),
        "read": "demo://resource/dynamic/text/7",
        "sampling": step("trigger-sampling-request", json!({ "prompt": "the answer?" })),
        "elicitation": step("trigger-elicitation-request", json!({})),
        "roots": step("get-roots-list", json!({})),
        "progress": step("trigger-long-running-operation", long(1)),
        "completion": {
            "ref": { "type": "ref/prompt", "name": "completable-prompt" },
            "argument": { "name": "department", "value": "S" },
        },
        "cancel": { "call": step("trigger-long-running-operation", long(120)) },
        "subscribe": {
            "uri": "demo://resource/dynamic/text/1",
            "cause": step("toggle-subscriber-updates", json!({})),
        },
    })
}

fn is_everything(seen: &Seen) {
    assert_eq!(seen.version, MODERN);
    for tool in ["echo", "trigger-sampling-request", "trigger-elicitation-request"] {
        assert!(seen.tools.iter().any(|name| name == tool), "{tool} is among {:?}", seen.tools);
    }
    assert_eq!(seen.prompts.len(), 4, "{:?}", seen.prompts);
    assert!(seen.resources.iter().any(|uri| uri.ends_with("/architecture.md")), "{seen:?}");
    assert_eq!(seen.templates[0], "demo://resource/dynamic/text/{resourceId}");
    assert!(seen.call.contains("The sum of 2 and 3 is 5"), "{}", seen.call);
    assert!(seen.prompt.contains("weather in Rome"), "{}", seen.prompt);
    assert!(seen.read.contains("Resource 7"), "{}", seen.read);
    assert!(seen.sampling.contains("forty-two"), "{}", seen.sampling);
    assert!(seen.elicitation.contains("Alice"), "{}", seen.elicitation);
    assert!(seen.roots.contains("file:///tmp/root"), "{}", seen.roots);
    assert_eq!(seen.progress, [1.0, 2.0, 3.0]);
    assert_eq!(seen.completion, ["Sales", "Support"]);
    assert_eq!(seen.cancelled, "cancelled");
    assert_eq!(seen.updated, "demo://resource/dynamic/text/1");
}

/// Node servers have sessions only; both clients pin the stateless era.
#[test]
fn stateless_clients_see_all_of_node_servers() {
    let remote = Running::start(peers::server_everything_http());
    let mut everything_stdio = peers::server_everything();
    everything_stdio.arg("stdio");
    let gateway = Gateway::settled(&json!({ "mcpServers": {
        "stdio": as_config(&everything_stdio),
        "http": { "url": remote.endpoint(START_MAX) },
    }}));
    for server in ["stdio", "http"] {
        let url = gateway.url_of(server);
        is_everything(&tour::python(&url, MODERN, &everything()));
        is_everything(&tour::typescript(&url, MODERN, &everything()));
    }
}

/// What there is to see of `tests/servers/python_tour.py`; `earlier` calls of its `wait` have been
/// cancelled already.
fn python_tour(earlier: u32) -> Value {
    let step = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let calls = |expect: String| json!({ "call": step("calls", json!({})), "expect": expect });
    json!({
        "call": step("add", json!({ "a": 2, "b": 3 })),
        "prompt": step("plan", json!({ "city": "Rome" })),
        "read": "note://monday",
        "sampling": step("think", json!({})),
        "elicitation": step("greet", json!({})),
        "roots": step("where", json!({})),
        "progress": step("count", json!({ "to": 3 })),
        "completion": {
            "ref": { "type": "ref/prompt", "name": "plan" },
            "argument": { "name": "city", "value": "Par" },
        },
        "cancel": {
            "call": step("wait", json!({})),
            "begun": calls(format!("{} started", earlier + 1)),
            "ended": calls(format!("{} cancelled", earlier + 1)),
        },
        "subscribe": {
            "uri": "note://today",
            "cause": step("write", json!({ "day": "today", "text": "sleep" })),
        },
    })
}

fn is_python_tour(seen: &Seen) {
    assert_eq!(seen.version, "2025-11-25");
    assert_eq!(seen.tools, ["add", "count", "greet", "think", "where", "wait", "calls", "write"]);
    assert_eq!(seen.prompts, ["plan"]);
    assert_eq!(seen.resources, ["note://today"]);
    assert_eq!(seen.templates, ["note://{day}"]);
    assert_eq!(seen.call, "5");
    assert_eq!(seen.prompt, "Plan a day in Rome.");
    assert_eq!(seen.read, "nothing on monday");
    assert_eq!(seen.sampling, "The model thinks: forty-two");
    assert_eq!(seen.elicitation, "Hello, Alice!");
    assert_eq!(seen.roots, "Roots: file:///tmp/root");
    assert_eq!(seen.progress, [1.0, 2.0, 3.0]);
    assert_eq!(seen.completion, ["Paris", "Parma"]);
    assert_eq!(seen.cancelled, "cancelled");
    assert!(seen.ended.is_some(), "the server saw the cancellation");
    assert_eq!(seen.updated, "note://today");
}

/// Python servers speak both eras, so the gateway is told to speak the stateless one to them; both
/// clients open sessions.
#[test]
fn clients_with_sessions_see_all_of_stateless_python_servers() {
    let server = |argument: &str| {
        let mut command = peers::python();
        command.arg(peers::file("servers/python_tour.py")).arg(argument);
        command
    };
    let remote = Running::start(server("http"));
    let modern = || json!({ "protocolEra": "modern" });
    let gateway = Gateway::settled(&json!({ "mcpServers": {
        "stdio": managed(as_config(&server("stdio")), modern()),
        "http": managed(json!({ "url": remote.endpoint(START_MAX) }), modern()),
        "time": managed(as_config(&peers::server_time()), modern()),
    }}));
    for name in ["stdio", "http"] {
        let status = gateway.server(name);
        assert_eq!(status["era"], "modern", "{status:#}");
        let url = gateway.url_of(name);
        is_python_tour(&tour::typescript(&url, "legacy", &python_tour(0)));
        is_python_tour(&tour::python(&url, "legacy", &python_tour(1)));
    }
}
