//! A fleet that changes while it is used: servers come, go, are replaced, stopped and started.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_manager::{Action, Client, Definition, Failure, Fleet, Plan};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use self::troupe::{LONG, Troupe, ask, ask_tool, call, client, fleet, settle, state, until};

/// A call that is under way until its life is told to end it.
async fn hold(fleet: &Arc<Fleet>, name: &'static str) -> JoinHandle<Result<usize, Failure>> {
    let fleet = Arc::clone(fleet);
    let held = tokio::spawn(async move { call(&fleet, name, "hold").await });
    settle().await;
    held
}

/// The same server by another definition.
fn changed(mut definition: Definition) -> Definition {
    definition.settings.call_timeout += Duration::from_secs(1);
    definition
}

fn plan(servers: Vec<Definition>) -> Plan {
    let mut plan = Plan::default();
    plan.servers = servers;
    plan
}

/// What a client is told by now, as methods.
async fn told(client: &Client) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(message) = timeout(Duration::from_secs(1), client.next_message()).await {
        told.push(message.method().to_owned());
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_added_is_used_and_clients_hear_of_it() {
    let (one, other, third) = (Troupe::modern(), Troupe::modern(), Troupe::modern());
    let fleet = fleet(vec![one.definition("one", 1), other.definition("other", 1)]).await;
    let client = client(&fleet).await;
    ask(&fleet, &client, "tools/list", "{}").await.unwrap();
    told(&client).await;
    fleet.add(third.definition("third", 1)).await.unwrap();
    until(|| state(&fleet, "third").word() == "ready").await;
    assert!(told(&client).await.iter().any(|method| method.contains("tools/list_changed")));
    assert_eq!(ask_tool(&fleet, &client, "third__who").await, Ok(0));
    let again = fleet.add(third.definition("third", 1)).await.unwrap_err();
    assert_eq!(again.code(), "SERVER_ALREADY_EXISTS");
    assert_eq!(fleet.add(third.definition("a/b", 1)).await.unwrap_err().code(), "CONFIG_ERROR");
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_there_before_what_is_old_goes_and_no_call_is_cut() {
    let (troupe, neighbour) = (Troupe::modern(), Troupe::modern());
    let definition = troupe.definition("a", 2);
    let fleet = fleet(vec![definition.clone(), neighbour.definition("b", 1)]).await;
    let held = hold(&fleet, "a").await;
    let update = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.update(changed(definition)).await })
    };
    until(|| troupe.lives() == 4).await;
    settle().await;
    for _ in 0..4 {
        assert!(call(&fleet, "a", "who").await.unwrap() >= 2, "new calls meet what is new");
    }
    assert!(troupe.alive().contains(&0), "a call is under way there");
    (0..2).for_each(|life| troupe.release(life));
    assert!(held.await.unwrap().unwrap() < 2);
    assert_eq!(update.await.unwrap(), Ok(()));
    settle().await;
    assert_eq!(troupe.alive(), [2, 3]);
    assert_eq!((neighbour.lives(), neighbour.alive()), (1, vec![0]), "nobody has touched it");
    assert_eq!(fleet.server("a").unwrap().totals().started, 4);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_start_replaces_nothing() {
    let troupe = Troupe::modern();
    let definition = troupe.definition("a", 1);
    let fleet = fleet(vec![definition.clone()]).await;
    troupe.refuses.store(true, Ordering::Relaxed);
    let failure = fleet.update(changed(definition.clone())).await.unwrap_err();
    assert_eq!(failure.code(), "CONNECTION_FAILED");
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    let changes = fleet.apply(plan(vec![changed(definition)])).await;
    assert_eq!((changes.failed.len(), changes.changed.len()), (1, 0));
    assert_eq!(call(&fleet, "a", "who").await, Ok(0));
    // A pause of what was given up would end by now.
    tokio::time::sleep(LONG).await;
    assert_eq!(troupe.tried.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_opened_anew_and_told_what_they_were_told() {
    let (troupe, other) = (Troupe::legacy(), Troupe::modern());
    let definition = troupe.definition("a", 1);
    let fleet = fleet(vec![definition.clone(), other.definition("b", 1)]).await;
    let client = client(&fleet).await;
    assert_eq!(ask_tool(&fleet, &client, "a__who").await, Ok(1));
    ask(&fleet, &client, "logging/setLevel", r#"{"level":"error"}"#).await.unwrap();
    let uri = mcp_wire::Message::request("0", "x", r#"{"uri":"a+test://x"}"#);
    ask(&fleet, &client, "resources/subscribe", uri.params().unwrap()).await.unwrap();
    assert!(troupe.was_told(1, "test://x") && troupe.was_told(1, "error"));

    fleet.update(changed(definition)).await.unwrap();
    // Ours, and the session that is subscribed to something.
    until(|| troupe.alive().len() == 2).await;
    settle().await;
    let alive = troupe.alive();
    assert!(alive.iter().all(|life| *life >= 2));
    let session = ask_tool(&fleet, &client, "a__who").await.unwrap();
    assert!(troupe.was_told(session, "test://x") && troupe.was_told(session, "error"));
    assert_eq!(troupe.alive(), alive, "it was there before it was needed");
}

#[tokio::test(start_paused = true)]
async fn a_session_finishes_its_calls_where_they_are_and_begins_new_ones_where_the_server_is() {
    let (troupe, other) = (Troupe::legacy(), Troupe::modern());
    let definition = troupe.definition("a", 1);
    let fleet = fleet(vec![definition.clone(), other.definition("b", 1)]).await;
    let client = client(&fleet).await;
    assert_eq!(ask_tool(&fleet, &client, "a__who").await, Ok(1));
    let held = {
        let (fleet, client) = (Arc::clone(&fleet), Arc::clone(&client));
        tokio::spawn(async move { ask_tool(&fleet, &client, "a__hold").await })
    };
    settle().await;
    let update = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.update(changed(definition)).await })
    };
    settle().await;
    assert_eq!(ask_tool(&fleet, &client, "a__who").await, Ok(3), "2 is our own");
    assert!(troupe.alive().contains(&1) && !update.is_finished());
    troupe.release(1);
    assert_eq!(held.await.unwrap(), Ok(1));
    assert_eq!(update.await.unwrap(), Ok(()));
    settle().await;
    assert_eq!(troupe.alive(), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_removed_finishes_its_calls_and_is_known_no_more() {
    let (troupe, other) = (Troupe::legacy(), Troupe::modern());
    let fleet =
        fleet(vec![troupe.definition("a", 1), other.definition("b", 1), other.definition("c", 1)])
            .await;
    let client = client(&fleet).await;
    ask(&fleet, &client, "tools/list", "{}").await.unwrap();
    assert_eq!(ask_tool(&fleet, &client, "a__who").await, Ok(1));
    told(&client).await;
    let held = {
        let (fleet, client) = (Arc::clone(&fleet), Arc::clone(&client));
        tokio::spawn(async move { ask_tool(&fleet, &client, "a__hold").await })
    };
    settle().await;
    let (server, removal) = {
        let (server, fleet) = (fleet.server("a").unwrap(), Arc::clone(&fleet));
        (server, tokio::spawn(async move { fleet.remove("a").await }))
    };
    settle().await;
    assert!(fleet.server("a").is_none());
    assert!(told(&client).await.iter().any(|method| method.contains("tools/list_changed")));
    assert_eq!(ask_tool(&fleet, &client, "a__who").await.unwrap_err().code(), "NOT_FOUND");
    assert_eq!(call(&fleet, "a", "who").await.unwrap_err().code(), "SERVER_NOT_FOUND");
    assert!(!removal.is_finished());
    troupe.release(1);
    assert_eq!(held.await.unwrap(), Ok(1));
    assert_eq!(removal.await.unwrap(), Ok(()));
    settle().await;
    assert!(troupe.alive().is_empty());
    assert_eq!(server.state().word(), "stopped");
    assert_eq!(fleet.remove("a").await.unwrap_err().code(), "SERVER_NOT_FOUND");

    // Another one of that name is another one.
    fleet.add(troupe.definition("a", 1)).await.unwrap();
    until(|| state(&fleet, "a").word() == "ready").await;
    assert_eq!(ask_tool(&fleet, &client, "a__who").await, Ok(3));
    drop(client);
    settle().await;
    assert_eq!(Arc::strong_count(&server), 1, "nothing holds on to what is gone");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_cut_at_the_drain_timeout() {
    let troupe = Troupe::modern();
    let mut plan = plan(vec![troupe.definition("a", 1)]);
    plan.settings.drain_timeout = Duration::from_secs(3);
    let fleet = Arc::new(Fleet::new(plan).unwrap());
    fleet.start();
    let held = hold(&fleet, "a").await;
    let begun = Instant::now();
    fleet.stop_server("a").await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(held.await.unwrap().unwrap_err().code(), "SERVER_UNAVAILABLE");
    assert!(troupe.alive().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_who_was_shown_one_server_sees_that_one_until_it_is_gone() {
    let troupe = Troupe::legacy();
    let fleet = fleet(vec![troupe.definition("a", 1)]).await;
    let client = client(&fleet).await;
    assert_eq!(ask_tool(&fleet, &client, "who").await, Ok(1));
    fleet.add(troupe.definition("b", 1)).await.unwrap();
    assert_eq!(ask_tool(&fleet, &client, "who").await, Ok(1));
    fleet.remove("a").await.unwrap();
    let failure = ask_tool(&fleet, &client, "who").await.unwrap_err();
    assert_eq!(failure.code(), "SERVER_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_stays_so_until_it_is_started() {
    let troupe = Troupe::modern();
    let definition = troupe.definition("a", 2);
    let fleet = fleet(vec![definition.clone()]).await;
    fleet.stop_server("a").await.unwrap();
    assert_eq!((state(&fleet, "a").word(), troupe.alive()), ("stopped", vec![]));
    assert_eq!(call(&fleet, "a", "who").await.unwrap_err().code(), "SERVER_STOPPED");
    fleet.stop_server("a").await.unwrap();
    // What is said of it meanwhile counts when it is started.
    fleet.update(changed(definition)).await.unwrap();
    fleet.scale("a", 3).await.unwrap();
    assert_eq!((state(&fleet, "a").word(), troupe.lives()), ("stopped", 2));
    fleet.start_server("a").await.unwrap();
    assert_eq!(troupe.alive().len(), 3);
    assert_eq!(call(&fleet, "a", "who").await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_replaces_every_replica_and_its_count_stays() {
    let troupe = Troupe::modern();
    let fleet = fleet(vec![troupe.definition("a", 1)]).await;
    fleet.scale("a", 2).await.unwrap();
    until(|| troupe.alive().len() == 2).await;
    let held = hold(&fleet, "a").await;
    let restart = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.restart("a").await })
    };
    settle().await;
    (0..2).for_each(|life| troupe.release(life));
    assert!(held.await.unwrap().is_ok());
    assert_eq!(restart.await.unwrap(), Ok(()));
    assert_eq!(troupe.alive(), [2, 3]);
    // One that is down comes up without waiting for the end of its pause.
    troupe.refuses.store(true, Ordering::Relaxed);
    (2..4).for_each(|life| troupe.kill(life));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(fleet.restart("a").await.is_err());
    troupe.refuses.store(false, Ordering::Relaxed);
    assert_eq!(fleet.restart("a").await, Ok(()));
    assert_eq!(troupe.alive().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_make_one_report() {
    let (good, bad) = (Troupe::modern(), Troupe::modern());
    bad.refuses.store(true, Ordering::Relaxed);
    let fleet = Fleet::new(plan(vec![good.definition("a", 1), bad.definition("bad", 1)])).unwrap();
    fleet.start();
    let names = ["a", "nobody", "bad"].map(str::to_owned);
    let report = fleet.bulk(Action::Restart, &names).await;
    assert_eq!((report.successful, report.failed), (1, 2));
    let outcomes: Vec<_> = report
        .results
        .iter()
        .map(|(name, result)| (name.as_str(), result.as_ref().map_err(Failure::code).err()))
        .collect();
    let expected =
        [("a", None), ("nobody", Some("SERVER_NOT_FOUND")), ("bad", Some("CONNECTION_FAILED"))];
    assert_eq!(outcomes, expected);
    let report = fleet.bulk(Action::Stop, &names).await;
    assert_eq!((report.successful, report.failed), (2, 1));
    assert!(good.alive().is_empty());
    fleet.bulk(Action::Start, &names[..1]).await;
    assert_eq!(call(&fleet, "a", "who").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_applied_and_what_is_the_same_is_not_touched() {
    let [same, changes, goes, comes] =
        [Troupe::modern(), Troupe::modern(), Troupe::modern(), Troupe::modern()];
    let before = plan(vec![
        same.definition("same", 2),
        changes.definition("changes", 1),
        goes.definition("goes", 1),
    ]);
    let (kept, other) = (before.servers[0].clone(), changed(before.servers[1].clone()));
    let fleet = Arc::new(Fleet::new(before).unwrap());
    fleet.start();
    fleet.settled(LONG).await;
    settle().await;
    let mut off = comes.definition("off", 1);
    off.disabled = true;
    let after = plan(vec![comes.definition("comes", 1), other, off, kept]);
    let done = fleet.apply(after.clone()).await;
    assert_eq!(
        (done.added, done.removed),
        (vec!["comes".into(), "off".into()], vec!["goes".into()])
    );
    assert_eq!((done.changed, done.unchanged), (vec!["changes".into()], vec!["same".to_owned()]));
    assert!(done.failed.is_empty());
    let names: Vec<_> = fleet.servers().iter().map(|server| server.name().to_owned()).collect();
    assert_eq!(names, ["comes", "changes", "off", "same"]);
    assert_eq!((same.lives(), goes.alive().len(), changes.alive()), (2, 0, vec![1]));
    let again = fleet.apply(after).await;
    assert_eq!((again.unchanged.len(), again.added.len() + again.changed.len()), (4, 0));
    assert_eq!((same.lives(), changes.lives(), comes.lives()), (2, 2, 1));
}
