//! Faults at the command line: files that cannot be used, ports that are taken, readers that leave;
//! and what programs rely on, exit codes and JSON.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "faults_cli/files.rs"]
mod files;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::census::{Marker, VARIABLE};
use system_tests::face::Face;
use system_tests::gateway::{Gateway, mcp_manager, run};
use system_tests::peers;
use system_tests::process::{self, Finished, Running};
use system_tests::raw::{self, Client, Era};
use system_tests::servers::{fleet, fleet_with, managed, misbehave, shell, with_env};
use system_tests::wait::{PATIENCE, see, timed};

const LIMIT: Duration = Duration::from_secs(60);

fn code(finished: &Finished) -> Option<i32> {
    finished.status.and_then(|status| status.code())
}

/// Runs `mcp-manager` in `dir`.
fn run_in(dir: &tempfile::TempDir, args: &[&str]) -> Finished {
    process::run(mcp_manager(dir, args), b"", LIMIT)
}

/// A server that leaves a file called `started` where the manager runs.
fn tattler() -> Value {
    shell("echo > started; exec \"$MISBEHAVE\"")
}

/// One address that is taken, by us.
fn taken() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn fault_43_a_port_in_use_is_named_before_anything_starts() {
    let (_holder, address) = taken();
    let address = address.to_string();
    for ports in [
        ["--listen", &address, "--admin", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--admin", &address],
    ] {
        for json in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let config = fleet([("a", tattler()), ("b", tattler())]).to_string();
            fs::write(dir.path().join("mcp.json"), config).unwrap();
            let json_flag: &[&str] = if json { &["--json"] } else { &[] };
            let refused = run_in(&dir, &[&["up", "mcp.json"], &ports[..], json_flag].concat());
            assert_eq!(code(&refused), Some(1), "{refused:?}");
            assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
            let said = format!("cannot listen on {address}: Address already in use");
            assert!(refused.stderr.contains(&said), "{}", refused.stderr);
            assert!(refused.stderr.contains("--listen and --admin"), "{}", refused.stderr);
            if json {
                let error: Value = serde_json::from_str(&refused.stderr).unwrap();
                assert_eq!(error["error"]["code"], "CANNOT_LISTEN");
            }
            assert!(!dir.path().join("started").exists(), "a server was started");
        }
    }
}

#[test]
fn check_knows_what_a_start_would_find() {
    let (_holder, address) = taken();
    let servers = [
        ("good", misbehave(&[])),
        ("gone", json!({ "command": "/no/such/file" })),
        ("lost", json!({ "command": "sh", "cwd": "/no/such/directory" })),
        ("bare", json!({ "command": "sh", "env": { "TOKEN": "${NOT_SET_HERE}" } })),
        (
            "sick",
            managed(
                misbehave(&[]),
                json!({
                    "healthCheck": "command", "healthCommand": ["/no/such/probe"],
                }),
            ),
        ),
        ("off", json!({ "command": "/no/such/file", "disabled": true })),
    ];
    let manager = json!({ "listen": address.to_string(), "admin": "127.0.0.1:0" });
    let checked = run(&fleet_with(manager, servers).to_string(), &["check", "mcp.json"]);
    assert_eq!(code(&checked), Some(2), "{checked:?}");
    let said = |begin: &str, rest: &str| {
        let lines = checked.stdout.lines();
        lines.filter(|line| line.starts_with(begin) && line.contains(rest)).count()
    };
    for (begin, rest) in [
        ("error: server \"gone\"", "/no/such/file"),
        ("error: server \"lost\"", "/no/such/directory"),
        ("error: mcp.json:", "NOT_SET_HERE"),
        ("warning: server \"sick\"", "/no/such/probe"),
        ("warning: `listen`", &format!("{address}: it is in use now")),
    ] {
        assert_eq!(said(begin, rest), 1, "{begin} {rest}: {}", checked.stdout);
    }
    assert_eq!((said("error", ""), said("warning", "")), (3, 2), "{}", checked.stdout);

    // Warnings do not refuse a file: the port may be that of the manager that runs with it.
    let manager = json!({ "listen": address.to_string() });
    let file = fleet_with(manager, [("good", misbehave(&[]))]).to_string();
    let checked = run(&file, &["check", "mcp.json"]);
    assert_eq!(code(&checked), Some(0), "{checked:?}");
    assert!(checked.stdout.contains("warning: `listen`"), "{}", checked.stdout);
}

