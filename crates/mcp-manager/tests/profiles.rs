//! Which session a stateless request goes over: one that says what its client can do, and one of
//! its own if it may be asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod puppet;

use std::sync::atomic::Ordering;
use std::time::Duration;

use puppet::{ALL, Puppet, Someone, all, fleet, result, settle};
use serde_json::{Value, json};

const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

fn one(capabilities: &str) -> (Puppet, Someone) {
    let puppet = Puppet::new();
    let fleet = fleet(vec![puppet.definition("p")]);
    let someone = Someone::new(&fleet, "p", capabilities);
    (puppet, someone)
}

/// A call from its beginning to its end; which session it went over.
async fn called(puppet: &mut Puppet, someone: &Someone) -> usize {
    let exchange = someone.call("x").await;
    let (session, id) = puppet.hear_call("tools/call").await;
    puppet.answer(session, &id, &json!({}));
    result(exchange).await;
    session
}

#[tokio::test(start_paused = true)]
async fn calls_one_after_the_other_meet_one_session_and_calls_at_once_their_own() {
    let (mut puppet, someone) = one(ALL);
    let first = called(&mut puppet, &someone).await;
    assert_eq!(called(&mut puppet, &someone).await, first);

    let (one, other) = (someone.call("x").await, someone.call("y").await);
    let (a, a_id) = puppet.hear_call("tools/call").await;
    let (b, b_id) = puppet.hear_call("tools/call").await;
    assert!(a == first && a != b);
    // A list needs none of its own, and takes nobody's question.
    let list = someone.send("tools/list", "").await.unwrap();
    let (shared, list_id) = puppet.hear_call("tools/list").await;
    assert!(shared == a || shared == b);
    puppet.ask(shared, "q", "roots/list");
    puppet.notify(shared, "notifications/message", &json!({ "level": "error", "data": 1 }));
    settle().await;
    puppet.answer(shared, &list_id, &json!({ "tools": [] }));
    assert_eq!(result(list).await["cacheScope"], "private");
    let (asked, plain, plain_id, free) = match shared == a {
        true => (one, other, b_id, b),
        false => (other, one, a_id, a),
    };
    assert_eq!(result(asked).await["resultType"], "input_required");
    puppet.answer(free, &plain_id, &json!({}));
    result(plain).await;
    assert_eq!(called(&mut puppet, &someone).await, free, "the other one waits for its client");
    assert_eq!(puppet.sessions(), 3, "ours, and two");
}

