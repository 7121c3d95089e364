//! Faults on the wire between the gateway and a server: bytes that are no message, messages that
//! answer nobody, answers that come too late or not at all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::census::peak_mib;
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::misbehave::{RAW_RESULT, WRONG};
use system_tests::raw::{Answer, Client, Era, until_answer};
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
    let failed = gateway.server_in("flood", "failed");
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
    let failed = gateway.server_in("bad", "failed");
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
        assert_eq!(plain[20], RAW_RESULT);
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

#[test]
fn fault_10_an_id_in_flight_cannot_be_taken_twice() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let config = fleet([("bad", logging(&log, &[])), ("fine", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let slow = r#"{"ms":1500}"#;
    thread::scope(|scope| {
        let first = scope.spawn(|| client.call_as("7", "bad__slow", slow).unwrap());
        see(PATIENCE, || reached(&log, "1500").len(), |count| *count == 1);
        let second = client.call_as("7", "bad__echo", r#"{"message":"again"}"#).unwrap();
        assert_eq!(code(&second), "DUPLICATE_ID", "{second:?}");
        assert_eq!(second.value()["error"]["code"], -32600, "{second:?}");
        // The same id is somebody else's in another session, and means nothing without one.
        for era in ERAS {
            let other = Client::connect(gateway.url(), era).unwrap();
            let answer = other.call_as("7", "bad__echo", r#"{"message":"mine"}"#).unwrap();
            assert!(answer.result().contains("Echo: mine"), "{era:?}: {answer:?}");
        }
        assert!(first.join().unwrap().result().contains("Slept 1500 ms"));
    });
    assert!(reached(&log, "again").is_empty(), "the second one was not sent");
    let free = client.call_as("7", "bad__echo", r#"{"message":"free"}"#).unwrap();
    assert!(free.result().contains("Echo: free"), "{free:?}");
    drop(gateway);

    let face = Face::initialized(&config, "{}");
    let call = |tool: &str, arguments: &str| {
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
        face.send(&format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#
        ));
    };
    call("bad__slow", slow);
    see(PATIENCE, || reached(&log, "1500").len(), |count| *count == 2);
    call("bad__echo", r#"{"message":"again"}"#);
    assert!(face.answer("7").contains("DUPLICATE_ID"));
    face.line(|line| line.contains("Slept 1500 ms"));
}

#[test]
fn fault_10_equal_ids_of_many_clients_never_meet() {
    let gateway = Gateway::settled(&beside(&[]));
    let clients: Vec<Client> =
        (0..6).map(|index| Client::connect(gateway.url(), ERAS[index % 2]).unwrap()).collect();
    thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            scope.spawn(move || {
                for id in 0..40 {
                    let text = format!("client {index} call {id}");
                    let arguments = format!(r#"{{"message":"{text}"}}"#);
                    let answer = client.call_as(&id.to_string(), "bad__echo", &arguments).unwrap();
                    let expected = format!(r#""Echo: {text}""#);
                    assert!(answer.result().contains(&expected), "{answer:?}");
                }
            });
        }
    });
}

#[test]
fn fault_11_an_answer_after_the_end_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let bad = managed(logging(&log, &["--late-after-cancel"]), json!({ "callTimeout": "3s" }));
    let gateway = Gateway::settled(&fleet([("bad", bad), ("fine", misbehave(&[]))]));
    let slow = r#"{"name":"bad__slow","arguments":{"ms":600000}}"#;
    let mut asked = 0;
    for era in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        let pid = client.call("bad__pid", "{}").unwrap().result().to_owned();
        // Once cancelled by its client, once by its deadline.
        for cancel in [true, false] {
            asked += 1;
            thread::scope(|scope| {
                let cancelling = scope.spawn(|| {
                    see(PATIENCE, || reached(&log, "600000").len(), |count| *count >= asked);
                    if cancel && era == LEGACY {
                        client.notify("notifications/cancelled", r#"{"requestId":"x"}"#).unwrap();
                    }
                });
                if cancel && era == Era::Modern {
                    // Closing the connection is how a stateless client cancels.
                    let socket = client.begin_as(r#""x""#, "tools/call", slow).unwrap();
                    cancelling.join().unwrap();
                    drop(socket);
                    return;
                }
                let reply = client.open_as(r#""x""#, "tools/call", slow, "").unwrap();
                let answer = until_answer(reply, r#""x""#).unwrap();
                match cancel {
                    true => assert_eq!(answer.message, "", "{era:?}: {answer:?}"),
                    false => assert_eq!(code(&answer), "TIMEOUT", "{era:?}: {answer:?}"),
                }
            });
            see(PATIENCE, || reached(&log, "notifications/cancelled").len(), |n| *n >= asked);
            // The late answer is on its way or here; the same id may be used again at once.
            for _ in 0..5 {
                let answer =
                    client.call_as(r#""x""#, "bad__echo", r#"{"message":"next"}"#).unwrap();
                assert!(answer.result().contains("Echo: next"), "{era:?}: {answer:?}");
                assert!(!format!("{answer:?}").contains(WRONG), "{answer:?}");
            }
            assert_eq!(client.call("bad__pid", "{}").unwrap().result(), pid);
        }
    }
}

#[test]
fn fault_12_what_is_no_request_is_refused_before_the_servers() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let config = fleet([("bad", logging(&log, &[])), ("fine", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let warm = echo(&client, "bad", "hi");
    assert!(warm.error().is_empty(), "{warm:?}");
    let before = reached(&log, "");

    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"bad__echo","arguments":{{"message":{nested}}}}}}}"#
        )
    };
    let call = |name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{name}}}}}"#)
    };
    let refused = [
        (deep(100_000), -32600),
        (deep(200), -32600),
        ("[".repeat(100_000), -32700),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"tools/list"}"#.to_owned(), -32600),
        (call(r#""name":"fine__echo","name":"bad__echo""#), -32602),
        (call(r#""name":"bad__echo","_meta":{"progressToken":1,"progressToken":2}"#), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"Method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"JSONRPC":"2.0","id":1,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Tools/List"}"#.to_owned(), -32601),
        (r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":true,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":["tools/list"]}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":"x"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"__proto__":{"method":"tools/list"},"jsonrpc":"2.0","id":1}"#.to_owned(), -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#.to_owned(), -32600),
        (call(r#""name":"__proto__""#), -32602),
        (call(r#""name":"constructor__echo""#), -32602),
        (call(r#""name":"Bad__echo""#), -32602),
        (call(r#""name":["bad__echo"]"#), -32602),
        (call(r#""__proto__":{"name":"bad__echo"}"#), -32602),
        (call(r#""Name":"bad__echo""#), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list""#.to_owned(), -32700),
        ("nonsense".to_owned(), -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":\"\\ud83d\",\"method\":\"tools/list\"}".to_owned(), -32700),
    ];
    let face = Face::initialized(&fleet([("bad", misbehave(&[])), ("fine", misbehave(&[]))]), "{}");
    // Notifications may come at any time.
    let answers = || {
        let out = face.process().stdout();
        let whole = out.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok());
        whole.filter(|line| !line.contains(r#""method""#)).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut heard = answers().len();
    for (message, expected) in &refused {
        let start: String = message.chars().take(90).collect();
        let reply = client.send(message).unwrap();
        let (status, text) = (reply.status, reply.text().unwrap());
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(answer["error"]["code"], *expected, "{start}: {status} {text}");
        assert!(matches!(status, 200 | 400), "{start}: {status} {text}");
        // One line for one line, with the same error, over stdio.
        face.send(message);
        let lines = see(PATIENCE, answers, |lines| lines.len() > heard);
        let said: Value = serde_json::from_str(&lines[heard]).unwrap_or_default();
        assert_eq!(said["error"]["code"], *expected, "stdio {start}: {said}");
        heard += 1;
    }
    assert_eq!(reached(&log, ""), before, "the server saw none of it");
    assert!(echo(&client, "bad", "still").result().contains("still"));
}
