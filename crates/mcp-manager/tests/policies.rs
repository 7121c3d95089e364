//! How calls are treated: repeats, hedges, attempts with less time, another server; and that a change
//! of that alone touches nothing that runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_manager::config::CheckKind;
use mcp_manager::{Fleet, Plan};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use self::troupe::{Troupe, call, fleet, settings, settle};

fn begin(
    fleet: &Arc<Fleet>,
    tool: &'static str,
) -> JoinHandle<Result<usize, mcp_manager::Failure>> {
    let fleet = Arc::clone(fleet);
    tokio::spawn(async move { call(&fleet, "a", tool).await })
}

/// Which lives were asked for a tool.
fn asked(troupe: &Troupe, tool: &str) -> Vec<usize> {
    let name = format!("{tool:?}");
    (0..troupe.lives()).filter(|life| troupe.was_told(*life, &name)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_only_reads_and_is_late_is_sent_to_another_replica_and_the_first_answer_counts()
{
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(2, r#"{"hedge": "50ms"}"#)]).await;
    let begun = Instant::now();
    let late = begin(&fleet, "peek");
    settle().await;
    let first = asked(&troupe, "peek");
    assert_eq!(first.len(), 1);
    sleep(Duration::from_millis(48)).await;
    assert_eq!(asked(&troupe, "peek").len(), 1, "it is not late yet");
    sleep(Duration::from_millis(4)).await;
    let second = 1 - first[0];
    assert_eq!(asked(&troupe, "peek"), [0, 1]);
    troupe.release(second);
    assert_eq!(late.await.unwrap(), Ok(second));
    assert!(begun.elapsed() < Duration::from_millis(60));
    settle().await;
    assert!(troupe.was_told(first[0], "notifications/cancelled"), "the other one may stop");
    assert!(!troupe.was_told(second, "notifications/cancelled"));
}

#[tokio::test(start_paused = true)]
async fn the_first_one_may_still_win_and_when_it_dies_the_second_one_does() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(2, r#"{"hedge": "50ms"}"#)]).await;
    let late = begin(&fleet, "peek");
    settle().await;
    let first = asked(&troupe, "peek")[0];
    sleep(Duration::from_millis(60)).await;
    troupe.release(first);
    assert_eq!(late.await.unwrap(), Ok(first));
    settle().await;
    assert!(troupe.was_told(1 - first, "notifications/cancelled"));

    let troupe = Troupe::modern();
    let fleet = troupe::fleet(vec![troupe.under(2, r#"{"hedge": "50ms"}"#)]).await;
    let late = begin(&fleet, "peek");
    settle().await;
    let first = asked(&troupe, "peek")[0];
    sleep(Duration::from_millis(60)).await;
    troupe.kill(first);
    settle().await;
    troupe.release(1 - first);
    assert_eq!(late.await.unwrap(), Ok(1 - first));
}

#[tokio::test(start_paused = true)]
async fn what_may_change_something_is_sent_once_however_late_it_is() {
    let troupe = Troupe::modern();
    let block = r#"{"hedge": "50ms", "attemptTimeout": "1s", "tools": {"h*": {"retries": 10}}}"#;
    let fleet = fleet(vec![troupe.under(3, block)]).await;
    let late = begin(&fleet, "hold");
    sleep(Duration::from_secs(20)).await;
    let asked_now = asked(&troupe, "hold");
    assert_eq!(asked_now.len(), 1);
    troupe.kill(asked_now[0]);
    assert_eq!(late.await.unwrap().unwrap_err().code(), "SERVER_UNAVAILABLE");
    assert_eq!(asked(&troupe, "hold"), asked_now);
}

#[tokio::test(start_paused = true)]
async fn hedges_are_learned_from_what_calls_take() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(2, r#"{"hedge": true}"#)]).await;
    for _ in 0..30 {
        let held = begin(&fleet, "peek");
        sleep(Duration::from_millis(100)).await;
        (0..2).for_each(|life| troupe.release(life));
        assert!(held.await.unwrap().is_ok());
        (0..2).for_each(|life| troupe.hold(life));
    }
    let sent =
        |troupe: &Troupe| -> usize { (0..2).map(|life| troupe.told(life, "\"peek\"")).sum() };
    assert_eq!(sent(&troupe), 30, "none of them was late");
    let late = begin(&fleet, "peek");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(sent(&troupe), 32);
    (0..2).for_each(|life| troupe.release(life));
    assert!(late.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_silent_for_too_long_goes_elsewhere_and_the_last_one_has_all_the_time() {
    let troupe = Troupe::modern();
    let block = r#"{"attemptTimeout": "1s", "callTimeout": "30s", "retries": 2}"#;
    let fleet = fleet(vec![troupe.under(3, block)]).await;
    let begun = Instant::now();
    let slow = begin(&fleet, "peek");
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(asked(&troupe, "peek"), [0, 1, 2]);
    sleep(Duration::from_secs(20)).await;
    (0..3).for_each(|life| troupe.release(life));
    assert!(slow.await.unwrap().is_ok());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn no_retries_means_none_and_the_error_says_so() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(2, r#"{"retries": 0}"#)]).await;
    let lost = begin(&fleet, "peek");
    settle().await;
    let first = asked(&troupe, "peek");
    troupe.kill(first[0]);
    let failure = lost.await.unwrap().unwrap_err();
    assert!(failure.to_string().contains("its policy wants no repeats"), "{failure}");
    assert_eq!(asked(&troupe, "peek"), first);
}

#[tokio::test(start_paused = true)]
async fn a_policy_may_say_that_a_tool_is_repeatable_or_that_it_is_not() {
    for (block, repeated) in [
        (r#"{"tools": {"ho?d": {"repeatable": true}}}"#, true),
        (r#"{"repeatable": true, "tools": {"*": {"repeatable": false}}}"#, false),
    ] {
        let troupe = Troupe::modern();
        let fleet = fleet(vec![troupe.under(2, block)]).await;
        let lost = begin(&fleet, "hold");
        settle().await;
        let first = asked(&troupe, "hold")[0];
        troupe.kill(first);
        settle().await;
        troupe.release(1 - first);
        assert_eq!(lost.await.unwrap().is_ok(), repeated, "{block}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_is_asked_when_its_own_cannot_be_had() {
    let (own, other) = (Troupe::modern(), Troupe::modern());
    let mut second = other.definition("b", 1);
    second.settings.checks.kind = CheckKind::None;
    let fleet = fleet(vec![own.under(1, r#"{"fallback": "b"}"#), second]).await;
    assert!(call(&fleet, "a", "who").await.is_ok());
    assert!(!other.was_told(0, "tools/call"));
    own.refuses.store(true, Ordering::Relaxed);
    own.kill(0);
    for _ in 0..3 {
        assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    }
    assert!(other.was_told(0, "tools/call"));
    let failure = call(&fleet, "a", "nobody's").await.unwrap_err();
    assert_eq!(failure.server(), Some("a"), "what the other one does not offer is not asked of it");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_policies_alone_touches_nothing_that_runs() {
    let troupe = Troupe::modern();
    let first = troupe.under(2, r#"{"retries": 2}"#);
    let fleet = fleet(vec![first.clone()]).await;
    let under_way = begin(&fleet, "hold");
    settle().await;
    for (block, changed) in [
        (r#"{"retries": 2}"#, false),
        (r#"{"retries": 0, "balance": "round-robin"}"#, true),
        (r#"{"retries": 0, "balance": "round-robin"}"#, false),
        (r#"{"tools": {"*": {"retries": 1}}}"#, true),
    ] {
        let mut plan = Plan::default();
        let mut next = first.clone();
        let settings = settings(block);
        (next.settings.policy, next.settings.tools) = (settings.policy, settings.tools);
        plan.servers = vec![next];
        let changes = fleet.apply(plan).await;
        assert_eq!(changes.changed.len(), usize::from(changed), "{block}");
        assert!(call(&fleet, "a", "who").await.is_ok());
    }
    assert_eq!((troupe.lives(), troupe.alive()), (2, vec![0, 1]));
    (0..2).for_each(|life| troupe.release(life));
    assert!(under_way.await.unwrap().is_ok());
}
