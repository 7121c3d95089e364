//! How many calls there may be at a time and in a time, who waits, and who is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;
use std::time::Duration;

use mcp_manager::{Failure, Fleet};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use self::troupe::{Troupe, ask_tool, call, client, fleet, settle};

fn begin(fleet: &Arc<Fleet>, tool: &'static str) -> JoinHandle<Result<usize, Failure>> {
    let fleet = Arc::clone(fleet);
    tokio::spawn(async move { call(&fleet, "a", tool).await })
}

fn in_flight(fleet: &Fleet) -> Vec<usize> {
    let statuses = fleet.server("a").unwrap().replica_status();
    statuses.iter().map(|status| status.in_flight).collect()
}

#[tokio::test(start_paused = true)]
async fn a_replica_has_so_many_calls_others_wait_and_more_are_refused_at_once() {
    let troupe = Troupe::modern();
    let block = r#"{"maxConcurrent": 2, "maxQueued": 3}"#;
    let fleet = fleet(vec![troupe.under(2, block)]).await;
    let mut calls: Vec<_> = (0..4).map(|_| begin(&fleet, "hold")).collect();
    settle().await;
    assert_eq!(in_flight(&fleet), [2, 2]);
    // Each replica has a queue of its own.
    calls.extend((0..3).map(|_| begin(&fleet, "hold")));
    settle().await;
    assert_eq!(in_flight(&fleet), [2, 2], "they wait");
    assert_eq!(fleet.server("a").unwrap().queue(), (4, 3));
    let mut refused = 0;
    for _ in 0..10 {
        let begun = Instant::now();
        let more = begin(&fleet, "hold");
        settle().await;
        if more.is_finished() {
            let failure = more.await.unwrap().unwrap_err();
            assert_eq!(failure.code(), "OVERLOADED");
            assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
            refused += 1;
        }
    }
    assert!(refused >= 7, "{refused}");
    (0..2).for_each(|life| troupe.release(life));
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_too_long_is_told_and_who_goes_away_leaves_no_trace() {
    let troupe = Troupe::modern();
    let block = r#"{"maxConcurrent": 1, "maxWait": "2s"}"#;
    let fleet = fleet(vec![troupe.under(1, block)]).await;
    let held = begin(&fleet, "hold");
    settle().await;
    let gone = begin(&fleet, "hold");
    settle().await;
    gone.abort();
    let begun = Instant::now();
    let failure = call(&fleet, "a", "who").await.unwrap_err();
    assert_eq!((failure.code(), begun.elapsed()), ("OVERLOADED", Duration::from_secs(2)));
    assert!(failure.to_string().contains("did not come within 2s"), "{failure}");
    troupe.release(0);
    assert!(held.await.unwrap().is_ok());
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    assert_eq!(fleet.server("a").unwrap().queue(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_tool_has_a_limit_of_its_own_and_leaves_the_others_alone() {
    let troupe = Troupe::modern();
    let block = r#"{"tools": {"hold": {"maxConcurrent": 2, "maxQueued": 0}}}"#;
    let fleet = fleet(vec![troupe.under(2, block)]).await;
    let held: Vec<_> = (0..2).map(|_| begin(&fleet, "hold")).collect();
    settle().await;
    let failure = call(&fleet, "a", "hold").await.unwrap_err();
    assert!(failure.to_string().contains(r#"tool "hold""#), "{failure}");
    assert!(call(&fleet, "a", "who").await.is_ok());
    (0..2).for_each(|life| troupe.release(life));
    for call in held {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_makes_so_many_calls_in_a_time_and_others_go_on() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(1, r#"{"rateLimit": "5/s"}"#)]).await;
    let (one, other) = (client(&fleet).await, client(&fleet).await);
    for _ in 0..5 {
        assert!(ask_tool(&fleet, &one, "who").await.is_ok());
    }
    let failure = ask_tool(&fleet, &one, "who").await.unwrap_err();
    assert_eq!(failure.code(), "RATE_LIMITED");
    assert!(failure.retry_after().unwrap() <= Duration::from_millis(200));
    assert!(ask_tool(&fleet, &other, "who").await.is_ok());
    sleep(Duration::from_millis(200)).await;
    assert!(ask_tool(&fleet, &one, "who").await.is_ok());
}

/// Ten times as many calls as can be done, each tool's work held for 20 ms.
#[tokio::test(start_paused = true)]
async fn fault_34_ten_times_too_many_calls_cost_those_that_are_refused_no_time() {
    let troupe = Troupe::modern();
    let block = r#"{"maxConcurrent": 8, "maxQueued": 16}"#;
    let fleet = fleet(vec![troupe.under(1, block)]).await;
    let (mut calls, mut done, mut refused) = (tokio::task::JoinSet::new(), 0, 0);
    // 8 at a time, each held until the next tick of 20 ms: 400 a second. 4,000 a second come.
    for tick in 0..50 {
        for _ in 0..80 {
            let fleet = Arc::clone(&fleet);
            calls.spawn(async move {
                let begun = Instant::now();
                (call(&fleet, "a", "hold").await, begun.elapsed())
            });
        }
        sleep(Duration::from_millis(20)).await;
        troupe.release(0);
        settle().await;
        troupe.hold(0);
        let _ = tick;
    }
    troupe.release(0);
    while let Some(Ok((outcome, took))) = calls.join_next().await {
        match outcome {
            Ok(_) => done += 1,
            Err(failure) => {
                assert_eq!(failure.code(), "OVERLOADED");
                assert!(took < Duration::from_millis(10), "{took:?}");
                refused += 1;
            }
        }
    }
    assert!(done >= 50 * 8 * 9 / 10, "{done} of {}", 50 * 8);
    assert_eq!(done + refused, 4_000);
}

/// One client with a hundred calls at a time, another with one.
#[tokio::test(start_paused = true)]
async fn fault_35_one_client_with_many_calls_does_not_keep_another_waiting() {
    let troupe = Troupe::modern();
    let block = r#"{"maxConcurrent": 1, "maxQueued": 200, "maxWait": "1h"}"#;
    let mut shared = troupe.under(1, block);
    shared.settings.sessions = mcp_manager::config::Sessions::Shared;
    let fleet = fleet(vec![shared]).await;
    let (greedy, modest) = (client(&fleet).await, client(&fleet).await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (fleet, greedy) = (Arc::clone(&fleet), Arc::clone(&greedy));
        calls.spawn(async move { ask_tool(&fleet, &greedy, "hold").await });
    }
    settle().await;
    let (fleet_of_modest, begun) = (Arc::clone(&fleet), Instant::now());
    let modest = tokio::spawn(async move { ask_tool(&fleet_of_modest, &modest, "who").await });
    // Each call is held for 100 ms.
    while !modest.is_finished() {
        sleep(Duration::from_millis(100)).await;
        troupe.release(0);
        settle().await;
        troupe.hold(0);
    }
    assert!(modest.await.unwrap().is_ok());
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
}
