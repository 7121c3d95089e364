//! Replicas of one server: who gets a call, what happens when one dies, and how many there are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_manager::config::Sessions;
use mcp_manager::{Fleet, State};
use tokio::time::{Instant, sleep, timeout};

use self::troupe::{LONG, Troupe, ask_tool, call, client, fleet, settle, state, until};

fn ready(fleet: &Fleet, name: &str) -> usize {
    match state(fleet, name) {
        State::Ready { replicas, .. } => replicas,
        _ => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_together_are_spread() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.definition("a", 3)]).await;
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(async move { call(&fleet, "a", "hold").await })
        })
        .collect();
    settle().await;
    let load: Vec<usize> =
        fleet.server("a").unwrap().replica_status().iter().map(|status| status.in_flight).collect();
    assert_eq!(load, [4, 4, 4]);
    (0..3).for_each(|life| troupe.release(life));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    settle().await;
    let statuses = fleet.server("a").unwrap().replica_status();
    let numbers: Vec<usize> = statuses.iter().map(|status| status.number).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(statuses.iter().all(|status| status.state == "ready" && status.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_is_started_again_by_itself_and_the_others_answer_meanwhile() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.definition("a", 3)]).await;
    troupe.kill(1);
    settle().await;
    assert_eq!(ready(&fleet, "a"), 2);
    for _ in 0..10 {
        assert_ne!(call(&fleet, "a", "who").await.unwrap(), 1);
    }
    until(|| ready(&fleet, "a") == 3).await;
    assert_eq!((troupe.lives(), troupe.alive()), (4, vec![0, 2, 3]));
    let totals = fleet.server("a").unwrap().totals();
    assert_eq!((totals.started, totals.restarted, totals.failed), (4, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_restart_of_the_only_one() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.definition("a", 1)]).await;
    troupe.kill(0);
    settle().await;
    assert_eq!(state(&fleet, "a").word(), "restarting");
    let begun = Instant::now();
    assert_eq!(call(&fleet, "a", "who").await, Ok(1));
    // One pause, for it had not run for long.
    assert!(begun.elapsed() <= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_starts_fail_the_reason_is_told_at_once_and_a_call_hurries_the_next_try() {
    let troupe = Troupe::modern();
    troupe.refuses.store(true, Ordering::Relaxed);
    let mut plan = mcp_manager::Plan::default();
    plan.servers = vec![troupe.definition("a", 1)];
    let fleet = Fleet::new(plan).unwrap();
    fleet.start();
    // The pauses grow: 1, 2, 4 and so on to a minute.
    sleep(Duration::from_secs(600)).await;
    let tried = troupe.tried.load(Ordering::Relaxed);
    assert!((12..20).contains(&tried), "{tried}");
    let begun = Instant::now();
    let failure = call(&fleet, "a", "who").await.unwrap_err();
    assert_eq!((failure.code(), begun.elapsed()), ("CONNECTION_FAILED", Duration::ZERO));
    assert!(failure.to_string().contains("it is tried again in"), "{failure}");
    troupe.refuses.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answered_before_is_waited_for_and_not_for_ever() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.definition("a", 1)]).await;
    troupe.refuses.store(true, Ordering::Relaxed);
    troupe.kill(0);
    settle().await;
    let begun = Instant::now();
    let failure = call(&fleet, "a", "who").await.unwrap_err();
    assert_eq!(failure.code(), "CONNECTION_FAILED", "{failure}");
    let waited = begun.elapsed();
    assert!((4..7).contains(&waited.as_secs()), "{waited:?}");
    let begun = Instant::now();
    call(&fleet, "a", "who").await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO, "who comes later is told at once");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_its_start_keeps_no_call_longer_than_the_start_may_take() {
    let troupe = Troupe::modern();
    troupe.mute.store(true, Ordering::Relaxed);
    let mut plan = mcp_manager::Plan::default();
    plan.servers = vec![troupe.definition("a", 1), Troupe::modern().definition("b", 1)];
    let fleet = Fleet::new(plan).unwrap();
    fleet.start();
    let begun = Instant::now();
    let failure = call(&fleet, "a", "who").await.unwrap_err();
    assert_eq!(failure.code(), "TIMEOUT");
    assert_eq!(begun.elapsed().as_secs(), 30);
    // Nobody else notices.
    assert_eq!(call(&fleet, "b", "who").await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn sharers_of_a_session_keep_to_their_replica_until_it_is_gone() {
    let troupe = Troupe::legacy();
    let mut definition = troupe.definition("a", 2);
    definition.settings.sessions = Sessions::Shared;
    let fleet = fleet(vec![definition]).await;
    let clients = [client(&fleet).await, client(&fleet).await];
    let mut homes = Vec::new();
    for client in &clients {
        homes.push(ask_tool(&fleet, client, "who").await.unwrap());
    }
    assert_ne!(homes[0], homes[1]);
    for _ in 0..4 {
        for (client, home) in clients.iter().zip(&homes) {
            assert_eq!(ask_tool(&fleet, client, "who").await, Ok(*home));
        }
    }
    troupe.kill(homes[0]);
    settle().await;
    assert_eq!(ask_tool(&fleet, &clients[0], "who").await, Ok(homes[1]));
}

#[tokio::test(start_paused = true)]
async fn scaled_by_hand_those_that_are_too_many_finish_their_calls() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.definition("a", 1)]).await;
    fleet.scale("a", 3).await.unwrap();
    until(|| ready(&fleet, "a") == 3).await;
    sleep(LONG).await;
    assert_eq!(troupe.alive(), [0, 1, 2], "the first is the same as before");

    let calls: Vec<_> = (0..3)
        .map(|_| {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(async move { call(&fleet, "a", "hold").await })
        })
        .collect();
    settle().await;
    let scaled = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.scale("a", 1).await })
    };
    settle().await;
    assert_eq!(fleet.server("a").unwrap().replicas(), 1);
    for _ in 0..3 {
        assert_eq!(call(&fleet, "a", "who").await, Ok(0), "no new call goes there");
    }
    assert_eq!(troupe.alive(), [0, 1, 2], "calls are under way");
    (0..3).for_each(|life| troupe.release(life));
    for held in calls {
        held.await.unwrap().unwrap();
    }
    scaled.await.unwrap().unwrap();
    settle().await;
    assert_eq!(troupe.alive(), [0]);
    for nonsense in [0, 65] {
        assert_eq!(fleet.scale("a", nonsense).await.unwrap_err().code(), "INVALID_PARAMS");
    }
}

