//! Faults of the processes behind the gateway: they cannot start, they do not get ready, they stop
//! answering, they will not go away. What goes wrong with one stays with one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use system_tests::census::{Marker, VARIABLE, is_alive};
use system_tests::gateway::Gateway;
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet, logging, managed, misbehave, shell, with_env};
use system_tests::wait::{PATIENCE, see, timed};

const LEGACY: Era = Era::Legacy("2025-11-25");

/// The merged list of tools, as a client of this era sees it.
fn list(gateway: &Gateway, era: Era) -> Value {
    let client = Client::connect(gateway.url(), era).unwrap();
    client.request("tools/list", "{}").unwrap().value()["result"].take()
}

fn names(list: &Value) -> Vec<&str> {
    let tools = list["tools"].as_array().into_iter().flatten();
    tools.filter_map(|tool| tool["name"].as_str()).collect()
}

/// What a list says of a server whose part is missing.
fn missing<'l>(list: &'l Value, server: &str) -> &'l Value {
    let all = list["_meta"]["mcp-manager/missing"].as_array();
    let found = all.into_iter().flatten().find(|one| one["server"] == server);
    found.unwrap_or_else(|| panic!("{server} is not named as missing in {list:#}"))
}

fn assert_echoes(gateway: &Gateway, tool: &str) {
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let answer = client.call(tool, r#"{"message":"hi"}"#).unwrap();
    assert!(answer.result().contains("Echo: hi"), "{answer:?}");
}

fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn fault_18_a_command_that_cannot_start_is_named_precisely() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let plain = file(at, "plain", "#!/bin/sh\nexit 0\n", 0o644);
    let bare = file(at, "bare", "echo no shebang\n", 0o755);
    let windows = file(at, "windows", "#!/bin/sh\r\nexit 0\r\n", 0o755);
    let nowhere = at.join("nowhere");
    let config = fleet([
        ("absent", json!({ "command": at.join("absent") })),
        ("unknown", json!({ "command": "no-such-program-anywhere" })),
        ("plain", json!({ "command": plain })),
        ("directory", json!({ "command": at })),
        ("bare", json!({ "command": bare })),
        ("windows", json!({ "command": windows })),
        ("nowhere", json!({ "command": "/bin/cat", "cwd": nowhere })),
        ("huge", with_env(json!({ "command": "/bin/cat" }), "HUGE", &"x".repeat(200_000))),
        ("fine", misbehave(&[])),
    ]);
    let gateway = Gateway::settled(&config);
    let list = list(&gateway, LEGACY);
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let expected = [
        ("absent", vec![path(&at.join("absent")), "not found".to_owned()]),
        ("unknown", vec!["no-such-program-anywhere".to_owned(), "not found".to_owned()]),
        ("plain", vec![path(&plain), "not an executable".to_owned()]),
        ("directory", vec![path(at), "not an executable".to_owned()]),
        ("bare", vec![path(&bare), "#!".to_owned()]),
        ("windows", vec![path(&windows), r"/bin/sh\r".to_owned()]),
        ("nowhere", vec![path(&nowhere), "directory".to_owned()]),
        ("huge", vec!["environment".to_owned(), "too long".to_owned()]),
    ];
    for (server, words) in expected {
        let status = gateway.server(server);
        assert_eq!(status["state"], "restarting", "{status:#}");
        let missing = missing(&list, server);
        for error in [&status["error"], missing] {
            let message = error["message"].as_str().unwrap();
            let absent = matches!(server, "absent" | "unknown");
            let code = if absent { "COMMAND_NOT_FOUND" } else { "COMMAND_NOT_STARTED" };
            assert_eq!(error["code"], code, "{error:#}");
            assert!(message.contains(&format!("{server:?}")), "{message}");
            for word in &words {
                assert!(message.contains(word), "{server}: no {word:?} in {message:?}");
            }
        }
    }
    assert!(names(&list).contains(&"fine__echo"), "{list:#}");
    assert_echoes(&gateway, "fine__echo");
}

