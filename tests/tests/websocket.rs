//! WebSocket on both sides of the gateway, with peers that nobody here wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rmcp::model::CallToolRequestParams;
use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::process::Running;
use system_tests::raw::{self, Client, Era, MODERN, Socket};
use system_tests::servers::{fleet, fleet_with, logging, managed, misbehave};
use system_tests::tour;
use system_tests::typed::{self, Mode};
use system_tests::wait::{PATIENCE, see};

const START_MAX: Duration = Duration::from_secs(30);
const LEGACY: Era = Era::Legacy("2025-11-25");

/// The fixture over WebSocket, in one era or both.
fn fixture(era: &str) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-fixture"));
    command.args(["ws", "--until-stdin-closes", "--era", era]);
    let running = Running::start(command);
    let url = running.endpoint(START_MAX);
    (running, url)
}

fn step(name: &str, arguments: Value) -> Value {
    json!({ "name": name, "arguments": arguments })
}

fn websocket(url: &str) -> String {
    url.replacen("http://", "ws://", 1)
}

/// What a client that other people wrote sees over WebSocket, of a server over stdio.
#[test]
fn the_typescript_client_sees_all_of_a_legacy_server_over_websocket() {
    let mut everything = peers::server_everything();
    everything.arg("stdio");
    let gateway = Gateway::settled(&fleet([("everything", as_config(&everything))]));
    let url = websocket(&gateway.url_of("everything"));
    let long = |seconds: u32| json!({ "duration": seconds, "steps": 3 });
    let seen = tour::typescript(
        &url,
        "legacy",
        &json!({
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
        }),
    );
    assert!(seen.call.contains("The sum of 2 and 3 is 5"), "{}", seen.call);
    assert!(seen.sampling.contains("forty-two"), "{}", seen.sampling);
    assert!(seen.elicitation.contains("Alice"), "{}", seen.elicitation);
    assert!(seen.roots.contains("file:///tmp/root"), "{}", seen.roots);
    // What comes in the same moment as the answer, this client has no ear for any more.
    assert!([1.0, 2.0, 3.0].starts_with(&seen.progress) && !seen.progress.is_empty());
    assert_eq!(seen.cancelled, "cancelled");
    assert_eq!(seen.updated, "demo://resource/dynamic/text/1");
}

/// The same in the stateless era.
#[test]
fn the_typescript_client_sees_all_of_a_modern_server_over_websocket() {
    let mut python = peers::python();
    python.arg(peers::file("servers/python_tour.py")).arg("stdio");
    let python = managed(as_config(&python), json!({ "protocolEra": "modern" }));
    let gateway = Gateway::settled(&fleet([("python", python)]));
    let url = websocket(&gateway.url_of("python"));
    let calls = |expect: &str| json!({ "call": step("calls", json!({})), "expect": expect });
    let seen = tour::typescript(
        &url,
        MODERN,
        &json!({
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
                "begun": calls("1 started"),
                "ended": calls("1 cancelled"),
            },
            "subscribe": {
                "uri": "note://today",
                "cause": step("write", json!({ "day": "today", "text": "sleep" })),
            },
        }),
    );
    assert_eq!(seen.version, MODERN);
    assert_eq!(seen.call, "5");
    assert_eq!(seen.sampling, "The model thinks: forty-two");
    assert_eq!(seen.elicitation, "Hello, Alice!");
    assert!([1.0, 2.0, 3.0].starts_with(&seen.progress) && !seen.progress.is_empty());
    assert!(seen.ended.is_some(), "the server saw the cancellation");
    assert_eq!(seen.updated, "note://today");
}

