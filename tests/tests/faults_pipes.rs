//! Faults of a server's pipes: it reads nothing any more, or writes to stderr without end, and what
//! nobody may see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use system_tests::census::{is_alive, peak_mib};
use system_tests::gateway::Gateway;
use system_tests::process;
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet, managed, misbehave, shell, with_env};
use system_tests::wait::{PATIENCE, pause, see, timed};

const TOKEN: &str = "sk-a1b2c3d4e5f6";

fn echoes(client: &Client, tool: &str) -> Duration {
    let (answer, time) = timed(|| client.call(tool, r#"{"message":"hi"}"#).unwrap());
    assert!(answer.result().contains("Echo: hi"), "{answer:?}");
    time
}

#[test]
fn fault_04_a_server_that_reads_nothing_is_given_up() {
    let stuck = managed(misbehave(&["--stop-reading"]), json!({ "callTimeout": "100s" }));
    let gateway = Gateway::settled(&fleet([("stuck", stuck), ("fine", misbehave(&[]))]));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let pid = gateway.server("stuck")["pids"][0].as_u64().unwrap();
    let pid = u32::try_from(pid).unwrap();
    let large = format!(r#"{{"message":"{}"}}"#, "x".repeat(500_000));
    let answers = Mutex::new(Vec::new());
    let said = |code: &str| {
        let answers: std::sync::MutexGuard<'_, Vec<String>> = answers.lock().unwrap();
        answers.iter().find(|answer| answer.contains(code)).cloned()
    };
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let Ok(answer) = client.call("stuck__echo", &large) else { return };
                answers.lock().unwrap().push(answer.error().to_owned());
            });
        }
        // 8 MB do not fit into the 4 MiB that may wait: the rest is refused, and nobody waits.
        let refused = see(PATIENCE, || said("MAX_OVERFLOW_REACHED"), Option::is_some).unwrap();
        assert!(refused.contains(r#""server":"stuck""#), "{refused}");
        assert!(is_alive(pid), "it is not given up at once");
        for _ in 0..20 {
            assert!(echoes(&client, "fine__echo") < Duration::from_secs(2));
        }
        assert!(peak_mib(gateway.process().pid()) < 150);
        // It is given up 30 s after it has read the last byte.
        let given_up = || said("SERVER_UNAVAILABLE");
        let lost = see(Duration::from_secs(50), given_up, Option::is_some).unwrap();
        assert!(lost.contains("nothing of what was sent was read for 30s"), "{lost}");
        see(PATIENCE, || is_alive(pid), |alive| !alive);
        echoes(&client, "fine__echo");
        gateway.process().stop();
    });
}

#[test]
fn fault_13_a_flood_on_stderr_costs_a_bound_of_memory() {
    // It serves when all of it was taken.
    let flood = "yes 'what nobody wants to know' | head -c 1000000000 >&2; exec \"$MISBEHAVE\"";
    let flood = shell(flood);
    let flood = managed(flood, json!({ "startTimeout": "120s" }));
    let gateway = Gateway::start(&fleet([("flood", flood), ("fine", misbehave(&[]))]));
    gateway.server_in("fine", "ready");
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    for _ in 0..20 {
        assert!(echoes(&client, "fine__echo") < Duration::from_secs(2));
        pause(Duration::from_millis(50));
    }
    let is_ready = |server: &serde_json::Value| server["state"] == "ready";
    see(Duration::from_secs(120), || gateway.server("flood"), is_ready);
    echoes(&client, "flood__echo");
    let shown = gateway.server("flood")["stderr"].to_string().len();
    assert!(shown < 2 << 20, "{shown} bytes of stderr are kept");
    let peak = peak_mib(gateway.process().pid());
    assert!(peak < 100, "{peak} MiB");
}

#[test]
fn fault_13_what_a_server_says_is_shown_without_secrets_and_obeyed_by_nobody() {
    let script = r#"printf '\033]0;owned\007\033[2J key=%s\n' "$KEY" >&2; exec 0<&-; exit 7"#;
    let dying = with_env(shell(script), "KEY", "Bearer ${env:TOKEN_OF_TEST}");
    let says = r#"printf '\033[31mtoken %s\n' "$KEY" >&2; exec "$MISBEHAVE""#;
    let says = with_env(shell(says), "KEY", "${env:TOKEN_OF_TEST}");
    let config = fleet([("dying", dying), ("says", says)]);
    let gateway = Gateway::start_with(&config, |command| {
        command.env("TOKEN_OF_TEST", TOKEN).env("MCP_MANAGER_LOG", "trace");
    });
    gateway.server_in("dying", "restarting");
    gateway.server_in("says", "ready");
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let answer = client.call("dying__x", "{}").unwrap();
    assert!(answer.error().contains("key=Bearer ***"), "{answer:?}");
    let status = gateway.status().to_string();
    assert!(status.contains("token ***") && status.contains("key=Bearer ***"), "{status}");
    for text in [answer.error(), &status, &gateway.process().stdout()] {
        assert!(!text.contains(TOKEN) && !text.contains('\u{1b}'), "{text}");
    }
    let log = gateway.process().stderr();
    assert!(!log.contains(TOKEN) && !log.contains("\u{1b}]0;"), "{log}");

    // At the command line too, where a terminal would obey.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mcp.json"), config.to_string()).unwrap();
    for words in [&["list"][..], &["call", "dying/x"], &["--json", "call", "dying/x"]] {
        let args = [words, &["--config", "mcp.json"]].concat();
        let mut command = system_tests::gateway::mcp_manager(&dir, &args);
        command.env("TOKEN_OF_TEST", TOKEN).env("CLICOLOR_FORCE", "1");
        let ended = process::run(command, b"", Duration::from_secs(60));
        assert!(ended.stderr.contains("key=Bearer ***"), "{ended:?}");
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(TOKEN) && !text.contains("\u{1b}]0;"), "{text}");
        }
    }
}