#[test]
fn fault_18_a_server_that_dies_at_once_is_not_started_in_a_storm() {
    let dir = tempfile::tempdir().unwrap();
    let starts = dir.path().join("starts");
    let script = format!("echo start >> {}; echo 'no token given' >&2; exit 7", starts.display());
    let config = fleet([("crasher", shell(&script)), ("fine", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let failed = gateway.server_in("crasher", "restarting");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains('7') && message.contains("no token given"), "{message}");

    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let (before, calls) = (lines(&starts), 100);
    let ((), time) = timed(|| {
        for _ in 0..calls {
            let answer = client.call("crasher__echo", "{}").unwrap();
            assert!(answer.error().contains("SERVER_UNAVAILABLE"), "{answer:?}");
        }
    });
    // An attempt is two starts, since some servers only die of `server/discover`; and there is one
    // attempt a second at most.
    let most = 2 * (usize::try_from(time.as_secs()).unwrap() + 2);
    let started = lines(&starts) - before;
    assert!(started <= most, "{started} starts for {calls} calls in {time:?}");
    assert_echoes(&gateway, "fine__echo");
}

#[test]
fn fault_03_a_server_that_never_shakes_hands_is_ended_with_its_tree() {
    let marker = Marker::new("handshake");
    let stuck = shell("sleep 600 & setsid sleep 600 & \"$MISBEHAVE\" --no-handshake");
    let stuck = managed(with_env(stuck, VARIABLE, marker.text()), json!({ "startTimeout": "1s" }));
    let gateway = Gateway::settled(&fleet([("stuck", stuck), ("fine", misbehave(&[]))]));
    let pid = gateway.process().pid();
    let failed = gateway.server_in("stuck", "restarting");
    assert_eq!(failed["error"]["code"], "TIMEOUT", "{failed:#}");
    see(PATIENCE, || marker.processes(), |left| left.is_empty());

    // Nothing stays open, however often it is tried.
    let before = open_files(pid);
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    for _ in 0..4 {
        let answer = client.call("stuck__echo", "{}").unwrap();
        assert!(answer.error().contains("TIMEOUT"), "{answer:?}");
    }
    see(PATIENCE, || marker.processes(), |left| left.is_empty());
    see(PATIENCE, || open_files(pid), |open| *open <= before);
    assert_echoes(&gateway, "fine__echo");
}

#[test]
fn fault_02_a_frozen_server_delays_nobody_else() {
    let brief = json!({ "listTimeout": "500ms", "callTimeout": "2s" });
    let frozen = managed(misbehave(&[]), brief);
    let gateway = Gateway::settled(&fleet([("frozen", frozen), ("fine", misbehave(&[]))]));
    let pids = gateway.server("frozen")["pids"].clone();
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let own = client.call("frozen__pid", "{}").unwrap().value();
    let own: i32 = own["result"]["content"][0]["text"].as_str().unwrap().parse().unwrap();
    let own = Pid::from_raw(own).unwrap();
    kill_process(own, Signal::STOP).unwrap();

    let (slow, time) = timed(|| list(&gateway, Era::Modern));
    assert_eq!(missing(&slow, "frozen")["code"], "TIMEOUT", "{slow:#}");
    assert!(names(&slow).contains(&"fine__echo") && time < Duration::from_secs(4), "{time:?}");
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| client.call("frozen__echo", "{}").unwrap());
        for _ in 0..20 {
            let ((), time) = timed(|| assert_echoes(&gateway, "fine__echo"));
            assert!(time < Duration::from_secs(2), "{time:?}");
        }
        let answer = hanging.join().unwrap();
        assert!(answer.error().contains("TIMEOUT"), "{answer:?}");
        assert!(answer.error().contains("frozen"), "{answer:?}");
    });

    kill_process(own, Signal::CONT).unwrap();
    assert_echoes(&gateway, "frozen__echo");
    assert_eq!(gateway.server("frozen")["pids"], pids, "it was not restarted");
    let whole = list(&gateway, Era::Modern);
    assert!(names(&whole).contains(&"frozen__echo") && whole["_meta"].is_null(), "{whole:#}");
}

/// A start that takes longer than a list waits goes on, and the client hears when it is over.
#[test]
fn a_slow_start_is_not_begun_again_with_every_list() {
    let dir = tempfile::tempdir().unwrap();
    let starts = dir.path().join("starts");
    let slow = format!("echo start >> {}; sleep 3; exec \"$MISBEHAVE\"", starts.display());
    let slow = managed(shell(&slow), json!({ "listTimeout": "1s" }));
    let gateway = Gateway::settled(&fleet([("slow", slow), ("fine", misbehave(&[]))]));
    gateway.server_in("slow", "ready");
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let mut stream = client.listen().unwrap();
    let list = || client.request("tools/list", "{}").unwrap().value()["result"].take();
    let early = list();
    assert_eq!(missing(&early, "slow")["code"], "TIMEOUT", "{early:#}");
    see(
        PATIENCE,
        || {
            let told = stream.message().unwrap().unwrap_or_default();
            assert!(told.contains("list_changed"), "{told}");
            list()
        },
        |list| names(list).contains(&"slow__echo"),
    );
    assert_eq!(lines(&starts), 2, "one for the manager, one for the client");
}

