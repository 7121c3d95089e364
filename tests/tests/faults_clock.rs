//! A wall clock that jumps, and a machine that sleeps: timeouts are kept in time that passes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet_with, managed, misbehave, shell};
use system_tests::wait::{PATIENCE, pause, see, timed};

const LEGACY: Era = Era::Legacy("2025-11-25");

/// Has a program see the wall clock that `file` says, and time pass as it does.
fn at_clock(command: &mut Command, file: &Path) {
    command.env("LD_PRELOAD", peers::faketime()).env("FAKETIME_TIMESTAMP_FILE", file);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("DONT_FAKE_MONOTONIC", "1");
}

/// The year that a log line begins with.
fn last_year(log: &str) -> Option<i32> {
    let lines = log.lines().rev().filter_map(|line| line.split_once('-')?.0.parse().ok());
    lines.into_iter().find(|year| *year > 2000)
}

#[test]
fn fault_49_a_clock_that_jumps_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = dir.path().join("clock");
    let set = |offset: &str| {
        // Renamed into its place: nobody reads half of it.
        let new = dir.path().join("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &clock).unwrap();
    };
    set("+0");
    // It is called more often than a breaker would let it.
    let block = json!({ "callTimeout": "2s", "breaker": false });
    let hanging = managed(misbehave(&["--hang-on-call"]), block);
    let checked = json!({ "healthInterval": "1s", "callTimeout": "5s" });
    let config = fleet_with(
        json!({ "sessionIdle": "60s" }),
        [
            ("a", managed(misbehave(&["--stateful"]), checked)),
            ("hangs", hanging),
            ("dies", shell("exit 1")),
        ],
    );
    let gateway = Gateway::start_with(&config, |command| {
        at_clock(command, &clock);
        command.env("MCP_MANAGER_LOG", "warn");
    });
    let pids = gateway.server_in("a", "ready")["pids"].clone();
    gateway.server_in("hangs", "ready");
    let session = Client::connect(gateway.url(), LEGACY).unwrap();
    let stateless = Client::connect(gateway.url(), Era::Modern).unwrap();
    let year = see(PATIENCE, || last_year(&gateway.process().stderr()), Option::is_some).unwrap();
    for (offset, difference) in
        [("+1h", 0), ("-1h", 0), ("+400d", 1), ("-400d", -2), ("+4000d", 10), ("+0", 0)]
    {
        std::thread::scope(|scope| {
            let call = |client, tool, arguments| {
                let client: &Client = client;
                scope.spawn(move || timed(|| client.call(tool, arguments).unwrap()))
            };
            let slow = r#"{"ms":1500}"#;
            let calls = [call(&session, "a__slow", slow), call(&stateless, "a__slow", slow)];
            let hangs = call(&stateless, "hangs__echo", "{}");
            pause(Duration::from_millis(500));
            set(offset);
            for call in calls {
                let (answer, _) = call.join().unwrap();
                assert!(answer.result().contains("Slept"), "{offset}: {answer:?}");
            }
            let (answer, time) = hangs.join().unwrap();
            assert!(answer.error().contains("TIMEOUT"), "{offset}: {answer:?}");
            let time = time.as_millis();
            assert!((1900..4000).contains(&time), "{offset}: {time} ms");
        });
        // The manager does see the jump: something is logged at every attempt of one that dies.
        if difference != 0 {
            let attempt = || {
                let _ = stateless.call("dies__x", "{}");
                last_year(&gateway.process().stderr()).unwrap() - year
            };
            see(PATIENCE, attempt, |jumped| (*jumped - difference).abs() <= 1 && *jumped != 0);
        }
    }
    assert_eq!(gateway.server("a")["pids"], pids, "nothing was restarted");
    assert!(session.call("a__echo", r#"{"message":"hi"}"#).unwrap().result().contains("hi"));
    set("-4000d");
    gateway.process().signal(Signal::TERM);
    let (status, time) = timed(|| gateway.process().wait(PATIENCE));
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    assert!(time < Duration::from_secs(8), "{time:?}");
}

/// Stopped and continued, a process finds itself later than it thinks: what was under way goes on.
#[test]
fn fault_49_a_manager_that_slept_goes_on() {
    let health = json!({ "healthInterval": "500ms", "healthTimeout": "500ms" });
    let config = fleet_with(
        json!({}),
        [("a", managed(misbehave(&[]), health.clone())), ("b", managed(misbehave(&[]), health))],
    );
    let gateway = Gateway::settled(&config);
    let pids = gateway.server_in("a", "ready")["pids"].clone();
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let manager = Pid::from_raw(i32::try_from(gateway.process().pid()).unwrap()).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("a__slow", r#"{"ms":1000}"#).unwrap());
        pause(Duration::from_millis(300));
        kill_process(manager, Signal::STOP).unwrap();
        pause(Duration::from_secs(5));
        kill_process(manager, Signal::CONT).unwrap();
        let answer = call.join().unwrap();
        assert!(answer.result().contains("Slept"), "{answer:?}");
    });
    pause(Duration::from_secs(2));
    let server = gateway.server("a");
    assert_eq!((&server["state"], &server["pids"]), (&json!("ready"), &pids), "{server:#}");
}
