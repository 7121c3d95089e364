//! Servers that die, restart or forget their sessions: their clients keep theirs, and notice a
//! delay; or they are told precisely what cannot be known.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rmcp::model::CallToolRequestParams;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use system_tests::census::descendants;
use system_tests::forgetful::Forgetful;
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{Answer, Client, Era};
use system_tests::servers::{fleet, logging, misbehave};
use system_tests::typed;
use system_tests::wait::{PATIENCE, see};

const LEGACY: Era = Era::Legacy("2025-11-25");
const START_MAX: Duration = Duration::from_secs(30);

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// A gateway that knows its servers' tools: of one that it does not know, nobody can say that it is
/// safe to call twice.
fn ready(config: &Value) -> Gateway {
    let gateway = Gateway::settled(config);
    let known = |status: &Value| {
        let servers = status["servers"].as_array().unwrap();
        servers.iter().all(|server| server["tools"].as_u64() > Some(0))
    };
    see(PATIENCE, || gateway.status(), known);
    gateway
}

/// The process that answers this client.
fn pid(client: &Client, tool: &str) -> u32 {
    let answer = client.call(tool, "{}").unwrap().value();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{answer:#}")).parse().unwrap()
}

/// How many of the lines that reached a server contain `text`.
fn count(log: &Path, text: &str) -> usize {
    let all = fs::read_to_string(log).unwrap_or_default();
    all.lines().filter(|line| line.contains(text)).count()
}

fn code(answer: &Answer) -> String {
    answer.value()["error"]["data"]["code"].as_str().unwrap_or_default().to_owned()
}

/// A call of `slow` that is under way, at the server that logs to `log`, when `strike` is called.
fn struck(client: &Client, tool: &str, log: &Path, strike: impl FnOnce()) -> Answer {
    let before = count(log, r#""ms":700"#);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.call(tool, r#"{"ms":700}"#).unwrap());
        see(PATIENCE, || count(log, r#""ms":700"#), |now| *now > before);
        strike();
        waiting.join().unwrap()
    })
}

#[test]
fn fault_01_a_call_that_is_safe_to_repeat_survives_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let config = fleet([("it", logging(&log, &["--stateful"])), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    for (round, era) in [LEGACY, Era::Modern].into_iter().enumerate() {
        let client = Client::connect(gateway.url(), era).unwrap();
        let first = pid(&client, "it__pid");
        let answer = struck(&client, "it__slow", &log, || kill(first));
        assert!(answer.result().contains("Slept 700 ms"), "{era:?}: {answer:?}");
        assert_eq!(count(&log, r#""ms":700"#), 2 * (round + 1), "{era:?}: sent twice, not more");
        assert_ne!(pid(&client, "it__pid"), first);
    }
}

#[test]
fn fault_01_a_call_that_may_do_harm_twice_is_not_repeated_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let config = fleet([("it", logging(&log, &[])), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    for (round, era) in [LEGACY, Era::Modern].into_iter().enumerate() {
        let client = Client::connect(gateway.url(), era).unwrap();
        let first = pid(&client, "it__pid");
        let answer = struck(&client, "it__slow", &log, || kill(first));
        assert_eq!(code(&answer), "SERVER_UNAVAILABLE", "{era:?}: {answer:?}");
        for word in ["SIGKILL", "may have been carried out", "not repeated", "idempotentHint"] {
            assert!(answer.error().contains(word), "{era:?}: no {word:?} in {answer:?}");
        }
        // The next call works, in the same session, and the lost one is not made up for.
        assert_ne!(pid(&client, "it__pid"), first);
        assert_eq!(count(&log, r#""ms":700"#), round + 1, "{era:?}");
    }
}

#[test]
fn fault_26_a_session_that_died_comes_back_with_all_that_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let config = fleet([("it", logging(&log, &["--stateful"])), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let ask = |method: &str, params: &str| {
        let answer = client.request(method, params).unwrap();
        assert_eq!(answer.error(), "", "{answer:?}");
    };
    ask("tools/list", "{}");
    ask("logging/setLevel", r#"{"level":"warning"}"#);
    for uri in ["a", "b", "c"] {
        ask("resources/subscribe", &format!(r#"{{"uri":"it+note:///{uri}"}}"#));
    }
    ask("resources/unsubscribe", r#"{"uri":"it+note:///b"}"#);
    let mut stream = client.listen().unwrap();
    let started = count(&log, r#""initialize""#);
    kill(pid(&client, "it__pid"));

    // Without any call: what it misses would not be noticed by a client that waits for news.
    see(PATIENCE, || count(&log, r#""note:///c""#), |lines| *lines == 2);
    let mut told = Vec::new();
    while told.iter().filter(|line: &&String| line.contains("resources/updated")).count() < 2
        || !told.iter().any(|line| line.contains("tools/list_changed"))
    {
        told.push(stream.message().unwrap().unwrap());
    }
    let all = told.join("\n");
    assert!(all.contains("it+note:///a") && all.contains("it+note:///c"), "{all}");
    assert!(!all.contains("it+note:///b"), "{all}");

    assert_ne!(pid(&client, "it__pid"), 0);
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.contains(r#""initialize""#)).unwrap();
    let after = |text: &str| lines[last..].iter().position(|line| line.contains(text));
    assert_eq!(count(&log, r#""initialize""#), started + 1, "{text}");
    let call = after(r#""pid""#).unwrap();
    for said in [r#""level":"warning""#, r#""note:///a""#, r#""note:///c""#] {
        assert!(after(said).is_some_and(|at| at < call), "{said} before the call: {text}");
    }
    assert_eq!(after(r#""note:///b""#), None, "{text}");
}

/// A server on a port of its own, and the same one again on the same port.
struct Restarting {
    running: Option<Running>,
    start: Box<dyn Fn(u16) -> Command>,
    url: String,
}

impl Restarting {
    fn new(start: impl Fn(u16) -> Command + 'static) -> Self {
        // The system's choice, kept for the second life: nobody else is given it so soon.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let running = Running::start(start(port));
        let url = running.endpoint(START_MAX);
        Self { running: Some(running), start: Box::new(start), url }
    }

    fn port(&self) -> u16 {
        let host = self.url.split('/').nth(2).unwrap();
        host.rsplit(':').next().unwrap().parse().unwrap()
    }

    fn kill(&mut self) {
        let running = self.running.take().unwrap();
        kill(running.pid());
        running.wait(PATIENCE);
    }

    fn restart(&mut self) {
        let running = Running::start((self.start)(self.port()));
        running.endpoint(START_MAX);
        self.running = Some(running);
    }
}

fn fixture(port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-fixture"));
    command.args(["http", "--until-stdin-closes", "--port", &port.to_string()]);
    command
}

fn everything(port: u16) -> Command {
    let mut command = peers::server_everything_http();
    command.env("PORT", port.to_string());
    command
}

#[test]
fn fault_26_an_http_server_that_forgot_its_sessions_is_told_again() {
    // One answers 404 to a session that it does not know, the other 400.
    type Case = (fn(u16) -> Command, &'static str, &'static str, &'static str);
    let cases: [Case; 2] = [
        (fixture, "test_simple_text", "{}", "simple text response"),
        (everything, "echo", r#"{"message":"hi"}"#, "Echo: hi"),
    ];
    for (start, tool, arguments, expected) in cases {
        let mut server = Restarting::new(start);
        let config = fleet([("it", json!({ "url": server.url }))]);
        let gateway = ready(&config);
        let client = Client::connect(gateway.url(), LEGACY).unwrap();
        let call = || client.call(tool, arguments).unwrap();
        assert!(call().result().contains(expected));
        server.kill();
        server.restart();
        let answer = call();
        assert!(answer.result().contains(expected), "{answer:?}");
    }
}

#[test]
fn fault_26_a_call_waits_for_a_server_that_restarts() {
    let mut server = Restarting::new(everything);
    let config = fleet([("it", json!({ "url": server.url })), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let tool = "it__trigger-long-running-operation";
    let params = format!(r#"{{"name":"{tool}","arguments":{{"duration":2,"steps":4}}}}"#);
    let (id, mut reply) = client.open("tools/call", &params, r#""progressToken":"mine""#).unwrap();
    let first = reply.message().unwrap().unwrap();
    assert!(first.contains("notifications/progress"), "{first}");
    // Its stream is asked for again first, and then the call is made again.
    server.kill();
    server.restart();

    let answer = system_tests::raw::until_answer(reply, &id).unwrap();
    assert!(answer.result().contains("Long running operation completed"), "{answer:?}");
    let mut steps = vec![first];
    steps.extend(answer.before);
    let values: Vec<f64> = steps
        .iter()
        .map(|step| {
            let step: Value = serde_json::from_str(step).unwrap();
            assert_eq!(step["params"]["progressToken"], "mine", "{step}");
            step["params"]["progress"].as_f64().unwrap()
        })
        .collect();
    assert!(values.is_sorted_by(|a, b| a < b), "progress goes on: {values:?}");
    gateway.server_in("it", "ready");
}

#[test]
fn fault_21_a_server_that_is_down_is_known_to_be_and_comes_back() {
    let mut server = Restarting::new(fixture);
    let config = fleet([("it", json!({ "url": server.url })), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    for era in [LEGACY, Era::Modern] {
        let client = Client::connect(gateway.url(), era).unwrap();
        let call = || client.call("it__test_simple_text", "{}").unwrap();
        assert!(call().result().contains("simple text"), "{era:?}");
        server.kill();
        let answer = call();
        assert_eq!(code(&answer), "CONNECTION_FAILED", "{era:?}: {answer:?}");
        let failed = gateway.server_in("it", "restarting");
        assert_eq!(failed["error"]["code"], "CONNECTION_FAILED", "{failed:#}");
        server.restart();
        // Another start is not tried within a second of one that failed.
        see(PATIENCE, call, |answer| answer.result().contains("simple text"));
        gateway.server_in("it", "ready");
    }
}

/// Real servers, real process tree: what dies is the server itself, below its shim.
#[test]
fn fault_01_server_everything_killed_in_the_middle_of_a_safe_call() {
    let it = peers::as_config(&peers::server_everything());
    let gateway = ready(&fleet([("it", it), ("other", misbehave(&[]))]));
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let known = descendants(gateway.process().pid());
    assert!(client.call("it__echo", r#"{"message":"hi"}"#).unwrap().result().contains("hi"));
    let own: Vec<u32> = descendants(gateway.process().pid()).difference(&known).copied().collect();
    let tool = "it__trigger-long-running-operation";
    let params = format!(r#"{{"name":"{tool}","arguments":{{"duration":1,"steps":4}}}}"#);
    let (id, mut reply) = client.open("tools/call", &params, r#""progressToken":1"#).unwrap();
    assert!(reply.message().unwrap().unwrap().contains("notifications/progress"));
    kill(*own.last().unwrap());
    let answer = system_tests::raw::until_answer(reply, &id).unwrap();
    assert!(answer.result().contains("Long running operation completed"), "{answer:?}");
}

#[test]
fn fault_26_calls_in_flight_share_one_new_session() {
    let server = Forgetful::start();
    let config = fleet([("it", json!({ "url": server.url() })), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let call = || client.call("it__pay", "{}").unwrap();
    assert!(call().result().contains("paid"));
    let (opened, carried_out) = (server.opened(), server.carried_out());
    server.forget_at(4);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        for call in calls {
            let answer = call.join().unwrap();
            assert!(answer.result().contains("paid"), "{answer:?}");
        }
    });
    assert_eq!((server.opened(), server.carried_out()), (opened + 1, carried_out + 4));
}

#[test]
fn fault_26_a_server_that_knows_no_session_is_asked_twice_and_no_more() {
    let server = Forgetful::start();
    let config = fleet([("it", json!({ "url": server.url() })), ("other", misbehave(&[]))]);
    let gateway = ready(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    server.forget_all();
    let before = server.opened();
    let answer = client.call("it__pay", "{}").unwrap();
    assert_eq!(code(&answer), "CONNECTION_FAILED", "{answer:?}");
    assert!(answer.error().contains("no longer knows the session"), "{answer:?}");
    assert_eq!(server.opened(), before + 2, "the client's own, and the one in its place");
    assert_eq!(server.carried_out(), 0);
}

#[tokio::test]
async fn fault_26_rmcp_keeps_its_session_while_its_server_restarts() {
    let mut server = Restarting::new(everything);
    let gateway = ready(&fleet([("it", json!({ "url": server.url })), ("other", misbehave(&[]))]));
    let client = typed::Client::connect(gateway.url(), typed::Mode::Legacy).await;
    for message in ["before", "after"] {
        let arguments = json!({ "message": message });
        let call = CallToolRequestParams::new("it__echo")
            .with_arguments(arguments.as_object().unwrap().clone());
        let result = client.call_tool(call).await.unwrap();
        assert!(format!("{result:?}").contains(&format!("Echo: {message}")), "{result:?}");
        server.kill();
        server.restart();
    }
}
