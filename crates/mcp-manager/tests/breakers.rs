//! Calls that would fail are refused: by replica, by tool, for a while.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_manager::{Failure, Fleet};
use tokio::time::{Instant, sleep};

use self::troupe::{Troupe, ask_tool, call, client, fleet, settle};

/// Has calls fail until one is refused; how many there were.
async fn fail_until_refused(fleet: &Fleet, tool: &str) -> (usize, Failure) {
    for calls in 0..100 {
        match call(fleet, "a", tool).await.unwrap_err() {
            refused @ Failure::CircuitOpen { .. } => return (calls, refused),
            failure => assert_eq!(failure.code(), "TIMEOUT"),
        }
    }
    panic!("nothing was refused");
}

const QUICK: &str = r#"{"callTimeout": "1s", "retries": 0}"#;

#[tokio::test(start_paused = true)]
async fn after_five_failures_calls_are_refused_at_once_and_one_that_succeeds_ends_it() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(1, QUICK)]).await;
    troupe.mute.store(true, Ordering::Relaxed);
    let (failed, refused) = fail_until_refused(&fleet, "who").await;
    assert_eq!(failed, 5);
    assert_eq!(refused.code(), "CIRCUIT_OPEN");
    assert!(refused.to_string().contains("5 calls failed in a row"), "{refused}");
    let later = refused.retry_after().unwrap();
    assert!(later > Duration::from_secs(4) && later <= Duration::from_secs(5), "{later:?}");
    let data = refused.to_error();
    assert!(format!("{data:?}").contains("retryAfterMs"), "{data:?}");
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert!(call(&fleet, "a", "who").await.is_err());
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);

    // One that fails makes the pause longer, and no others are made beside it.
    sleep(later).await;
    assert_eq!(call(&fleet, "a", "who").await.unwrap_err().code(), "TIMEOUT");
    let again = call(&fleet, "a", "who").await.unwrap_err().retry_after().unwrap();
    assert!(again > later, "{again:?}");
    troupe.mute.store(false, Ordering::Relaxed);
    sleep(again).await;
    for _ in 0..10 {
        assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_open_hands_its_calls_to_the_others() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(2, QUICK)]).await;
    let slow: Vec<_> = (0..40)
        .map(|_| {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(async move { call(&fleet, "a", "hold").await })
        })
        .collect();
    settle().await;
    troupe.release(1);
    // Those at replica 0 all time out: it is open then.
    let mut failed = 0;
    for call in slow {
        failed += usize::from(call.await.unwrap().is_err());
    }
    assert_eq!(failed, 20);
    for _ in 0..20 {
        assert_eq!(call(&fleet, "a", "who").await, Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_has_a_breaker_of_its_own_where_that_is_said() {
    let troupe = Troupe::modern();
    let block = r#"{"callTimeout": "1s", "breaker": false,
        "tools": {"h*": {"breaker": true, "breakerFailures": 2}}}"#;
    let fleet = fleet(vec![troupe.under(1, block)]).await;
    let (failed, refused) = fail_until_refused(&fleet, "hold").await;
    assert_eq!(failed, 2);
    assert!(refused.to_string().contains(r#"tool "hold""#), "{refused}");
    assert_eq!(call(&fleet, "a", "who").await, Ok(0), "other tools go on");
}

#[tokio::test(start_paused = true)]
async fn without_one_nothing_is_refused() {
    let troupe = Troupe::modern();
    let block = r#"{"callTimeout": "1s", "breaker": false}"#;
    let fleet = fleet(vec![troupe.under(1, block)]).await;
    for _ in 0..30 {
        assert_eq!(call(&fleet, "a", "hold").await.unwrap_err().code(), "TIMEOUT");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_is_opened_again_and_not_refused() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(1, r#"{"retries": 0}"#)]).await;
    let lost: Vec<_> = (0..20)
        .map(|_| {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(async move { call(&fleet, "a", "hold").await })
        })
        .collect();
    settle().await;
    troupe.kill(0);
    for call in lost {
        assert_eq!(call.await.unwrap().unwrap_err().code(), "SERVER_UNAVAILABLE");
    }
    assert_eq!(call(&fleet, "a", "who").await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_calls_back_opens_nothing() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(1, QUICK)]).await;
    for _ in 0..50 {
        let fleet = Arc::clone(&fleet);
        let call = tokio::spawn(async move { call(&fleet, "a", "hold").await });
        settle().await;
        call.abort();
    }
    settle().await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_process_of_its_own_is_refused_alone() {
    let troupe = Troupe::legacy();
    let fleet = fleet(vec![troupe.under(1, QUICK)]).await;
    let (one, other) = (client(&fleet).await, client(&fleet).await);
    let mut codes = Vec::new();
    for _ in 0..7 {
        codes.push(ask_tool(&fleet, &one, "hold").await.unwrap_err().code());
    }
    assert_eq!(codes[..5], ["TIMEOUT"; 5]);
    assert_eq!(codes[5..], ["CIRCUIT_OPEN"; 2]);
    assert!(ask_tool(&fleet, &other, "who").await.is_ok());
}
