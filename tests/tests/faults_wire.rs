//! Faults on the wire between the gateway and a server: bytes that are no message, messages that
//! answer nobody, answers that come too late or not at all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "faults_wire/ids.rs"]
mod ids;
#[path = "faults_wire/requests.rs"]
mod requests;

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::census::peak_mib;
use system_tests::gateway::Gateway;
use system_tests::misbehave::{RAW_RESULT, WRONG};
use system_tests::raw::{Answer, Client, Era};
use system_tests::servers::{fleet, fleet_with, logging, managed, misbehave, shell};
use system_tests::wait::{PATIENCE, see, timed};

const LEGACY: Era = Era::Legacy("2025-11-25");
const ERAS: [Era; 2] = [LEGACY, Era::Modern];

/// One that misbehaves, and one that must not notice.
fn beside(flags: &[&str]) -> Value {
    fleet([("bad", misbehave(flags)), ("fine", misbehave(&[]))])
}

fn echo(client: &Client, server: &str, text: &str) -> Answer {
    client.call(&format!("{server}__echo"), &format!(r#"{{"message":"{text}"}}"#)).unwrap()
}

fn assert_fine(gateway: &Gateway) {
    for era in ERAS {
        let answer = echo(&Client::connect(gateway.url(), era).unwrap(), "fine", "hi");
        assert!(answer.result().contains("Echo: hi"), "{era:?}: {answer:?}");
    }
}

/// The stable code of the gateway's own error.
fn code(answer: &Answer) -> Value {
    answer.value()["error"]["data"]["code"].take()
}

/// What reached a server: whole lines that hold `text`.
fn reached(log: &Path, text: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

#[test]
fn fault_01_a_server_that_dies_fails_its_calls_once_and_is_started_again() {
    let script = "echo 'these are my last words' >&2; exec \"$MISBEHAVE\"";
    let gateway = Gateway::settled(&fleet([("bad", shell(script)), ("fine", misbehave(&[]))]));
    let ways = [(r#"{"code":7}"#, "7"), (r#"{"code":0}"#, "0"), (r#"{"abort":true}"#, "SIGABRT")];
    for (era, (how, ends)) in ERAS.into_iter().flat_map(|era| ways.map(|way| (era, way))) {
        let client = Client::connect(gateway.url(), era).unwrap();
        let before = client.call("bad__pid", "{}").unwrap();
        let long = |server: &str| {
            let params = format!(r#"{{"name":"{server}__slow","arguments":{{"ms":1500}}}}"#);
            client.request("tools/call", &params).unwrap()
        };
        thread::scope(|scope| {
            let others = scope.spawn(|| long("fine"));
            let waiting = scope.spawn(|| long("bad"));
            // What is under way when the server dies is not said to be when it began.
            let (died, time) = timed(|| client.call("bad__die", how).unwrap());
            assert_eq!(code(&died), "SERVER_UNAVAILABLE", "{era:?} {how}: {died:?}");
            assert!(died.error().contains(ends), "{era:?} {how}: {died:?}");
            assert!(died.error().contains("these are my last words"), "{died:?}");
            assert!(time < Duration::from_secs(5), "{time:?}");
            let waited = waiting.join().unwrap();
            let failed = code(&waited) == "SERVER_UNAVAILABLE";
            assert!(failed || waited.result().contains("Slept"), "{waited:?}");
            assert!(others.join().unwrap().result().contains("Slept 1500 ms"));
        });
        let after = client.call("bad__pid", "{}").unwrap();
        assert!(after.error().is_empty() && after.result() != before.result(), "{after:?}");
    }
}

#[test]
fn fault_02_a_call_that_hangs_ends_at_its_deadline_and_the_server_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let bad = managed(logging(&log, &[]), json!({ "callTimeout": "3s" }));
    let gateway = Gateway::settled(&fleet([("bad", bad), ("fine", misbehave(&[]))]));
    for (round, era) in ERAS.into_iter().enumerate() {
        let client = Client::connect(gateway.url(), era).unwrap();
        // The server's own process is there before the clock runs.
        assert!(echo(&client, "bad", "hi").error().is_empty());
        thread::scope(|scope| {
            let hanging =
                scope.spawn(|| timed(|| client.call("bad__slow", r#"{"ms":600000}"#).unwrap()));
            for _ in 0..20 {
                assert!(echo(&client, "bad", "meanwhile").result().contains("meanwhile"));
            }
            let (answer, time) = hanging.join().unwrap();
            assert_eq!(code(&answer), "TIMEOUT", "{answer:?}");
            assert!(time >= Duration::from_secs(3) && time < Duration::from_secs(10), "{time:?}");
        });
        let told = see(PATIENCE, || reached(&log, "cancelled"), |told| told.len() > round);
        let asked = reached(&log, "600000");
        assert_eq!(told[round]["params"]["requestId"], asked[round]["id"], "{told:#?}");
    }
    assert_fine(&gateway);
}

#[test]
fn fault_05_a_flood_that_is_not_json_is_skipped_and_then_refused() {
    let config = fleet([
        ("chatty", misbehave(&["--flood-stdout=900"])),
        ("flood", misbehave(&["--flood-stdout=200000"])),
        ("fine", misbehave(&[])),
    ]);
    let gateway = Gateway::start_with(&config, |command| {
        command.env("MCP_MANAGER_LOG", "warn");
    });
    let failed = gateway.server_in("flood", "restarting");
    assert_eq!(failed["error"]["code"], "PROTOCOL_ERROR", "{failed:#}");
    let why = failed["error"]["message"].as_str().unwrap();
    assert!(why.contains("1000 lines in a row were no message"), "{why}");
    for era in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        for _ in 0..5 {
            assert!(echo(&client, "chatty", "hi").result().contains("Echo: hi"));
        }
        assert_eq!(code(&echo(&client, "flood", "hi")), "PROTOCOL_ERROR");
    }
    assert_fine(&gateway);
    let log = gateway.process().stderr();
    // Once a row, not once a line: some 14,000 lines were no message.
    let said = log.matches("what is no message").count();
    assert!((1..200).contains(&said), "{said} log lines");
    assert!(peak_mib(gateway.process().pid()) < 128, "{}", peak_mib(gateway.process().pid()));
}

#[test]
fn fault_06_a_line_without_end_is_cut_at_the_limit() {
    let gib = misbehave(&["--giant-line=1073741824"]);
    let config = fleet([("bad", gib), ("fine", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let answer = echo(&client, "bad", "hi");
    assert_eq!(code(&answer), "PROTOCOL_ERROR", "{answer:?}");
    assert!(answer.error().contains("longer than 16777216 bytes"), "{answer:?}");
    let failed = gateway.server_in("bad", "restarting");
    assert_eq!(failed["error"]["code"], "PROTOCOL_ERROR", "{failed:#}");
    assert_fine(&gateway);
    // The line as far as it was read, and the manager itself.
    let peak = peak_mib(gateway.process().pid());
    assert!(peak < 128, "{peak} MiB");

    // A limit of one's own holds as well, and what is below it passes.
    let small = json!({ "maxFrameBytes": "64KiB" });
    let bad = misbehave(&["--giant-line=70000"]);
    let gateway = Gateway::settled(&fleet_with(small, [("bad", bad), ("fine", misbehave(&[]))]));
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let answer = echo(&client, "bad", "hi");
    assert!(answer.error().contains("longer than 65536 bytes"), "{answer:?}");
    let long = "x".repeat(60_000);
    assert!(echo(&client, "fine", &long).result().contains(&long));
}

#[test]
fn fault_07_a_frame_of_bad_bytes_costs_that_frame_alone() {
    // What can be told to be the answer to a call fails that call; what cannot is passed over.
    let flags = [
        ("--bad-utf8", "PROTOCOL_ERROR"),
        ("--lone-surrogate", "PROTOCOL_ERROR"),
        ("--bom", ""),
        ("--nul", ""),
        ("--crlf", ""),
    ];
    let servers = flags.map(|(flag, _)| (&flag[2..], misbehave(&[flag])));
    let gateway = Gateway::settled(&fleet(servers));
    for era in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        for (flag, expected) in flags {
            let server = &flag[2..];
            let pids = gateway.server(server)["pids"].clone();
            for _ in 0..3 {
                let answer = echo(&client, server, "hi");
                assert!(!answer.message.contains(WRONG), "{answer:?}");
                match expected {
                    "" => assert!(answer.result().contains("Echo: hi"), "{flag}: {answer:?}"),
                    expected => assert_eq!(code(&answer), expected, "{flag}: {answer:?}"),
                }
            }
            // The next frames are read: the same process answers what goes over them.
            let alone = Client::connect(&gateway.url_of(server), era).unwrap();
            let list = alone.request("tools/list", "{}").unwrap();
            assert!(list.result().contains("echo"), "{flag}: {list:?}");
            assert_eq!(gateway.server(server)["pids"], pids, "{flag}");
        }
    }
}

#[test]
fn fault_08_messages_are_the_same_however_they_are_written() {
    let config = fleet([
        ("plain", misbehave(&[])),
        ("split", misbehave(&["--split-writes"])),
        ("glued", misbehave(&["--glue"])),
        ("both", misbehave(&["--glue", "--split-writes", "--crlf"])),
    ]);
    let gateway = Gateway::settled(&config);
    for era in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        let seen = |server: &str| {
            let tool = |tool: &str| format!("{server}__{tool}");
            let burst = format!(r#"{{"name":"{}","arguments":{{"count":20}}}}"#, tool("burst"));
            let burst = client.request_with_meta("tools/call", &burst, r#""progressToken":"t""#);
            let burst = burst.unwrap();
            // Notifications that belong to nobody may go with any call.
            let progress = burst.before.into_iter().filter(|one| one.contains("progress"));
            let progress: Vec<String> = progress.collect();
            let raw = client.call(&tool("raw"), "{}").unwrap();
            let echo = echo(&client, server, "hi");
            [progress, vec![raw.result().to_owned(), echo.result().to_owned()]].concat()
        };
        let plain = seen("plain");
        assert_eq!(plain.len(), 22);
        // A stateless client is told with every result who the server is.
        let info = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"misbehave","version":"1.0.0"},"#;
        match era {
            Era::Modern => assert_eq!(plain[20], RAW_RESULT.replace(r#""_meta":{"#, info)),
            Era::Legacy(_) => assert_eq!(plain[20], RAW_RESULT),
        }
        for server in ["split", "glued", "both"] {
            assert_eq!(seen(server), plain, "{era:?} {server}");
        }
    }
}

#[test]
fn fault_09_answers_to_nobody_reach_nobody() {
    let gateway = Gateway::settled(&beside(&["--unknown-ids", "--duplicate-answers"]));
    for era in ERAS {
        let client = &Client::connect(gateway.url(), era).unwrap();
        thread::scope(|scope| {
            for worker in 0..8 {
                scope.spawn(move || {
                    for round in 0..25 {
                        let text = format!("{worker}-{round}");
                        let answer = echo(client, "bad", &text);
                        let expected = format!(r#""Echo: {text}""#);
                        assert!(answer.result().contains(&expected), "{answer:?}");
                        assert!(!format!("{answer:?}").contains(WRONG), "{answer:?}");
                    }
                });
            }
        });
        // Ids that a careless program takes for one another, all in flight at the same time.
        let ids = ["1", r#""1""#, "1.0", "9007199254740993", "9007199254740992", r#""null""#];
        thread::scope(|scope| {
            for (index, id) in ids.into_iter().enumerate() {
                scope.spawn(move || {
                    let ms = 300 + index;
                    let slept = client.call_as(id, "bad__slow", &format!(r#"{{"ms":{ms}}}"#));
                    let slept = slept.unwrap();
                    assert!(slept.result().contains(&format!("Slept {ms} ms")), "{slept:?}");
                    assert_eq!(slept.id(), id);
                });
            }
        });
    }
    assert_fine(&gateway);
}
