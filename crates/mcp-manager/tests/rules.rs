//! Calls that do not go where their name says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;

use mcp_manager::config::{CheckKind, Config, ProcessLookup};
use mcp_manager::{Definition, Fleet, Plan};

use self::troupe::{Troupe, ask_tool, call, call_marked, client, settle, state, until};

fn config(rules: &str) -> Config {
    let file = format!(
        r#"{{"mcpServers": {{"a": {{"command": "x"}}, "b": {{"command": "x"}}}},
            "manager": {{"rules": {rules}}}}}"#
    );
    Config::parse(&file, "mcp.json", &ProcessLookup).unwrap()
}

fn definition(troupe: &Arc<Troupe>, name: &str) -> Definition {
    let mut definition = troupe.definition(name, 1);
    definition.settings.checks.kind = CheckKind::None;
    definition
}

/// Two servers under these rules.
async fn ruled(rules: &str) -> (Arc<Fleet>, Arc<Troupe>, Arc<Troupe>, Plan) {
    let (a, b) = (Troupe::modern(), Troupe::modern());
    let mut plan = Plan::default();
    plan.servers = vec![definition(&a, "a"), definition(&b, "b")];
    plan.settings = config(rules).settings;
    let fleet = Arc::new(Fleet::new(plan.clone()).unwrap());
    fleet.start();
    until(|| ["a", "b"].iter().all(|name| state(&fleet, name).word() == "ready")).await;
    settle().await;
    (fleet, a, b, plan)
}

fn calls(troupe: &Troupe) -> usize {
    (0..troupe.lives()).map(|life| troupe.told(life, "tools/call")).sum()
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_holds_sends_a_call_elsewhere_or_refuses_it() {
    let (fleet, a, b, mut plan) = ruled(
        r#"[
        {"name": "no marks", "when": {"arguments": [{"at": "/mark", "is": {"equals": "no"}}]},
         "then": {"deny": "it is marked"}},
        {"name": "who", "when": {"servers": ["a"], "tools": ["wh?"]}, "then": {"route": "b"}}
    ]"#,
    )
    .await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    assert_eq!((calls(&a), calls(&b)), (0, 1));
    let refused = call_marked(&fleet, "b", "who", "no").await.unwrap_err();
    assert_eq!(refused.code(), "DENIED");
    assert!(refused.to_string().contains("it is marked"), "{refused}");
    assert_eq!((calls(&a), calls(&b)), (0, 1), "nobody heard of it");
    let stats = fleet.rule_stats().unwrap();
    assert_eq!((stats.rules[0].matches, stats.rules[1].matches, stats.denied), (1, 1, 1));

    // A reload changes the rules, and nothing that runs.
    plan.settings = config("[]").settings;
    let changes = fleet.apply(plan).await;
    assert_eq!(changes.unchanged.len(), 2);
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    assert_eq!((calls(&a), calls(&b)), (1, 1));
    assert_eq!(fleet.rule_stats(), None);
}

#[tokio::test(start_paused = true)]
async fn a_split_goes_by_weight_and_a_copy_costs_its_call_nothing() {
    let (fleet, a, b, _) = ruled(
        r#"[{"name": "new", "when": {"servers": ["a"], "tools": ["who"]},
             "then": {"split": [{"server": "a", "weight": 1}, {"server": "b", "weight": 3}]}},
            {"name": "copy", "when": {"tools": ["peek"]}, "mirror": {"server": "b"}}]"#,
    )
    .await;
    for _ in 0..400 {
        assert!(call(&fleet, "a", "who").await.is_ok());
    }
    assert!((60..140).contains(&calls(&a)), "{}", calls(&a));
    let before = (calls(&a), calls(&b));
    a.release(0);
    // Its copy is held, and nobody waits for that.
    assert_eq!(call(&fleet, "a", "peek").await, Ok(0));
    settle().await;
    assert_eq!((calls(&a), calls(&b)), (before.0 + 1, before.1 + 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_elsewhere_is_repeated_there_and_falls_back() {
    let (fleet, a, b, _) = ruled(
        r#"[{"name": "peek", "when": {"servers": ["a"], "tools": ["peek", "who"]},
             "then": {"route": "b"}, "fallback": "a"}]"#,
    )
    .await;
    let under_way = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { call(&fleet, "a", "peek").await })
    };
    settle().await;
    b.kill(0);
    until(|| b.lives() == 2).await;
    settle().await;
    b.release(1);
    assert_eq!(under_way.await.unwrap(), Ok(1));
    b.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    b.kill(1);
    settle().await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    assert_eq!(calls(&a), 1);
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_apart_by_what_they_call_themselves() {
    let (fleet, _, _, _) = ruled(
        r#"[{"name": "strangers", "when": {"clients": ["evil*"]}, "then": {"deny": "go away"}}]"#,
    )
    .await;
    let nameless = client(&fleet).await;
    assert!(ask_tool(&fleet, &nameless, "a__who").await.is_ok());
    let evil = fleet.connect(fleet.everything());
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},
        "clientInfo":{"name":"evil-1","version":"1"}}"#;
    let hello = mcp_wire::Message::request("0", "initialize", params);
    let hello = mcp_wire::Request::read(hello).unwrap();
    fleet.initialize(&evil, &hello).await.unwrap();
    assert_eq!(ask_tool(&fleet, &evil, "a__who").await.unwrap_err().code(), "DENIED");
}