#[tokio::test(start_paused = true)]
async fn their_number_follows_the_load_and_the_cool_down() {
    let troupe = Troupe::modern();
    let mut definition = troupe.definition("a", 1);
    definition.settings.scaling.replicas_max = 3;
    definition.settings.scaling.target = 2;
    definition.settings.scaling.cooldown = Duration::from_secs(20);
    definition.settings.call_timeout = LONG;
    let fleet = fleet(vec![definition]).await;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(async move { call(&fleet, "a", "hold").await })
        })
        .collect();
    until(|| ready(&fleet, "a") == 3).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ready(&fleet, "a"), 3, "the load is still there");
    (0..3).for_each(|life| troupe.release(life));
    for held in calls {
        held.await.unwrap().unwrap();
    }
    sleep(Duration::from_secs(19)).await;
    assert_eq!(ready(&fleet, "a"), 3, "it is not over yet");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(ready(&fleet, "a"), 1);
    assert_eq!(troupe.alive(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_stops_in_time_whatever_its_replicas_are_doing() {
    let [starting, backing_off, running] = [Troupe::modern(), Troupe::modern(), Troupe::modern()];
    starting.mute.store(true, Ordering::Relaxed);
    backing_off.refuses.store(true, Ordering::Relaxed);
    let mut plan = mcp_manager::Plan::default();
    plan.servers = vec![
        starting.definition("starting", 2),
        backing_off.definition("backing-off", 2),
        running.definition("running", 2),
    ];
    let fleet = Arc::new(Fleet::new(plan).unwrap());
    fleet.start();
    sleep(Duration::from_secs(2)).await;
    // In the middle of being scaled, and of an update that does not get ready.
    let scaled = fleet.scale("running", 4).await;
    assert_eq!(scaled, Ok(()));
    let update = {
        let fleet = Arc::clone(&fleet);
        let definition = starting.definition("running", 1);
        tokio::spawn(async move { fleet.update(definition).await })
    };
    settle().await;
    let begun = Instant::now();
    timeout(LONG, fleet.stop()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(update.await.unwrap().is_err());
    settle().await;
    for troupe in [&starting, &backing_off, &running] {
        assert!(troupe.alive().is_empty(), "{:?}", troupe.alive());
    }
    let (opened, tried) = (running.lives(), backing_off.tried.load(Ordering::Relaxed));
    assert_eq!(call(&fleet, "running", "who").await.unwrap_err().code(), "STOPPING");
    sleep(LONG).await;
    assert_eq!((running.lives(), backing_off.tried.load(Ordering::Relaxed)), (opened, tried));
}
