//! A server in this process, seen through a connection: both eras, and what goes wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "serve/probe.rs"]
mod probe;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcp_wire::{Era, Event, Message, Options, discover};

use self::probe::{Client, LIMIT, message, resource, rest};

#[tokio::test]
async fn a_session_is_opened_in_the_version_that_is_asked_for() {
    for (asked, given) in [("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")] {
        let params = format!(r#"{{"protocolVersion":"{asked}"}}"#);
        let answer = Client::raw(Message::request("1", "initialize", &params)).await;
        assert!(answer.starts_with(&format!(r#"{{"protocolVersion":"{given}","#)), "{answer}");
        let end = r#""serverInfo":{"name":"probe","version":"1"},"instructions":"ask"}"#;
        assert!(answer.ends_with(end), "{answer}");
    }
    let answer = Client::raw(Message::request("1", "initialize", "{}")).await;
    assert!(answer.contains("-32602"), "{answer}");
}

#[tokio::test]
async fn a_stateless_client_discovers() {
    let client = Client::open(Era::Modern).await;
    let found = discover(&client.connection, r#"{"name":"t"}"#, LIMIT).await.unwrap();
    let answer = found.answer.result_json().unwrap();
    for member in [
        r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#,
        r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"probe","version":"1"}}"#,
        r#""supportedVersions":["2026-07-28"]"#,
        r#""instructions":"ask""#,
    ] {
        assert!(answer.contains(member), "{member} in {answer}");
    }
}

#[tokio::test]
async fn a_stateless_result_gets_what_it_lacks_and_keeps_what_it_has() {
    let modern = Client::open(Era::Modern).await.answer("tools/list", "").await;
    let expected = concat!(
        r#"{"resultType":"complete","cacheScope":"private","tools":[],"ttlMs":7,"_meta":{"#,
        r#""io.modelcontextprotocol/serverInfo":{"name":"probe","version":"1"},"own":1}}"#
    );
    assert_eq!(modern, expected);
    let legacy = Client::open(Era::Legacy).await.answer("tools/list", "").await;
    assert_eq!(legacy, r#"{"tools":[],"ttlMs":7,"_meta":{"own":1}}"#);
}

#[tokio::test]
async fn a_request_of_neither_era_is_refused() {
    let meta = |meta: &str| Message::request("1", "tools/list", &format!(r#"{{"_meta":{meta}}}"#));
    let version = |version: &str| format!(r#""io.modelcontextprotocol/protocolVersion":{version}"#);
    let answer = Client::raw(meta("{}")).await;
    assert!(answer.contains("-32602") && answer.contains("initialize"), "{answer}");
    let answer = Client::raw(meta(&format!("{{{}}}", version("\"2099-01-01\"")))).await;
    assert!(answer.contains("-32022"), "{answer}");
    let data = r#""data":{"supported":["2026-07-28"],"requested":"2099-01-01"}"#;
    assert!(answer.contains(data), "{answer}");
    for version in [version("\"2026-07-28\""), version("7")] {
        let answer = Client::raw(meta(&format!("{{{version}}}"))).await;
        assert!(answer.contains("-32602"), "{answer}");
    }
}

#[tokio::test]
async fn each_era_has_its_methods_and_codes() {
    let legacy = Client::open(Era::Legacy).await;
    let modern = Client::open(Era::Modern).await;
    for (method, params, in_legacy, in_modern) in [
        ("ping", "", "{}", "-32601"),
        ("logging/setLevel", r#""level":"error""#, "{}", "-32601"),
        ("logging/setLevel", r#""level":"loud""#, "-32602", "-32601"),
        ("resources/subscribe", r#""uri":"x:/a""#, "{}", "-32601"),
        ("resources/unsubscribe", "", "-32602", "-32601"),
        ("server/discover", "", "-32601", "supportedVersions"),
        ("subscriptions/listen", "", "-32601", "-32602"),
        ("resources/read", r#""uri":"x:/a""#, "-32002", "-32602"),
        ("tools/nap", "", "-32601", "-32601"),
    ] {
        for (client, expected) in [(&legacy, in_legacy), (&modern, in_modern)] {
            let answer = client.answer(method, params).await;
            assert!(answer.contains(expected), "{method} {:?}: {answer}", client.era);
        }
    }
}

#[tokio::test]
async fn progress_comes_in_order_and_complete_before_the_result() {
    for era in [Era::Legacy, Era::Modern] {
        let client = Client::open(era).await;
        let mut exchange = client.tool("count", r#""progressToken":"t""#);
        for n in 1..=2000 {
            let expected = format!(
                r#""params":{{"progressToken":"t","progress":{n},"total":2000,"message":"counting"}}"#
            );
            let got = message(&mut exchange).await;
            assert!(got.contains(&expected), "{got}");
        }
        assert!(rest(exchange.reply().await.unwrap()).contains("content"));
        // Nobody asked here, so nothing is reported.
        let mut exchange = client.tool("count", "");
        assert!(matches!(exchange.next().await, Ok(Event::Reply(_))));
    }
}

#[tokio::test]
async fn a_cancelled_call_is_dropped_and_not_answered() {
    for era in [Era::Legacy, Era::Modern] {
        let client = Client::open(era).await;
        let waits = client.tool("wait", "");
        while client.probe.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(waits);
        tokio::time::timeout(LIMIT, client.probe.dropped.notified()).await.unwrap();
        client.answer("tools/list", "").await;
        assert_eq!(client.connection.stats().stray, 0);
    }
}

#[tokio::test]
async fn a_server_whose_client_leaves_ends_its_calls() {
    let client = Client::open(Era::Modern).await;
    let waits = client.tool("wait", "");
    while client.probe.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let probe = Arc::clone(&client.probe);
    client.connection.close("enough");
    drop((client, waits));
    tokio::time::timeout(LIMIT, probe.dropped.notified()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_fails_disturbs_no_other() {
    let client = Client::open(Era::Legacy).await;
    let waits = client.tool("wait", "");
    for tool in ["panic", "nonsense"] {
        let answer = rest(client.tool(tool, "").reply().await.unwrap());
        assert!(answer.contains("-32603"), "{answer}");
    }
    assert_eq!(client.answer("ping", "").await, "{}");
    assert_eq!(client.connection.stats().in_flight, 1);
    drop(waits);
}

#[tokio::test]
async fn running_calls_are_bounded() {
    let client = Client::open(Era::Modern).await;
    let waits: Vec<_> = (0..128).map(|_| client.tool("wait", "")).collect();
    let answer = rest(client.tool("wait", "").reply().await.unwrap());
    assert!(answer.contains("try again later"), "{answer}");
    drop(waits);
    assert!(client.answer("tools/list", "").await.contains("tools"));
}

#[tokio::test]
async fn log_messages_come_as_they_were_asked_for() {
    let mut legacy = Client::open(Era::Legacy).await;
    legacy.tool("log", "").reply().await.unwrap();
    let got = legacy.inbox.next().await.unwrap();
    assert_eq!(got.params(), Some(r#"{"level":"error","data":"loud"}"#));
    legacy.answer("logging/setLevel", r#""level":"debug""#).await;
    legacy.tool("log", "").reply().await.unwrap();
    assert!(legacy.inbox.next().await.unwrap().as_str().contains("quiet"));

    let modern = Client::open(Era::Modern).await;
    modern.tool("log", "").reply().await.unwrap();
    let mut asks = modern.tool("log", r#""io.modelcontextprotocol/logLevel":"debug""#);
    assert!(message(&mut asks).await.contains("quiet"));
    asks.reply().await.unwrap();
}

#[tokio::test]
async fn a_session_hears_of_lists_and_of_what_it_subscribed_to() {
    let mut client = Client::open(Era::Legacy).await;
    client.answer("resources/subscribe", r#""uri":"x:/a""#).await;
    client.tool("change", "").reply().await.unwrap();
    // The service offers no changes of tools, and nobody subscribed to the other resource.
    let methods = ["notifications/resources/list_changed", "notifications/resources/updated"];
    for method in methods {
        assert_eq!(client.inbox.next().await.unwrap().method(), method);
    }
    client.answer("resources/unsubscribe", r#""uri":"x:/a""#).await;
    client.tool("change", "").reply().await.unwrap();
    client.tool("change", "").reply().await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.inbox.next().await.unwrap().method(), methods[0]);
    }
}

#[tokio::test]
async fn a_change_is_told_before_the_answer_of_the_call_that_made_it() {
    let mut options = Options::default();
    // What names no call comes with the newest one, as long as that is not answered.
    options.exclusive = true;
    let client = Client::with(Era::Legacy, options).await;
    for _ in 0..50 {
        let mut change = client.tool("change", "");
        assert!(message(&mut change).await.contains("list_changed"));
        change.reply().await.unwrap();
    }
}

#[tokio::test]
async fn a_listener_hears_what_it_asked_for_under_its_own_id() {
    let client = Client::open(Era::Modern).await;
    let wants = r#""notifications":{"toolsListChanged":true,"resourcesListChanged":true,
        "resourceSubscriptions":["x:/a"]}"#;
    let mut listener = client.call("subscriptions/listen", wants, "");
    let tag = r#""_meta":{"io.modelcontextprotocol/subscriptionId":"mine"}"#;
    let first = message(&mut listener).await;
    let accepted = r#"{"resourcesListChanged":true,"resourceSubscriptions":["x:/a"]}"#;
    assert!(first.contains("notifications/subscriptions/acknowledged"), "{first}");
    assert!(first.contains(accepted) && first.contains(tag), "{first}");

    client.tool("change", "").reply().await.unwrap();
    for expected in ["resources/list_changed", r#""uri":"x:/a""#] {
        let got = message(&mut listener).await;
        assert!(got.contains(expected) && got.contains(tag), "{got}");
    }
    // More changes at once than the service's channel holds: everything may have changed.
    for _ in 0..40 {
        let _ = client.probe.changes.send(resource("x:/other"));
    }
    for expected in ["resources/list_changed", r#""uri":"x:/a""#] {
        assert!(message(&mut listener).await.contains(expected));
    }
    drop(listener);
    client.answer("tools/list", "").await;
    let _ = client.probe.changes.send(resource("x:/a"));
    client.answer("tools/list", "").await;
    assert_eq!(client.connection.stats().stray, 0);
}

#[tokio::test]
async fn odd_requests_are_answered() {
    let client = Client::open(Era::Modern).await;
    let params = |params: &str| Message::request("\"x\"", "tools/list", params).bytes().clone();
    let odd = [
        params("[1]"),
        params("[]"),
        params(r#"{"_meta":null}"#),
        params(r#"{"_meta":[]}"#),
        params(r#"{"a":1,"a":2}"#),
        params(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":null}}"#),
        r#"{"jsonrpc":"2.0","id":"1","method":"tools/list"}"#.into(),
        r#"{"jsonrpc":"2.0","id":1.5,"method":""}"#.into(),
    ];
    let odd_count = odd.len() as u64;
    for message in odd {
        client.connection.send(message).await.unwrap();
    }
    let answer = client.answer("tools/list", "").await;
    assert!(answer.contains("tools"), "{answer}");
    // We made up their ids, so the connection counts every answer as a stray one.
    assert_eq!(client.connection.stats().stray, odd_count);
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_survived() {
    let mut client = Client::open(Era::Modern).await;
    client.connection.send("{nonsense".into()).await.unwrap();
    client.connection.send(r#"{"jsonrpc":"2.0","id":9,"result":{}}"#.into()).await.unwrap();
    client.connection.send(r#"{"jsonrpc":"2.0","method":"x","params":[]}"#.into()).await.unwrap();
    assert!(client.answer("tools/list", "").await.contains("tools"));
    assert_eq!(client.connection.stats().stray, 1);
    drop(client.connection);
    assert!(client.inbox.next().await.is_none());
}
