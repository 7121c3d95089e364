//! Servers that do not die and do not work either, and servers that others start and end: seen
//! without any call, and seen to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet, managed, misbehave};
use system_tests::wait::{PATIENCE, see};

const START_MAX: Duration = Duration::from_secs(30);

/// Asked often, so that the test is short.
fn often() -> Value {
    json!({ "healthInterval": "300ms", "healthTimeout": "300ms", "unhealthyAfter": 2 })
}

fn own_pid(gateway: &Gateway, tool: &str) -> i32 {
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let answer = client.call(tool, "{}").unwrap().value();
    answer["result"]["content"][0]["text"].as_str().unwrap().parse().unwrap()
}

/// How the first replica of a server is, as its checks say.
fn health(gateway: &Gateway, server: &str) -> String {
    let server = gateway.server(server);
    server["replicas"][0]["health"]["state"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_frozen_server_is_found_out_and_started_anew_while_others_are_left_alone() {
    let (frozen, fine) = (managed(misbehave(&[]), often()), managed(misbehave(&[]), often()));
    let gateway = Gateway::settled(&fleet([("frozen", frozen), ("fine", fine)]));
    let (first, other) = (own_pid(&gateway, "frozen__pid"), own_pid(&gateway, "fine__pid"));
    see(PATIENCE, || health(&gateway, "frozen"), |state| state == "healthy");
    kill_process(Pid::from_raw(first).unwrap(), Signal::STOP).unwrap();

    let restarts = || gateway.server("frozen")["restarts"].as_u64();
    see(PATIENCE, restarts, |restarts| *restarts == Some(1));
    see(PATIENCE, || health(&gateway, "frozen"), |state| state == "healthy");
    assert_ne!(own_pid(&gateway, "frozen__pid"), first);
    assert_eq!(own_pid(&gateway, "fine__pid"), other);
    assert_eq!(gateway.server("fine")["restarts"], 0);
}

#[test]
fn a_server_that_only_does_not_know_the_question_is_well() {
    let deaf = managed(misbehave(&["--no-ping"]), often());
    let gateway = Gateway::settled(&fleet([("deaf", deaf), ("fine", misbehave(&[]))]));
    let checks = || gateway.server("deaf")["replicas"][0]["health"]["checks"].as_u64();
    see(PATIENCE, checks, |checks| *checks >= Some(4));
    assert_eq!(health(&gateway, "deaf"), "healthy");
    assert_eq!(gateway.server("deaf")["restarts"], 0);
}

#[test]
fn a_remote_server_that_ends_and_comes_back_is_noticed_without_a_call() {
    let start = |port: &str| {
        let mut command = Command::new(peers::own("conformance-fixture"));
        command.args(["http", "--port", port, "--era", "modern", "--until-stdin-closes"]);
        Running::start(command)
    };
    let first = start("0");
    let url = first.endpoint(START_MAX);
    let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let gateway = Gateway::settled(&fleet([
        ("far", managed(json!({ "url": url }), often())),
        ("b", misbehave(&[])),
    ]));
    see(PATIENCE, || health(&gateway, "far"), |state| state == "healthy");
    first.stop();
    see(PATIENCE, || health(&gateway, "far"), |state| state == "unhealthy" || state == "none");
    let second = start(port);
    second.endpoint(START_MAX);
    gateway.server_in("far", "ready");
    see(PATIENCE, || health(&gateway, "far"), |state| state == "healthy");
}
