//! What one side writes is what the other side reads, byte for byte, whoever is in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::misbehave::{RAW_RESULT, WEIRD_ERROR, WEIRD_RESULT};
use system_tests::peers;
use system_tests::raw::{self, Client, Era};
use system_tests::servers::{fleet, logging, misbehave};
use system_tests::wait::{PATIENCE, see, until};
use tempfile::TempDir;

const LEGACY: Era = Era::Legacy("2025-11-25");
/// A client and a server of one era each: what lies between two eras is translated.
const ERAS: [(Era, &str); 2] = [(LEGACY, "legacy"), (Era::Modern, "modern")];

/// Members that nobody knows, numbers that no float holds, keys that no sorted map keeps in place,
/// escapes that a decoder would normalise.
const ODD: &str = concat!(
    r#""zebra":[null,{"y":1,"x":2}],"past53":9007199254740993,"past64":123456789012345678901234567890,"#,
    r#""fraction":1.0,"exponent":1E+2,"minusZero":-0.0,"escaped":"caf\u00e9 \/ \ud83d\ude00 é \t""#,
);

/// Ids as clients choose them; every one of them is legal JSON-RPC.
const IDS: &[&str] = &[
    "0",
    "-7",
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1.5",
    "1.0",
    "1e3",
    r#""1""#,
    r#""""#,
    r#""caf\u00e9 \ud83d\ude00""#,
    r#""9007199254740993""#,
];

/// Two misbehaving servers, one for each era, that write down what reaches them.
struct Logged {
    dir: TempDir,
}

impl Logged {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn log(&self, server: &str) -> PathBuf {
        self.dir.path().join(server)
    }

    fn config(&self) -> Value {
        let modern = logging(&self.log("modern"), &["--modern"]);
        fleet([("legacy", logging(&self.log("legacy"), &[])), ("modern", modern)])
    }

    /// The one line with `text` that reached `server`.
    fn line(&self, server: &str, text: &str) -> String {
        let lines = || {
            let log = std::fs::read_to_string(self.log(server)).unwrap_or_default();
            log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = see(PATIENCE, lines, |lines| !lines.is_empty());
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.into_iter().next().unwrap()
    }
}

/// The part of a message from `from` on. What stands before it is the gateway's own.
fn from<'m>(message: &'m str, from: &str) -> &'m str {
    let at = message.find(from).unwrap_or_else(|| panic!("no {from} in {message}"));
    &message[at..]
}

/// The first message of this method; servers say other things on the way.
fn first(stream: &mut raw::Reply, method: &str) -> Value {
    loop {
        let message = stream.message().unwrap().unwrap_or_else(|| panic!("no {method} came"));
        let message: Value = serde_json::from_str(&message).unwrap();
        if message["method"] == method {
            return message;
        }
    }
}