/// supergateway turns a stdio server into a WebSocket server. It gives requests ids of its own, and
/// sends what belongs to none to every client.
#[test]
fn a_server_behind_supergateway_is_one_of_the_fleet() {
    let mut everything = peers::server_everything();
    everything.arg("stdio");
    let supergateway = Running::start(peers::supergateway(&everything));
    let url = websocket(&supergateway.endpoint(START_MAX));
    let config = fleet([("remote", json!({ "type": "websocket", "url": url }))]);
    let gateway = Gateway::settled(&config);
    let server = gateway.server("remote");
    assert_eq!(
        (&server["state"], &server["era"]),
        (&json!("ready"), &json!("legacy")),
        "{server:#}"
    );
    assert_eq!(server["transport"], "ws", "{server:#}");

    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let answer = client.call("echo", r#"{"message":"ahoy"}"#).unwrap();
    assert_eq!(answer.value()["result"]["content"][0]["text"], "Echo: ahoy", "{answer:?}");
    let params =
        r#"{"name":"trigger-long-running-operation","arguments":{"duration":0.3,"steps":3}}"#;
    let answer =
        client.request_with_meta("tools/call", params, r#""progressToken":"mine""#).unwrap();
    assert!(answer.result().contains("completed"), "{answer:?}");
    let progress: Vec<Value> =
        answer.before.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    let steps: Vec<_> = progress.iter().map(|it| &it["params"]["progress"]).collect();
    assert_eq!(steps, [1, 2, 3], "{answer:?}");
    assert!(progress.iter().all(|it| it["params"]["progressToken"] == "mine"), "{answer:?}");
}

/// Each era as it is: a legacy server opens a session for each client, a modern one has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_both_eras_are_asked_and_ask_over_websocket() {
    let (_legacy, legacy) = fixture("legacy");
    let (_modern, modern) = fixture("modern");
    let servers = [("old", json!({ "url": legacy })), ("new", json!({ "url": modern }))];
    let gateway = tokio::task::spawn_blocking(move || Gateway::settled(&fleet(servers)));
    let gateway = gateway.await.unwrap();
    for (server, era) in [("old", "legacy"), ("new", "modern")] {
        assert_eq!(gateway.server(server)["era"], era, "{:#}", gateway.server(server));
    }
    let sampling = CallToolRequestParams::new("test_sampling")
        .with_arguments(json!({ "prompt": "?" }).as_object().unwrap().clone());
    let rounds = CallToolRequestParams::new("test_input_required_result_sampling");
    for (server, mode, call) in [("old", Mode::Legacy, sampling), ("new", Mode::Modern, rounds)] {
        let client = typed::Client::connect(&gateway.url_of(server), mode).await;
        let answer = client.call_tool(call).await.unwrap();
        let text = &answer.content[0].as_text().unwrap().text;
        assert!(text.contains("The model says so."), "{server}: {text}");
    }
}

/// WebSocket to WebSocket, byte for byte: content, progress in order, a question back.
#[test]
fn raw_frames_in_both_eras_through_websocket_on_both_sides() {
    for era in [LEGACY, Era::Modern] {
        let (_fixture, url) = fixture(if era == LEGACY { "legacy" } else { "modern" });
        let gateway = Gateway::settled(&fleet([("fixture", json!({ "url": url }))]));
        let capabilities = r#"{"sampling":{}}"#;
        let mut socket = match era {
            Era::Legacy(_) => Socket::initialized(gateway.url(), capabilities).unwrap(),
            Era::Modern => Socket::connect(gateway.url()).unwrap(),
        };
        // The frame holds line breaks, as a person might write it.
        let greet = socket.call(era, "1", "greet", "{\"name\":\n\"caf\\u00e9\"\r\n}").unwrap();
        assert!(greet.result().contains("Hello, café!"), "{greet:?}");
        let slow = socket.call(era, "\"2\"", "test_tool_with_progress", "{}").unwrap();
        let progress: Vec<Value> =
            slow.before.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
        let steps: Vec<_> = progress.iter().map(|it| it["params"]["progress"].as_f64()).collect();
        assert_eq!(steps, [Some(0.0), Some(50.0), Some(100.0)], "{slow:?}");
        assert!(progress.iter().all(|it| it["params"]["progressToken"] == "2"), "{slow:?}");

        if era == LEGACY {
            let params = r#"{"name":"test_sampling","arguments":{"prompt":"?"}}"#;
            socket.begin("3", "tools/call", params).unwrap();
            let question: Value = serde_json::from_str(&socket.receive().unwrap()).unwrap();
            assert_eq!(question["method"], "sampling/createMessage");
            let model =
                r#"{"role":"assistant","model":"m","content":{"type":"text","text":"yes"}}"#;
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{model}}}"#, question["id"]);
            socket.send(&answer).unwrap();
            let answer = socket.answer("3").unwrap();
            assert!(answer.result().contains("LLM response: yes"), "{answer:?}");
        }
        assert_eq!(gateway.status()["sessions"], 1);
        assert_eq!(socket.close(), Some((1000, String::new())));
        see(PATIENCE, || gateway.status(), |status| status["sessions"] == 0);
    }
}