#[test]
fn port_0_is_said_as_the_port_that_it_became() {
    let gateway = Gateway::start(&fleet([("a", misbehave(&[])), ("b", misbehave(&[]))]));
    assert!(!gateway.url().contains(":0/") && !gateway.admin().ends_with(":0"));
    assert_eq!(gateway.status()["servers"].as_array().unwrap().len(), 2);
    drop(gateway);

    // The same for programs: the first line says where, the others how each server is doing.
    let config = fleet([("a", misbehave(&[])), ("gone", json!({ "command": "/no/such/file" }))]);
    let gateway = Gateway::start_with(&config, |command| {
        command.arg("--json");
    });
    let events = || {
        let out = gateway.process().stdout();
        let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default());
        lines.collect::<Vec<_>>()
    };
    let is = |event: &Value, name: &str, state: &str| {
        event["event"] == "server" && event["name"] == name && event["state"] == state
    };
    let events = see(PATIENCE, events, |events| {
        let any = |name, state| events.iter().any(|event| is(event, name, state));
        any("a", "ready") && any("gone", "restarting")
    });
    assert_eq!(events[0]["event"], "up");
    assert_eq!(events[0]["endpoint"], gateway.url());
    assert_eq!(events[0]["servers"], 2);
    let status = format!("{}/status", events[0]["admin"].as_str().unwrap());
    assert_eq!(raw::get(&status, &[]).unwrap().status, 200);
    let failed = events.iter().find(|event| is(event, "gone", "restarting")).unwrap();
    assert_eq!(failed["error"]["code"], "COMMAND_NOT_FOUND", "{failed:#}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("/no/such/file"), "{failed:#}");
}

#[test]
fn fault_51_a_reader_that_leaves_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let program = peers::own("mcp-manager");
    let commands = [
        "list --demo",
        "--json list --demo",
        "call calculator/evaluate expression=1+1 --demo",
        "--help",
        "list --help",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        // Nobody reads: every write fails, the first one included.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut nobody = mcp_manager(&dir, &words);
        nobody.stdout(writer).stderr(Stdio::piped()).stdin(Stdio::null());
        let ended = nobody.output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*stderr), (Some(0), ""), "{command}");
        for closed in [">&-", "2>&-", ">&- 2>&- <&-", "| head -1", "| head -c 3"] {
            let mut shell = Command::new("/bin/bash");
            let script = format!("set -o pipefail; \"$0\" {command} {closed}");
            shell.args(["-c", &script]).arg(&program).env("HOME", dir.path());
            let ended = process::run(shell, b"", LIMIT);
            assert_eq!(code(&ended), Some(0), "{script}: {ended:?}");
            assert!(!ended.stderr.contains("panicked"), "{script}: {ended:?}");
        }
    }
}

