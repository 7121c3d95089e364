//! Replicas that stand by: who serves, who takes over, and who serves again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_manager::Fleet;
use tokio::time::{Instant, sleep};

use self::troupe::{Troupe, ask_tool, call, client, fleet, settle, until};

/// The replicas that answer calls which come together.
async fn who(fleet: &Arc<Fleet>, troupe: &Troupe) -> BTreeSet<usize> {
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let fleet = Arc::clone(fleet);
            tokio::spawn(async move { call(&fleet, "a", "peek").await })
        })
        .collect();
    settle().await;
    (0..troupe.lives()).for_each(|life| troupe.release(life));
    let mut lives = BTreeSet::new();
    for call in calls {
        lives.insert(call.await.unwrap().unwrap());
    }
    (0..troupe.lives()).for_each(|life| troupe.hold(life));
    lives
}

fn set<const N: usize>(lives: [usize; N]) -> BTreeSet<usize> {
    lives.into()
}

#[tokio::test(start_paused = true)]
async fn one_serves_another_takes_over_at_once_and_the_first_comes_back_when_it_is_trusted() {
    let troupe = Troupe::modern();
    let block = r#"{"failover": "active-passive", "failback": "30s"}"#;
    let fleet = fleet(vec![troupe.under(3, block)]).await;
    assert_eq!(who(&fleet, &troupe).await, set([0]));
    let begun = Instant::now();
    troupe.kill(0);
    settle().await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(1));
    assert!(begun.elapsed() < Duration::from_millis(5), "{:?}", begun.elapsed());
    // Life 3 is replica 0 again.
    until(|| troupe.lives() == 4).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(who(&fleet, &troupe).await, set([1]));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(who(&fleet, &troupe).await, set([3]));
    let changes = fleet.server("a").unwrap().failovers();
    let words: Vec<_> = changes.iter().map(|change| change.why.word()).collect();
    assert_eq!(words[words.len() - 2..], ["failed", "failback"], "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn spares_stand_in_for_any_of_the_others() {
    let troupe = Troupe::modern();
    let block = r#"{"failover": "n-plus-one", "standby": 1, "failback": "manual"}"#;
    let fleet = fleet(vec![troupe.under(3, block)]).await;
    assert_eq!(who(&fleet, &troupe).await, set([0, 1]));
    troupe.kill(1);
    settle().await;
    assert_eq!(who(&fleet, &troupe).await, set([0, 2]));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(who(&fleet, &troupe).await, set([0, 2]), "until somebody says so");
    assert_eq!(fleet.fail_back("a"), Ok(vec![0, 1]));
    assert_eq!(who(&fleet, &troupe).await, set([0, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_place_is_left_when_nobody_is_well_there() {
    let troupe = Troupe::modern();
    let block = r#"{"failover": "cross-datacenter", "zones": ["near", "near", "far"]}"#;
    let fleet = fleet(vec![troupe.under(4, block)]).await;
    assert_eq!(who(&fleet, &troupe).await, set([0, 1]));
    fleet.drain_replica("a", 0).await.unwrap();
    assert_eq!(who(&fleet, &troupe).await, set([1]));
    fleet.drain_replica("a", 1).await.unwrap();
    assert_eq!(who(&fleet, &troupe).await, set([2, 3]));
}

#[tokio::test(start_paused = true)]
async fn an_operator_says_who_serves_and_takes_it_back() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(3, r#"{"failover": "active-passive"}"#)]).await;
    assert_eq!(fleet.fail_over("a", Some(2)), Ok(vec![2]));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(who(&fleet, &troupe).await, set([2]));
    assert_eq!(fleet.fail_over("a", None), Ok(vec![0]));
    assert!(fleet.fail_over("a", Some(7)).unwrap_err().to_string().contains("no member 7"));
    assert_eq!(fleet.fail_back("a"), Ok(vec![0]));
    let plain = Troupe::modern();
    let other = troupe::fleet(vec![plain.under(2, "{}")]).await;
    let refused = other.fail_over("a", None).unwrap_err().to_string();
    assert!(refused.contains("all replicas of server \"a\" serve"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn all_that_are_left_serve_whoever_stands_by() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.under(2, r#"{"failover": "active-passive"}"#)]).await;
    troupe.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    troupe.kill(0);
    settle().await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(1));
    troupe.refuses.store(false, std::sync::atomic::Ordering::Relaxed);
    troupe.kill(1);
    settle().await;
    assert!(call(&fleet, "a", "who").await.is_ok(), "the first that comes back");
}

#[tokio::test(start_paused = true)]
async fn shared_sessions_go_where_somebody_serves() {
    let troupe = Troupe::legacy();
    let mut shared = troupe.under(2, r#"{"failover": "active-passive"}"#);
    shared.settings.sessions = mcp_manager::config::Sessions::Shared;
    let fleet = fleet(vec![shared]).await;
    let client = client(&fleet).await;
    let first = ask_tool(&fleet, &client, "who").await.unwrap();
    troupe.kill(first);
    settle().await;
    assert_ne!(ask_tool(&fleet, &client, "who").await.unwrap(), first);
}