/// A gateway in front of a server that never answers a call and writes down what reaches it, and of
/// one that does what it should.
struct Watched {
    gateway: Gateway,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Watched {
    fn start(manager: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let servers = [("hangs", logging(&log, &["--hang-on-call"])), ("fine", misbehave(&[]))];
        let gateway = Gateway::start_with(&fleet_with(manager, servers), |command| {
            command.env("MCP_MANAGER_LOG", "warn");
        });
        for server in ["hangs", "fine"] {
            gateway.server_in(server, "ready");
        }
        Self { gateway, log, _dir: dir }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A client whose call the server has and does not answer.
    fn hanging(&self) -> Socket {
        let before = self.log().matches("tools/call").count();
        let mut socket = Socket::initialized(self.gateway.url(), "{}").unwrap();
        let params = r#"{"name":"hangs__echo","arguments":{"message":"x"}}"#;
        socket.begin("1", "tools/call", params).unwrap();
        see(PATIENCE, || self.log(), |log| log.matches("tools/call").count() > before);
        socket
    }

    fn cancellations(&self) -> usize {
        self.log().matches("notifications/cancelled").count()
    }
}

#[test]
fn fault_30_a_client_that_goes_takes_its_calls_along() {
    let watched = Watched::start(json!({}));
    let vanishing = watched.hanging();
    drop(vanishing);
    see(PATIENCE, || watched.cancellations(), |seen| *seen == 1);
    let closing = watched.hanging();
    assert_eq!(closing.close(), Some((1000, String::new())));
    see(PATIENCE, || watched.cancellations(), |seen| *seen == 2);
    see(PATIENCE, || watched.gateway.status(), |status| status["sessions"] == 0);
}

/// Whoever cancels or leaves frees the server, over WebSocket on both sides and in both eras.
#[test]
fn a_cancellation_is_seen_by_a_server_behind_websocket() {
    for (era, name) in [(LEGACY, "legacy"), (Era::Modern, "modern")] {
        let (_fixture, url) = fixture(name);
        let gateway = Gateway::settled(&fleet([("fixture", json!({ "url": url }))]));
        for says in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("seen");
            let written = || std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
            let mut socket = match era {
                Era::Legacy(_) => Socket::initialized(gateway.url(), "{}").unwrap(),
                Era::Modern => Socket::connect(gateway.url()).unwrap(),
            };
            let arguments = json!({ "file": file }).to_string();
            socket.begin_call(era, "7", "wait_until_cancelled", &arguments).unwrap();
            see(PATIENCE, written, |lines| *lines == 1);
            if says {
                let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
                socket.send(cancel).unwrap();
            } else {
                drop(socket);
            }
            see(PATIENCE, written, |lines| *lines == 2);
        }
    }
}

#[test]
fn a_client_cancels_by_notification() {
    let watched = Watched::start(json!({}));
    let mut socket = watched.hanging();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    socket.send(cancel).unwrap();
    see(PATIENCE, || watched.cancellations(), |seen| *seen == 1);
    let answer = socket.call(LEGACY, "2", "fine__echo", r#"{"message":"still here"}"#).unwrap();
    assert!(answer.result().contains("still here"), "{answer:?}");
    assert!(answer.before.is_empty(), "a cancelled call has no answer: {answer:?}");
}

/// A client that asks for much and reads nothing is let go of, and its calls with it; another one
/// is not touched by that.
#[test]
fn fault_27_a_client_that_does_not_read_is_let_go_of_alone() {
    let watched = Watched::start(json!({}));
    let mut other = Socket::initialized(watched.gateway.url(), "{}").unwrap();
    let mut slow = watched.hanging();
    let big = "x".repeat(1 << 20);
    for id in 2..200 {
        let params = format!(r#"{{"name":"fine__echo","arguments":{{"message":"{big}"}}}}"#);
        // Once it has been let go of, nobody takes what it sends.
        if slow.begin(&id.to_string(), "tools/call", &params).is_err() {
            break;
        }
        let answer = other.call(LEGACY, "1", "fine__echo", r#"{"message":"mine"}"#).unwrap();
        assert!(answer.result().contains("mine"), "{answer:?}");
        if watched.cancellations() > 0 {
            break;
        }
    }
    see(PATIENCE, || watched.cancellations(), |seen| *seen == 1);
    see(PATIENCE, || watched.gateway.status(), |status| status["sessions"] == 1);
    let answer = other.call(LEGACY, "2", "fine__echo", r#"{"message":"mine"}"#).unwrap();
    assert!(answer.result().contains("mine"), "{answer:?}");
    let process = watched.gateway.process();
    assert!(process.wait_for(PATIENCE, |_, err| err.contains("does not read what it is sent")));
}

fn upgrade(url: &str, headers: &[(&str, &str)]) -> raw::Reply {
    let usual = [
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "chat, mcp"),
    ];
    let given = |name: &str| headers.iter().any(|(other, _)| name.eq_ignore_ascii_case(other));
    let usual = usual.into_iter().filter(|(name, _)| !given(name));
    let headers = headers.iter().copied().filter(|(_, value)| !value.is_empty());
    let headers: Vec<_> = usual.chain(headers).collect();
    raw::exchange(url, &raw::request("GET", url, &headers, b"")).unwrap()
}

/// A header with an empty value is left out.
#[test]
fn fault_31_only_who_calls_us_by_name_and_in_our_words_gets_a_websocket() {
    let gateway = Gateway::settled(&fleet([("fine", misbehave(&[]))]));
    let accepted = upgrade(gateway.url(), &[]);
    assert_eq!(accepted.status, 101);
    assert_eq!(accepted.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(accepted.header("sec-websocket-protocol"), Some("mcp"));
    drop(accepted);
    let refusals = [
        (("Host", "evil.example"), 403),
        (("Origin", "https://evil.example"), 403),
        (("Origin", "null"), 403),
        (("Sec-WebSocket-Protocol", ""), 400),
        (("Sec-WebSocket-Protocol", "chat"), 400),
        (("Sec-WebSocket-Key", ""), 400),
        (("Sec-WebSocket-Key", "short"), 400),
        (("Connection", "keep-alive"), 400),
        (("Sec-WebSocket-Version", "8"), 426),
        (("Sec-WebSocket-Version", ""), 426),
    ];
    for (header, status) in refusals {
        let refused = upgrade(gateway.url(), &[header]);
        assert_eq!(refused.status, status, "{header:?}");
        assert!(status != 426 || refused.header("sec-websocket-version") == Some("13"));
        assert!(!refused.text().unwrap().is_empty(), "{header:?}: a reason");
    }
    assert_eq!(upgrade(&gateway.url_of("nobody"), &[]).status, 404);
    let allowed = upgrade(gateway.url(), &[("Origin", "http://localhost:3000")]);
    assert_eq!(allowed.status, 101);
    see(PATIENCE, || gateway.status(), |status| status["sessions"] == 1);
    drop(allowed);
    see(PATIENCE, || gateway.status(), |status| status["sessions"] == 0);
}

#[test]
fn sessions_over_websocket_count_against_the_same_limit() {
    let manager = json!({ "maxSessions": 2 });
    let gateway = Gateway::settled(&fleet_with(manager, [("fine", misbehave(&[]))]));
    let first = Socket::initialized(gateway.url(), "{}").unwrap();
    let second = Client::connect(gateway.url(), LEGACY).unwrap();
    let refused = upgrade(gateway.url(), &[]);
    assert_eq!(refused.status, 503);
    assert!(refused.text().unwrap().contains("MAX_SESSIONS_REACHED"));
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
    assert_eq!(raw::post(gateway.url(), &[], initialize).unwrap().status, 503);
    first.close();
    see(PATIENCE, || gateway.status(), |status| status["sessions"] == 1);
    Socket::initialized(gateway.url(), "{}").unwrap().close();
    drop(second);
}

#[test]
fn what_breaks_the_rules_is_closed_with_the_code_for_it() {
    let manager = json!({ "maxFrameBytes": "64KiB" });
    let gateway = Gateway::settled(&fleet_with(manager, [("fine", misbehave(&[]))]));
    let mut socket = Socket::initialized(gateway.url(), "{}").unwrap();
    let nonsense = socket.send("no JSON").and_then(|()| socket.receive()).unwrap();
    assert!(nonsense.contains("-32700"), "{nonsense}");
    let long = "x".repeat(1 << 20);
    let _ = socket.send(&long);
    let (code, reason) = socket.closed().expect("a close that says why");
    assert_eq!(code, 1009, "{reason}");
}

/// Fault 38: calls in flight are answered, then the client is told that we go.
#[test]
fn a_stop_lets_calls_finish_and_says_goodbye() {
    let (_fixture, url) = fixture("legacy");
    let gateway = Gateway::settled(&fleet([("fixture", json!({ "url": url }))]));
    let mut socket = Socket::initialized(gateway.url(), r#"{"sampling":{}}"#).unwrap();
    let params = r#"{"name":"test_sampling","arguments":{"prompt":"?"}}"#;
    socket.begin("1", "tools/call", params).unwrap();
    let question: Value = serde_json::from_str(&socket.receive().unwrap()).unwrap();
    gateway.process().signal(Signal::TERM);
    // A new request is refused as soon as the gateway stops; the old one is still answered.
    let mut id = 1;
    loop {
        id += 1;
        let refused = socket.ask(&id.to_string(), "ping", "{}").unwrap();
        if refused.error().contains("shutting down") {
            break;
        }
        assert_eq!(refused.result(), "{}", "{refused:?}");
    }
    let model = r#"{"role":"assistant","model":"m","content":{"type":"text","text":"yes"}}"#;
    socket
        .send(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{model}}}"#, question["id"]))
        .unwrap();
    let answer = socket.answer("1").unwrap();
    assert!(answer.result().contains("LLM response: yes"), "{answer:?}");
    let (code, reason) = socket.closed().expect("a close that says why");
    assert_eq!((code, reason.as_str()), (1001, "the gateway is shutting down"));
    let ended = gateway.process().wait(PATIENCE).unwrap();
    assert!(ended.success(), "{ended:?}");
}

#[test]
fn a_server_that_goes_fails_its_calls_and_says_how() {
    let (server, url) = fixture("legacy");
    let gateway = Gateway::settled(&fleet([("fixture", json!({ "url": url }))]));
    let mut socket = Socket::initialized(gateway.url(), r#"{"sampling":{}}"#).unwrap();
    let params = r#"{"name":"test_sampling","arguments":{"prompt":"?"}}"#;
    socket.begin("1", "tools/call", params).unwrap();
    assert!(socket.receive().unwrap().contains("sampling/createMessage"));
    server.signal(Signal::KILL);
    let failed = socket.answer("1").unwrap();
    assert_eq!(failed.value()["error"]["data"]["code"], "SERVER_UNAVAILABLE", "{failed:?}");
    assert!(failed.error().contains("WebSocket"), "{failed:?}");
}