#[test]
fn fault_51_the_gateway_serves_on_when_nobody_reads_what_it_says() {
    for closed in [">&-", ">&- 2>&-", "| head -1 >/dev/null"] {
        let dir = tempfile::tempdir().unwrap();
        let config = fleet([("a", misbehave(&[])), ("gone", json!({ "command": "/no/such" }))]);
        fs::write(dir.path().join("mcp.json"), config.to_string()).unwrap();
        // It cannot say where it listens, so it is told.
        let (holder, address) = taken();
        drop(holder);
        let marker = Marker::new("unread");
        let mut shell = mcp_manager(&dir, &[]);
        shell = {
            let mut bash = Command::new("/bin/bash");
            bash.current_dir(dir.path()).env("HOME", dir.path()).env(VARIABLE, marker.text());
            let script = format!(
                "echo $$ > pid; \"$0\" up mcp.json --listen {address} --admin 127.0.0.1:0 {closed}"
            );
            bash.args(["-c", &script]).arg(shell.get_program());
            bash
        };
        let running = Running::start(shell);
        let url = format!("http://{address}/mcp");
        see(PATIENCE, || Client::connect(&url, Era::Legacy("2025-11-25")).is_ok(), |up| *up);
        for _ in 0..3 {
            let client = Client::connect(&url, Era::Modern).unwrap();
            let answer = client.call("a__echo", r#"{"message":"hi"}"#).unwrap();
            assert!(answer.result().contains("Echo: hi"), "{closed}: {answer:?}");
            let failing = client.call("gone__echo", "{}").unwrap();
            assert!(failing.error().contains("/no/such"), "{closed}: {failing:?}");
        }
        // The manager is below the shell, and is told to end itself.
        for pid in marker.processes() {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        assert!(running.wait(PATIENCE).is_some(), "{closed}");
        assert!(!running.stderr().contains("panicked"), "{closed}: {}", running.stderr());
        see(PATIENCE, || marker.processes(), |left| left.is_empty());
    }
}

#[test]
fn no_color_means_none() {
    let dir = tempfile::tempdir().unwrap();
    let config = fleet([("gone", json!({ "command": "/no/such/file" })), ("a", misbehave(&[]))]);
    fs::write(dir.path().join("mcp.json"), config.to_string()).unwrap();
    // Only a terminal is shown colours, so there must be one.
    let on_terminal = |name: &str, value: &str| {
        let mut python = peers::python();
        python.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])"]);
        python.arg(peers::own("mcp-manager")).args(["list", "--config", "mcp.json"]);
        python.current_dir(dir.path()).env("HOME", dir.path());
        python.env("MCP_MANAGER_LOG", "warn").env("TERM", "xterm").env(name, value);
        let ended = process::run(python, b"", LIMIT);
        assert!(ended.stdout.contains("/no/such/file"), "{ended:?}");
        ended.stdout.contains('\u{1b}')
    };
    assert!(on_terminal("UNRELATED", "1"), "there is no colour to do without");
    assert!(!on_terminal("NO_COLOR", "1"));
    assert!(!on_terminal("TERM", "dumb"));
}

#[test]
fn exit_codes_and_json_are_what_programs_rely_on() {
    let gone = json!({ "command": "/no/such/file" });
    let config = fleet([("a", misbehave(&[])), ("gone", gone.clone())]).to_string();
    let from = ["--config", "mcp.json"];
    let dead = "http://127.0.0.1:1/mcp";
    let cases: &[(&[&str], i32)] = &[
        (&["call", "a/echo", "message=hi"], 0),
        (&["call", "a__echo", "message=hi"], 0),
        (&["call", "a/raw"], 0),
        (&["call", "a/nothing"], 5),
        (&["call", "nobody/echo"], 5),
        (&["call", "gone/echo"], 4),
        (&["call", "a/echo", "message"], 2),
        (&["call", "a/echo", "=hi"], 2),
        (&["call", "a/echo", "--args-json", "[1]"], 2),
        (&["call", "a/echo", "--args-json", "{\"message\":\"hi\"}"], 0),
        (&["list"], 0),
    ];
    for (words, expected) in cases {
        for json in [&[][..], &["--json"]] {
            let ended = run(&config, &[json, words, &from].concat());
            assert_eq!(code(&ended), Some(*expected), "{words:?}: {ended:?}");
            // Data on stdout, errors on stderr, and each of them JSON when that is asked for.
            let failed = *expected != 0;
            assert_eq!(ended.stdout.is_empty(), failed, "{words:?}: {ended:?}");
            if json.is_empty() {
                continue;
            }
            let lines = ended.stdout.lines().map(serde_json::from_str::<Value>);
            assert!(lines.into_iter().all(|line| line.is_ok()), "{ended:?}");
            if failed {
                let error: Value = serde_json::from_str(&ended.stderr).unwrap();
                assert!(error["error"]["code"].is_string(), "{ended:?}");
                assert!(error["error"]["message"].is_string(), "{ended:?}");
            }
        }
    }
    let list = run(&config, &["--json", "list", "--config", "mcp.json"]);
    let first: Value = serde_json::from_str(list.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["name"], &first["tool"]["name"]), (&json!("a/echo"), &json!("echo")));
    assert!(list.stderr.contains("/no/such/file"), "the rest is said to be missing: {list:?}");
    let call = run(&config, &["--json", "call", "a/echo", "message=hi", "--config", "mcp.json"]);
    let result: Value = serde_json::from_str(&call.stdout).unwrap();
    assert_eq!(result["content"][0]["text"], "Echo: hi");

    let none = fleet([("gone", gone)]).to_string();
    let list = run(&none, &["list", "--config", "mcp.json"]);
    assert_eq!(code(&list), Some(4), "{list:?}");
    let check = run(&none, &["--json", "check", "mcp.json"]);
    let lines: Vec<Value> =
        check.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(code(&check), Some(2), "{check:?}");
    assert_eq!(lines.last(), Some(&json!({ "servers": 1, "errors": 1 })), "{check:?}");
    assert_eq!(lines[0]["severity"], "error");
    for words in [&["list", "--endpoint", dead][..], &["call", "a/echo", "--endpoint", dead]] {
        let ended = run(&none, words);
        assert_eq!(code(&ended), Some(4), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains("127.0.0.1:1"), "{ended:?}");
    }
    for words in [&[][..], &["nonsense"], &["list", "--demo", "--config", "mcp.json"]] {
        assert_eq!(code(&run(&none, words)), Some(2), "{words:?}");
    }
}