/// What a stop must not leave behind: a shell between us and the server, a grandchild that left
/// its process group and session, and a server that ends neither with its stdin nor by SIGTERM.
fn stubborn(marker: &Marker) -> Value {
    let script = "trap '' TERM; setsid sleep 600 & sleep 600 & \"$MISBEHAVE\" --ignore-stdin-end";
    with_env(shell(script), VARIABLE, marker.text())
}

/// A gateway with two servers that do not want to end, one of them in a client's session too.
fn with_stubborn_servers(marker: &Marker) -> Gateway {
    let config = fleet([("one", stubborn(marker)), ("two", stubborn(marker))]);
    let gateway = Gateway::settled(&config);
    gateway.server_in("two", "ready");
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let answer = client.call("one__echo", r#"{"message":"hi"}"#).unwrap();
    assert!(answer.result().contains("Echo: hi"), "{answer:?}");
    // Three trees, each of a shim, a shell, a server and two that sleep.
    see(PATIENCE, || marker.processes().len(), |count| *count >= 12);
    gateway
}

#[test]
fn fault_14_no_process_outlives_sigterm() {
    let marker = Marker::new("sigterm");
    let gateway = with_stubborn_servers(&marker);
    gateway.process().signal(Signal::TERM);
    let status = gateway.process().wait(PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
    assert_eq!(marker.processes(), [].into(), "all were gone before the manager was");
}

#[test]
fn fault_39_no_process_outlives_sigkill_of_the_manager() {
    let marker = Marker::new("sigkill");
    let gateway = with_stubborn_servers(&marker);
    gateway.process().signal(Signal::KILL);
    assert!(gateway.process().wait(PATIENCE).is_some());
    see(PATIENCE, || marker.processes(), |left| left.is_empty());
}

#[test]
fn fault_17_a_server_over_its_limit_is_ended_and_says_why() {
    // `tail` keeps all of a line that does not end.
    let greedy = shell("head -c 400000000 /dev/zero | tail & exec \"$MISBEHAVE\"");
    let greedy = managed(greedy, json!({ "maxMemory": "100MiB", "restart": "temporary" }));
    let gateway = Gateway::settled(&fleet([("greedy", greedy), ("modest", misbehave(&[]))]));
    let pids = gateway.server("modest")["pids"].clone();
    let says_why = |server: &Value| {
        let why = server["replicas"][0]["error"]["message"].as_str().unwrap_or_default();
        why.contains("of memory, limit 100.0 MiB")
    };
    see(PATIENCE, || gateway.server("greedy"), says_why);
    assert_echoes(&gateway, "modest__echo");
    assert_eq!(gateway.server("modest")["pids"], pids);
    let limits = &gateway.server("modest")["replicas"][0]["limits"];
    assert_eq!(limits, &json!([]), "it has none");
}

#[test]
fn fault_38_a_second_signal_means_now() {
    let marker = Marker::new("twice");
    let gateway = with_stubborn_servers(&marker);
    let pid = gateway.process().pid();
    gateway.process().signal(Signal::INT);
    // The first one has to be taken note of before the second can be another one: two equal
    // signals that wait are one.
    let refused = || std::net::TcpStream::connect(gateway.url()[7..].trim_end_matches("/mcp"));
    assert!(see(PATIENCE, refused, Result::is_err).is_err());
    gateway.process().signal(Signal::TERM);
    let status = gateway.process().wait(PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(130), "{status:?}");
    assert!(!is_alive(pid));
    see(PATIENCE, || marker.processes(), |left| left.is_empty());
}

#[test]
fn sigterm_does_not_wait_for_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let marker = Marker::new("starting");
    let stuck = with_env(logging(&log, &["--no-handshake"]), VARIABLE, marker.text());
    let gateway = Gateway::start(&fleet([("stuck", stuck), ("fine", misbehave(&[]))]));
    see(PATIENCE, || lines(&log), |count| *count > 0);
    gateway.process().signal(Signal::TERM);
    let (status, time) = timed(|| gateway.process().wait(PATIENCE));
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
    assert!(time < Duration::from_secs(8), "{time:?}");
    assert_eq!(marker.processes(), [].into());
}