#[test]
fn a_result_arrives_byte_for_byte() {
    let logged = Logged::new();
    let gateway = Gateway::start(&logged.config());
    for (era, server) in ERAS {
        for url in [gateway.url_of(server), gateway.url().to_owned()] {
            let client = Client::connect(&url, era).unwrap();
            let alone = url != gateway.url();
            let tool = if alone { "raw".to_owned() } else { format!("{server}__raw") };
            let answer = client.call(&tool, "{}").unwrap();
            assert_eq!(answer.result(), RAW_RESULT, "{era:?} {url}");
        }
    }
    drop(gateway);
    let face = Face::initialized(&logged.config(), "{}");
    let answer = face.ask("5", "tools/call", r#"{"name":"legacy__raw"}"#);
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":5,"result":{RAW_RESULT}}}"#));
    assert!(face.close().is_some_and(|status| status.success()));
}

#[test]
fn params_arrive_byte_for_byte() {
    let logged = Logged::new();
    let gateway = Gateway::start(&logged.config());
    let arguments = format!(r#"{{"message":"hi",{ODD}}}"#);
    for (era, server) in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        let meta = format!(r#""x.example/k":{{{ODD}}},"progressToken":"mine""#);
        let rest = format!(r#""x-before":{{{ODD}}},"arguments":{arguments},"x-after":[1.0]"#);
        let params = format!(r#"{{"name":"{server}__echo",{rest}}}"#);
        let answer = client.request_with_meta("tools/call", &params, &meta).unwrap();
        assert!(answer.result().contains("Echo: hi"), "{era:?}: {answer:?}");
        // Changed are the id, the progress token, which are the gateway's own, and the name.
        let line = logged.line(server, "x-before");
        let arrived: Value = serde_json::from_str(&line).unwrap();
        let (id, token) = (&arrived["id"], &arrived["params"]["_meta"]["progressToken"]);
        let expected = format!(
            r#""x.example/k":{{{ODD}}},"progressToken":{token}}},"name":"echo",{rest}}}}}"#
        );
        assert_eq!(from(&line, r#""x.example/k""#), expected, "{era:?}");
        assert!(id.is_u64() && token.is_u64(), "{line}");
    }
    drop(gateway);
    let face = Face::initialized(&logged.config(), "{}");
    let rest = format!(r#""arguments":{arguments},"x-stdio":{{{ODD}}}}}"#);
    let answer = face.ask("1", "tools/call", &format!(r#"{{"name":"legacy__echo",{rest}"#));
    assert!(answer.contains("Echo: hi"), "{answer}");
    let line = logged.line("legacy", "x-stdio");
    assert_eq!(from(&line, r#""params""#), format!(r#""params":{{"name":"echo",{rest}}}"#));
}

#[test]
fn ids_of_every_kind_come_back_as_they_were_written() {
    let logged = Logged::new();
    let gateway = Gateway::start(&logged.config());
    for (era, server) in ERAS {
        let client = Client::connect(&gateway.url_of(server), era).unwrap();
        for id in IDS {
            let answer = client.call_as(id, "echo", r#"{"message":"hi"}"#).unwrap();
            let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#);
            assert!(answer.message.starts_with(&start), "{era:?} {id}: {answer:?}");
        }
    }
    drop(gateway);
    let face = Face::initialized(&logged.config(), "{}");
    let params = r#"{"name":"legacy__echo","arguments":{"message":"hi"}}"#;
    for id in IDS {
        face.ask(id, "tools/call", params);
    }
}

#[test]
fn a_burst_of_progress_arrives_whole_and_in_order() {
    const COUNT: usize = 200;
    let logged = Logged::new();
    let gateway = Gateway::start(&logged.config());
    let expected = |token: &str| -> Vec<String> {
        let one = |index| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{index},"total":{COUNT}}}}}"#
            )
        };
        (1..=COUNT).map(one).collect()
    };
    // Both clients reach both servers: progress crosses the eras as well.
    for ((era, own), server) in ERAS.iter().flat_map(|era| ["legacy", "modern"].map(|s| (era, s))) {
        let client = Client::connect(gateway.url(), *era).unwrap();
        for (round, token) in [r#""text""#, "17", "0.5"].into_iter().enumerate() {
            let params = format!(r#"{{"name":"{server}__burst","arguments":{{"count":{COUNT}}}}}"#);
            let meta = format!(r#""progressToken":{token}"#);
            let answer = client.request_with_meta("tools/call", &params, &meta).unwrap();
            assert_eq!(answer.before, expected(token), "{own} to {server}, round {round}");
            assert!(answer.result().contains("Sent 200"), "{answer:?}");
        }
    }
    drop(gateway);
    let face = Face::initialized(&logged.config(), "{}");
    let meta = r#""_meta":{"progressToken":"desk"}"#;
    let params = format!(r#"{{{meta},"name":"legacy__burst","arguments":{{"count":{COUNT}}}}}"#);
    face.ask("9", "tools/call", &params);
    let out = face.process().stdout();
    let before: Vec<&str> = out.lines().take_while(|line| !line.contains(r#""id":9,"#)).collect();
    let progress = before.iter().filter(|line| line.contains("notifications/progress"));
    assert_eq!(progress.copied().collect::<Vec<_>>(), expected(r#""desk""#));
}

#[test]
fn what_no_library_could_parse_arrives() {
    let weird = |flags: &[&str]| misbehave(&[&["--unparseable-result"], flags].concat());
    let config = fleet([("legacy", weird(&[])), ("modern", weird(&["--modern"]))]);
    let gateway = Gateway::start(&config);
    for (era, server) in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        let result = client.call(&format!("{server}__raw"), "{}").unwrap();
        assert_eq!(result.result(), WEIRD_RESULT, "{era:?}: {result:?}");
        let error = client.call(&format!("{server}__echo"), "{}").unwrap();
        assert_eq!(error.error(), WEIRD_ERROR, "{era:?}: {error:?}");
    }
    drop(gateway);
    let face = Face::initialized(&config, "{}");
    let answer = face.ask("1", "tools/call", r#"{"name":"legacy__raw"}"#);
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{WEIRD_RESULT}}}"#));
    let answer = face.ask("2", "tools/call", r#"{"name":"legacy__echo"}"#);
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":2,"error":{WEIRD_ERROR}}}"#));
}

#[test]
fn what_is_pretty_printed_becomes_one_line_and_nothing_else() {
    let logged = Logged::new();
    let gateway = Gateway::start(&logged.config());
    let client = Client::connect(&gateway.url_of("legacy"), LEGACY).unwrap();
    let pretty = "{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": \"p\",\n  \"method\": \"tools/call\",\n  \"params\": {\n    \"name\": \"echo\",\n    \"arguments\": { \"message\": \"a\\nb\" }\n  }\n}\n";
    let answer = raw::until_answer(client.send(pretty).unwrap(), r#""p""#).unwrap();
    assert!(answer.result().contains(r"Echo: a\nb"), "{answer:?}");
    let line = logged.line("legacy", "echo");
    let expected = "\"params\": {     \"name\": \"echo\",     \"arguments\": { \"message\": \"a\\nb\" }   } } ";
    assert_eq!(from(&line, r#""params""#).trim_end(), expected.trim_end());
}

/// Tasks of 2025-11-25, which typed libraries forget: the tool runs as a task, and no other way.
#[test]
fn tasks_of_the_legacy_era_work() {
    let mut server = peers::server_everything();
    server.arg("stdio");
    let config = fleet([("everything", peers::as_config(&server)), ("other", misbehave(&[]))]);
    let gateway = Gateway::start(&config);
    let client = Client::connect(&gateway.url_of("everything"), LEGACY).unwrap();
    let list = client.request("tools/list", "{}").unwrap().value();
    let tools = list["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == "simulate-research-query").unwrap();
    assert_eq!(tool["execution"]["taskSupport"], "required", "{tool:#}");

    let call = r#"{"name":"simulate-research-query","arguments":{"topic":"gateways"},"task":{"ttl":60000}}"#;
    let created = client.request("tools/call", call).unwrap().value();
    let task = &created["result"]["task"];
    let id = task["taskId"].as_str().unwrap_or_else(|| panic!("{created:#}"));
    assert_eq!(task["status"], "working", "{created:#}");
    assert!(task["pollInterval"].is_u64() && task["ttl"].is_u64(), "{created:#}");
    let params = format!(r#"{{"taskId":"{id}"}}"#);
    let done = until(Duration::from_secs(60), || {
        let task = client.request("tasks/get", &params).unwrap().value();
        (task["result"]["status"] == "completed").then_some(task)
    });
    assert!(done.is_some(), "the task did not complete");
    let result = client.request("tasks/result", &params).unwrap();
    assert!(result.result().contains("Research Report: gateways"), "{result:?}");
}

/// What a server asks reaches the client that said that it can answer, and the answer gets back.
#[test]
fn servers_ask_legacy_clients() {
    let mut server = peers::server_everything();
    server.arg("stdio");
    let entry = peers::as_config(&server);
    let config = fleet([("everything", entry), ("other", misbehave(&[]))]);
    let gateway = Gateway::start(&config);

    let able = r#"{"sampling":{},"elicitation":{}}"#;
    let client = Client::with_capabilities(gateway.url(), LEGACY, able).unwrap();
    let answers = [
        (
            r#"{"name":"everything__trigger-sampling-request","arguments":{"prompt":"?"}}"#,
            "sampling/createMessage",
            r#"{"role":"assistant","content":{"type":"text","text":"so says the model"},"model":"m","x-extra":1.0}"#,
            "so says the model",
        ),
        (
            r#"{"name":"everything__trigger-elicitation-request","arguments":{}}"#,
            "elicitation/create",
            r#"{"action":"accept","content":{"name":"Zoë"}}"#,
            "Name: Zoë",
        ),
    ];
    for (params, method, result, expect) in answers {
        let (id, mut stream) = client.open("tools/call", params, "").unwrap();
        let asked = first(&mut stream, method);
        let response = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, asked["id"]);
        assert_eq!(client.send(&response).unwrap().status, 202);
        let answer = raw::until_answer(stream, &id).unwrap();
        assert!(answer.result().contains(expect), "{answer:?}");
    }

    // A client that cannot is not shown what it could not use.
    let unable = Client::connect(gateway.url(), LEGACY).unwrap();
    let list = unable.request("tools/list", "{}").unwrap();
    assert!(list.result().contains("everything__echo"), "{list:?}");
    assert!(!list.result().contains("trigger-sampling-request"), "{list:?}");

    drop(gateway);
    let face = Face::initialized(&config, able);
    let (params, method, result, expect) = answers[0];
    let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    face.send(&call);
    let asked: Value = serde_json::from_str(&face.line(|line| line.contains(method))).unwrap();
    face.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, asked["id"]));
    let answer = face.answer("1");
    assert!(answer.contains(expect), "{answer}");
}