#[test]
fn a_running_manager_is_asked_by_the_same_commands() {
    let gateway = Gateway::settled(&fleet([("a", misbehave(&[])), ("b", misbehave(&[]))]));
    let from = ["--endpoint", gateway.url()];
    let list = run("", &[&["list"], &from[..]].concat());
    assert_eq!(code(&list), Some(0), "{list:?}");
    assert!(list.stdout.contains("a__echo") && list.stdout.contains("b__echo"), "{list:?}");
    for tool in ["a/echo", "b__echo"] {
        let call = run("", &[&["call", tool, "message=hi"], &from[..]].concat());
        assert_eq!((code(&call), call.stdout.as_str()), (Some(0), "Echo: hi\n"), "{call:?}");
    }
    for tool in ["nobody/echo", "a/nothing"] {
        let call = run("", &[&["call", tool], &from[..]].concat());
        assert!(matches!(code(&call), Some(4 | 5)), "{call:?}");
    }
}

#[test]
fn the_stdio_face_says_nothing_but_the_protocol_and_leaves_nothing_behind() {
    for busy in [false, true] {
        let marker = Marker::new("face");
        let chatty = shell("echo noise >&2; sleep 600 & exec \"$MISBEHAVE\" --flood-stdout=5");
        let chatty = with_env(chatty, VARIABLE, marker.text());
        let gone = json!({ "command": "/no/such/file" });
        let face = Face::initialized(&fleet([("chatty", chatty), ("gone", gone)]), "{}");
        face.ask("1", "tools/list", "{}");
        let answer = face.ask(
            r#""two""#,
            "tools/call",
            r#"{"name":"chatty__echo","arguments":{"message":"hi"}}"#,
        );
        assert!(answer.contains("Echo: hi"), "{answer}");
        face.process().wait_for(PATIENCE, |_, err| err.contains("gone"));
        if busy {
            let params = r#"{"name":"chatty__slow","arguments":{"ms":600000}}"#;
            face.send(&format!(
                r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{params}}}"#
            ));
        }
        let status = face.close();
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
        assert_eq!(marker.processes(), [].into(), "all were gone before the manager was");
        for line in face.process().stdout().lines() {
            let message: Value = serde_json::from_str(line).unwrap_or_default();
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
        }
        assert!(!face.process().stderr().contains("panicked"));
    }
}

#[test]
fn fault_51_the_stdio_face_ends_by_sigterm_and_without_a_reader() {
    let marker = Marker::new("face-end");
    let server = || with_env(misbehave(&["--many-tools=3000"]), VARIABLE, marker.text());
    let config = fleet([("a", server()), ("b", server())]);
    let face = Face::initialized(&config, "{}");
    face.ask("1", "tools/list", "{}");
    face.process().signal(Signal::TERM);
    let (status, time) = timed(|| face.process().wait(PATIENCE));
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
    assert!(time < Duration::from_secs(8), "{time:?}");
    assert_eq!(marker.processes(), [].into());

    // A client that stops reading in the middle of a list, and then closes its side.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mcp.json"), config.to_string()).unwrap();
    let (mut reader, stdout) = std::io::pipe().unwrap();
    let mut command = mcp_manager(&dir, &["up", "mcp.json", "--stdio"]);
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(command);
    writeln!(stdin, r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"}}"#).unwrap();
    // The list has some 800 kB, of which a pipe holds 64.
    reader.read_exact(&mut [0; 10_000]).unwrap();
    drop(stdin);
    let status = see(PATIENCE, || child.try_wait().unwrap(), Option::is_some);
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
    assert_eq!(marker.processes(), [].into());
}
