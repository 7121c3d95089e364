//! The misbehaving server does what its flags say: tests of the gateway rest on that.

use std::process::Command;
use std::time::Duration;

use system_tests::misbehave::{RAW_RESULT, WRONG};
use system_tests::process::Running;

const LIMIT: Duration = Duration::from_secs(10);

fn start(flags: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_misbehave"));
    command.args(flags);
    Running::start(command)
}

fn call(id: &str, tool: &str, arguments: &str) -> String {
    let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#) + "\n"
}

fn answer(id: &str, text: &str) -> String {
    let result = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

#[test]
fn is_correct_without_flags() {
    let server = start(&[]);
    server.write(br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#);
    server.write(b"\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"server/discover\"}\n");
    server.write(call("\"a\"", "echo", r#"{"message":"hi"}"#).as_bytes());
    server.write(call("3", "raw", "{}").as_bytes());
    server.close_stdin();
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    let out = server.stdout();
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].contains(r#""protocolVersion":"2025-11-25""#), "{out}");
    assert!(lines[1].contains("-32601"), "{out}");
    assert_eq!(lines[2], answer("\"a\"", "Echo: hi"));
    assert_eq!(lines[3], format!(r#"{{"jsonrpc":"2.0","id":3,"result":{RAW_RESULT}}}"#));
}

#[test]
fn answers_well_between_all_the_nonsense() {
    let server = start(&[
        "--bad-utf8",
        "--bom",
        "--nul",
        "--lone-surrogate",
        "--unknown-ids",
        "--duplicate-answers",
        "--flood-stdout=10",
        "--giant-line=100000",
        "--glue",
        "--split-writes",
    ]);
    server.write(call("7", "echo", r#"{"message":"hi"}"#).as_bytes());
    assert!(server.wait_for(LIMIT, |out, _| out.contains("duplicate")), "{}", server.stdout());
    let out = server.stdout();
    let good: Vec<_> = out.lines().filter(|line| *line == answer("7", "Echo: hi")).collect();
    assert_eq!(good.len(), 1, "{out}");
    assert!(out.matches(WRONG).count() > 10, "{out}");
    assert!(out.lines().any(|line| line.len() == 100_000));
}

#[test]
fn cancelled_calls_stay_unanswered_unless_told_otherwise() {
    for (flags, late) in [(&[][..], false), (&["--late-after-cancel"][..], true)] {
        let server = start(flags);
        server.write(call("1", "slow", r#"{"ms":60000}"#).as_bytes());
        let cancel =
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        // The call must sleep before it can be woken.
        server.write(call("2", "slow", r#"{"ms":100}"#).as_bytes());
        assert!(server.wait_for(LIMIT, |out, _| out.contains("Slept 100 ms")));
        server.write(format!("{cancel}\n").as_bytes());
        server.write(call("3", "slow", r#"{"ms":100}"#).as_bytes());
        assert!(server.wait_for(LIMIT, |out, _| out.matches("Slept").count() == 2));
        assert_eq!(server.stdout().contains(r#""id":1,"#), late, "{}", server.stdout());
    }
}

#[test]
fn silence_and_death() {
    for flag in ["--no-handshake", "--hang-on-call", "--stop-reading"] {
        let server = start(&[flag, "--lifetime-s=1"]);
        server.write(br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#);
        server.write(b"\n");
        server.write(call("2", "echo", "{}").as_bytes());
        assert!(server.wait(LIMIT).is_some(), "{flag} outlived its lifetime");
        // Without a handshake the call is answered all the same; with one, only the handshake is.
        let out = server.stdout();
        assert_eq!(out.lines().count(), 1, "{flag}: {out}");
        assert_eq!(out.contains("serverInfo"), flag != "--no-handshake", "{out}");
    }
    let server = start(&[]);
    server.write(call("1", "die", r#"{"code":7}"#).as_bytes());
    assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(7));
    let server = start(&["--exit-on-start=3"]);
    assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(3));
}

#[test]
fn stderr_flood_is_as_large_as_asked() {
    let server = start(&["--stderr-flood=1000000"]);
    assert!(server.wait_for(LIMIT, |_, err| err.len() >= 1_000_000));
}
