//! Operating a running manager: over the admin port, and by the commands that use it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::gateway::{Gateway, mcp_manager};
use system_tests::operated::Operated;
use system_tests::process::{self, Running};
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet, managed, misbehave, shell};
use system_tests::wait::{PATIENCE, see};

const COMMAND_MAX: Duration = Duration::from_secs(60);

fn call(gateway: &Gateway, server: &str) -> String {
    let client = Client::connect(&gateway.url_of(server), Era::Modern).unwrap();
    let answer = client.call("echo", r#"{"message":"hi"}"#).unwrap();
    answer.value()["result"]["content"][0]["text"].as_str().unwrap_or(&answer.message).to_owned()
}

#[test]
fn servers_are_added_and_removed_while_others_run() {
    let operated = Operated::start(&fleet([("one", misbehave(&[])), ("two", misbehave(&[]))]));
    let gateway = &operated.gateway;
    let pids = gateway.server("one")["pids"].clone();
    let program = system_tests::peers::own("misbehave");
    operated.done(&["add", "three", "--", &program.to_string_lossy()]);
    gateway.server_in("three", "ready");
    assert_eq!(call(gateway, "three"), "Echo: hi");
    let (code, said) = operated.fails(&["add", "three", "--", "true"]);
    assert!(code == 2 && said.contains("already"), "{code}: {said}");
    operated.done(&["rm", "three"]);
    assert_eq!(gateway.server("three"), Value::Null);
    assert_eq!(operated.fails(&["rm", "three"]).0, 5);
    assert_eq!(gateway.server("one")["pids"], pids, "nobody else was touched");
}

#[test]
fn a_server_is_scaled_restarted_stopped_and_started() {
    let operated = Operated::start(&fleet([("one", misbehave(&[])), ("two", misbehave(&[]))]));
    let gateway = &operated.gateway;
    operated.done(&["scale", "one", "3"]);
    let three = see(PATIENCE, || gateway.server("one"), |one| one["replicas_ready"] == 3);
    operated.done(&["scale", "one", "1"]);
    see(PATIENCE, || gateway.server("one"), |one| one["replicas_wanted"] == 1);
    let (code, said) = operated.fails(&["scale", "one", "65"]);
    assert!(code == 2 && said.contains("64"), "{said}");

    operated.done(&["restart", "one"]);
    let restarted = gateway.server_in("one", "ready");
    assert_ne!(restarted["pids"][0], three["pids"][0]);
    operated.done(&["stop", "one"]);
    assert_eq!(gateway.server("one")["state"], "stopped");
    assert!(call(gateway, "one").contains("SERVER_STOPPED"));
    assert_eq!(call(gateway, "two"), "Echo: hi", "the other one goes on");
    operated.done(&["start", "one"]);
    gateway.server_in("one", "ready");
    assert_eq!(call(gateway, "one"), "Echo: hi");
}

#[test]
fn many_at_once_have_one_report() {
    let operated = Operated::start(&fleet([("one", misbehave(&[])), ("two", misbehave(&[]))]));
    let finished = operated.run(&["--json", "stop", "one", "nobody", "two"]);
    assert_eq!(finished.status.and_then(|status| status.code()), Some(5));
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((report["successful"].clone(), report["failed"].clone()), (json!(2), json!(1)));
    let names: Vec<_> = report["results"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["one", "nobody", "two"], "in the order in which they were named");
    assert_eq!(report["results"][1]["error"]["code"], "SERVER_NOT_FOUND");
    operated.done(&["start", "--all"]);
    for name in ["one", "two"] {
        operated.gateway.server_in(name, "ready");
    }
}

#[test]
fn the_log_of_a_server_is_followed_and_not_obeyed() {
    let talks = shell("echo begun >&2; printf '\\033[31mred\\n' >&2; exec \"$MISBEHAVE\"");
    let operated = Operated::start(&fleet([("one", talks)]));
    let file = operated.token_file();
    let mut command = mcp_manager(&operated.home, &["logs", "one", "-f", "--admin"]);
    command.arg(operated.gateway.admin()).arg("--token-file").arg(file);
    let following = Running::start(command);
    assert!(
        following.wait_for(PATIENCE, |out, _| out.contains("begun") && out.contains("[31mred"))
    );
    assert!(!following.stdout().contains('\u{1b}'), "a terminal would obey it");
    operated.done(&["restart", "one"]);
    let twice = |out: &str, _: &str| out.matches("begun").count() == 2;
    assert!(following.wait_for(PATIENCE, twice), "{}", following.stdout());
    following.stop();
    let last = operated.done(&["logs", "one", "-n", "1"]);
    assert_eq!(last.lines().count(), 1);
}

#[test]
fn the_status_says_how_each_replica_is_doing() {
    let one = managed(misbehave(&[]), json!({ "replicas": 2 }));
    let off = managed(shell("exit 3"), json!({ "restartsMax": 1, "restartPeriod": "10s" }));
    let operated = Operated::start(&fleet([("one", one), ("off", off)]));
    see(PATIENCE, || operated.gateway.server("one"), |one| one["replicas_ready"] == 2);
    let table = operated.done(&["status"]);
    assert!(table.contains("SERVER") && table.contains("2/2"), "{table}");
    let server = operated.done(&["status", "one"]);
    assert_eq!(server.matches("pid ").count(), 2, "{server}");
    let parsed: Value = serde_json::from_str(&operated.done(&["--json", "status"])).unwrap();
    assert_eq!(parsed["servers"][1]["replicas"][1]["number"], 1);
    assert_eq!(parsed["config"]["ok"], true);
    let (code, said) = operated.fails(&["status", "onne"]);
    assert!(code == 5 && said.contains("off, one"), "{said}");
}

#[test]
fn a_file_is_read_again_when_told_to() {
    let operated = Operated::start(&json!({
        "mcpServers": { "one": misbehave(&[]) },
        "manager": { "watch": false },
    }));
    let gateway = &operated.gateway;
    assert!(operated.done(&["reload"]).contains("nothing has changed"));
    let config = json!({ "mcpServers": { "two": misbehave(&[]) }, "manager": { "watch": false } });
    std::fs::write(gateway.config_file(), config.to_string()).unwrap();
    let said = operated.done(&["reload"]);
    assert!(said.contains("added: two") && said.contains("removed: one"), "{said}");
    std::fs::write(gateway.config_file(), "{").unwrap();
    let (code, said) = operated.fails(&["reload"]);
    assert!(code == 2 && said.contains("mcp.json:1:"), "{said}");
    assert_eq!(gateway.status()["config"]["ok"], false);
    assert_eq!(call(gateway, "two"), "Echo: hi", "the last good one is in force");
}

#[test]
fn nothing_is_changed_for_who_does_not_show_the_token() {
    let operated = Operated::start(&fleet([("one", misbehave(&[]))]));
    let mode = std::fs::metadata(operated.token_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bearer = format!("Bearer {}", operated.token());
    let wrong = format!("Bearer {}", "0".repeat(64));
    let (stop, json) = ("/servers/one/stop", ("Content-Type", "application/json"));
    for headers in
        [&[json][..], &[json, ("Authorization", &wrong)], &[json, ("Authorization", "x")]]
    {
        let (status, body) = operated.asks("POST", stop, headers, "");
        assert_eq!((status, &body["error"]["code"]), (401, &json!("UNAUTHORIZED")), "{headers:?}");
    }
    let mine = ("Authorization", bearer.as_str());
    for (headers, expected) in [
        (&[json, mine, ("Origin", "https://evil.example")][..], 403),
        (&[json, mine, ("Host", "evil.example")], 403),
    ] {
        assert_eq!(operated.asks("POST", stop, headers, "").0, expected, "{headers:?}");
    }
    assert_eq!(operated.asks("GET", "/servers/one/logs", &[], "").0, 401);
    assert_eq!(operated.asks("GET", stop, &[mine], "").0, 405);
    assert_eq!(operated.asks("POST", "/servers/%2e%2e/stop", &[json, mine], "").0, 404);
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(operated.asks("POST", "/bulk", &[json, mine], &large).0, 413);
    let (status, body) =
        operated.asks("POST", "/servers", &[json, mine], r#"{"mcpServers":{"x":{}}}"#);
    assert_eq!((status, &body["error"]["code"]), (400, &json!("CONFIG_ERROR")));
    assert_eq!(operated.gateway.server("one")["state"], "ready", "through all of it");
    assert_eq!(operated.asks("POST", stop, &[json, mine], "").0, 200);
    assert_eq!(operated.gateway.server("one")["state"], "stopped");

    let other = tempfile::tempdir().unwrap();
    let words = ["stop", "one", "--admin", &operated.gateway.admin()];
    let finished = process::run(mcp_manager(&other, &words), b"", COMMAND_MAX);
    assert_eq!(finished.status.and_then(|status| status.code()), Some(2));
    assert!(finished.stderr.contains("--token-file"), "{}", finished.stderr);
}

#[test]
fn who_is_not_there_is_said_not_to_be() {
    let home = tempfile::tempdir().unwrap();
    for words in [&["status"][..], &["restart", "one"], &["logs", "one"]] {
        let words = [words, &["--admin", "http://127.0.0.1:1"]].concat();
        let finished = process::run(mcp_manager(&home, &words), b"", COMMAND_MAX);
        assert_eq!(finished.status.and_then(|status| status.code()), Some(4), "{words:?}");
        assert!(finished.stderr.contains("mcp-manager up"), "{}", finished.stderr);
    }
}
