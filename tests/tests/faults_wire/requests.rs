//! What clients send that is no request, or none that could mean anything.

use serde_json::Value;
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::raw::Client;
use system_tests::servers::{fleet, logging, misbehave};
use system_tests::wait::{PATIENCE, see};

use crate::{LEGACY, echo, reached};

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
    let heard = answers().len();
    for (heard, (message, expected)) in (heard..).zip(&refused) {
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
    }
    assert_eq!(reached(&log, ""), before, "the server saw none of it");
    assert!(echo(&client, "bad", "still").result().contains("still"));
}