#[tokio::test(start_paused = true)]
async fn those_that_can_do_other_things_meet_other_sessions() {
    let (mut puppet, someone) = one(ALL);
    let all = called(&mut puppet, &someone).await;
    let none = Someone { capabilities: "{}".into(), ..someone.clone() };
    assert_eq!(called(&mut puppet, &none).await, 0);
    let none_that_asks = Someone { capabilities: r#"{"extensions":{}}"#.into(), ..someone.clone() };
    let shared = called(&mut puppet, &none_that_asks).await;
    assert!(shared != 0 && shared != all);
    let (one, other) = (none_that_asks.call("x").await, none_that_asks.call("y").await);
    for _ in 0..2 {
        let (session, id) = puppet.hear_call("tools/call").await;
        assert_eq!(session, shared, "nothing is asked, so nothing needs to be told apart");
        puppet.answer(session, &id, &json!({}));
    }
    result(one).await;
    result(other).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_in_which_a_call_was_given_up_is_not_used_again() {
    let (mut puppet, someone) = one(ALL);
    let exchange = someone.call("x").await;
    let (given_up, _) = puppet.hear_call("tools/call").await;
    drop(exchange);
    assert_eq!(puppet.hear().await.1["method"], "notifications/cancelled");
    // The server takes no notice, and asks.
    puppet.ask(given_up, "late", "roots/list");
    assert_eq!(puppet.hear().await.1["error"]["code"], -32601);
    let exchange = someone.call("y").await;
    let (session, id) = puppet.hear_call("tools/call").await;
    assert_ne!(session, given_up);
    settle().await;
    puppet.answer(session, &id, &json!({}));
    assert_eq!(result(exchange).await["resultType"], "complete");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(puppet.open(), 2, "ours, and the new one");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_is_closed() {
    let (mut puppet, someone) = one(ALL);
    let first = called(&mut puppet, &someone).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(called(&mut puppet, &someone).await, first);
    let waiting = someone.call("y").await;
    puppet.hear_call("tools/call").await;
    let second = someone.call("z").await;
    let (idle, id) = puppet.hear_call("tools/call").await;
    puppet.answer(idle, &id, &json!({}));
    result(second).await;
    assert_eq!(puppet.open(), 3);
    tokio::time::sleep(Duration::from_secs(59)).await;
    settle().await;
    assert_eq!(puppet.open(), 3);
    assert_eq!(waiting.reply().await.unwrap_err().code(), "TIMEOUT");
    tokio::time::sleep(Duration::from_secs(16)).await;
    settle().await;
    assert_eq!(puppet.open(), 1, "only ours is open");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_session_is_served_in_order_and_not_for_ever() {
    let (mut puppet, someone) = one(ALL);
    let mut taken = Vec::new();
    for _ in 0..128 {
        let exchange = someone.call("x").await;
        taken.push((exchange, puppet.hear_call("tools/call").await));
    }
    let mut waiting = Vec::new();
    for name in ["first", "second"] {
        let someone = someone.clone();
        waiting.push(tokio::spawn(async move { someone.send("tools/call", name_of(name)).await }));
        settle().await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (exchange, (session, id)) = taken.pop().unwrap();
    puppet.answer(session, &id, &json!({}));
    result(exchange).await;
    let (_, call) = puppet.hear().await;
    assert_eq!(call["params"]["name"], "first");
    let first = waiting.remove(0).await.unwrap().unwrap();
    let late = waiting.remove(0).await.unwrap().unwrap_err();
    assert_eq!(late.code(), "MAX_OVERFLOW_REACHED", "{late}");
    drop(first);
}

fn name_of(name: &str) -> &'static str {
    if name == "first" { r#""name":"first""# } else { r#""name":"second""# }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_opens_no_further_session_is_not_asked_in_a_storm() {
    let (mut puppet, someone) = one(ALL);
    let _running = someone.call("x").await;
    puppet.hear_call("tools/call").await;
    let before = puppet.tried.load(Ordering::Relaxed);
    puppet.refuses.store(true, Ordering::Relaxed);
    for _ in 0..20 {
        let refused = someone.send("tools/call", r#""name":"t""#).await.unwrap_err();
        assert_eq!(refused.code(), "CONNECTION_FAILED", "{refused}");
    }
    assert_eq!(puppet.tried.load(Ordering::Relaxed), before + 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    puppet.refuses.store(false, Ordering::Relaxed);
    called(&mut puppet, &someone).await;
}

#[tokio::test(start_paused = true)]
async fn only_so_many_kinds_of_clients_are_known_at_a_time() {
    let (mut puppet, someone) = one(ALL);
    let kind = |number: usize| Someone {
        capabilities: format!(r#"{{"roots":{{}},"n":{number}}}"#),
        ..someone.clone()
    };
    let mut running = Vec::new();
    for number in 0..15 {
        running.push(kind(number).call("x").await);
        puppet.hear_call("tools/call").await;
    }
    let unused = called(&mut puppet, &kind(15)).await;
    assert_eq!(puppet.open(), 17);
    assert_ne!(called(&mut puppet, &kind(16)).await, unused);
    settle().await;
    assert_eq!(puppet.open(), 17, "what nobody used made room");
    running.push(kind(16).call("x").await);
    puppet.hear_call("tools/call").await;
    let refused = kind(17).send("tools/call", r#""name":"t""#).await.unwrap_err();
    assert_eq!(refused.code(), "MAX_OVERFLOW_REACHED", "{refused}");
    let long = Someone { capabilities: format!(r#"{{"x":"{}"}}"#, "x".repeat(70_000)), ..someone };
    let refused = long.send("tools/call", r#""name":"t""#).await.unwrap_err();
    assert_eq!(refused.code(), "INVALID_PARAMS", "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_request_sees_the_log_from_the_level_that_it_names() {
    let (mut puppet, someone) = one("{}");
    let at = |level: &str| someone.with_meta(&format!(r#","{LOG_LEVEL}":"{level}""#));
    let mut sessions = Vec::new();
    for (level, told) in [("warning", true), ("warning", false), ("debug", true)] {
        let exchange = at(level).call("x").await;
        if told {
            let (_, set) = puppet.hear().await;
            assert_eq!(
                (&set["method"], &set["params"]["level"]),
                (&json!("logging/setLevel"), &json!(level))
            );
        }
        let (session, id) = puppet.hear_call("tools/call").await;
        sessions.push(session);
        // Whatever the server takes notice of.
        for level in ["debug", "info", "warning", "error"] {
            puppet.notify(session, "notifications/message", &json!({ "level": level, "data": 1 }));
        }
        puppet.answer(session, &id, &json!({}));
        let (messages, _) = all(exchange).await;
        let levels: Vec<_> = messages.iter().map(|message| &message["params"]["level"]).collect();
        match level {
            "warning" => assert_eq!(levels, ["warning", "error"]),
            _ => assert_eq!(levels, ["debug", "info", "warning", "error"]),
        }
    }
    assert!(sessions.iter().all(|session| *session == sessions[0] && *session != 0));
    let refused = at("loud").send("tools/call", r#""name":"t""#).await.unwrap_err();
    assert_eq!(refused.code(), "INVALID_PARAMS");
    assert_eq!(called(&mut puppet, &someone).await, 0, "who wants no log needs no session");
    assert_eq!(puppet.rest().await, [] as [Value; 0]);
}
