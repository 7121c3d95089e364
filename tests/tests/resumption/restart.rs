//! The gateway is killed, and starts again: with a state directory its clients go on.

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::raw::{Client, until_answer};
use system_tests::servers::{fleet_with, misbehave};
use system_tests::wait::{PATIENCE, see};

use super::{Event, NEW, OLD, Watched, rest, steps};

fn stored() -> Value {
    json!({ "stateDir": "state" })
}

#[test]
fn a_session_and_its_events_outlive_a_killed_gateway() {
    let watched = Watched::start(stored());
    let client = watched.client(NEW);
    assert!(client.call("one__echo", r#"{"message":"hi"}"#).unwrap().error().is_empty());
    let events = rest(steps(&client, 3, 1, 0).1);
    assert_eq!(events.len(), 5);
    let gateway = watched.gateway.again();
    let client = client.moved_to(gateway.url());
    // What it had not seen is there, as it was.
    assert_eq!(rest(client.resume(events[1].id()).unwrap())[1..], events[2..]);
    // Calls go on, with sessions at the servers that are opened again.
    let answer = client.call("one__echo", r#"{"message":"again"}"#).unwrap();
    assert!(answer.result().contains("again"), "{answer:?}");
    // Its own stream does, too, and new streams are not taken for old ones.
    assert_eq!(client.listen().unwrap().status, 200);
    let new = rest(steps(&client, 1, 1, 0).1);
    assert!(new.iter().all(|event| events.iter().all(|old| old.id() != event.id())));
    assert_eq!(gateway.status()["sessions"], 1);

    // The end of a session is the end of what is stored of it.
    assert_eq!(client.delete().unwrap().status, 200);
    let gateway = gateway.again();
    let client = client.moved_to(gateway.url());
    assert_eq!(client.resume(events[1].id()).unwrap().status, 404);
    assert_eq!(gateway.status()["sessions"], 0);
}

#[test]
fn fault_39_a_call_in_flight_ends_with_an_error_when_the_gateway_is_killed() {
    let watched = Watched::start(stored());
    let clients = [watched.client(NEW), watched.client(OLD)];
    let calls: Vec<_> = clients
        .iter()
        .map(|client| {
            let (id, mut reply) = steps(client, 3, 60_000, 0);
            let mut events = std::iter::from_fn(|| Event::next(&mut reply));
            (id, events.find(|event| event.step() == Some(1)).unwrap())
        })
        .collect();
    let gateway = watched.gateway.again();
    for (client, (id, last)) in clients.into_iter().zip(calls) {
        let client = client.moved_to(gateway.url());
        let answer = until_answer(client.resume(last.id()).unwrap(), &id).unwrap();
        assert_eq!(answer.value()["error"]["data"]["code"], "ANSWER_LOST", "{answer:?}");
        assert!(answer.error().contains("restarted"), "{answer:?}");
    }
}

#[test]
fn what_a_client_has_set_is_remembered() {
    let servers = [("one", misbehave(&[])), ("two", misbehave(&[]))];
    let gateway = Gateway::settled(&fleet_with(stored(), servers));
    let alone = Client::connect(&gateway.url_of("two"), NEW).unwrap();
    let gateway = gateway.again();
    // The view of a session is part of it.
    let alone = alone.moved_to(gateway.url());
    let list = alone.request("tools/list", "{}").unwrap();
    let names = list.value()["result"]["tools"].to_string();
    assert!(names.contains(r#""name":"echo""#) && !names.contains("__"), "{names}");
}

#[test]
fn sessions_that_expire_are_not_stored_any_more() {
    let watched = Watched::start(json!({ "stateDir": "state", "sessionIdle": "1s" }));
    let client = watched.client(NEW);
    see(PATIENCE, || watched.gateway.status()["sessions"].clone(), |sessions| *sessions == 0);
    let gateway = watched.gateway.again();
    assert_eq!(gateway.status()["sessions"], 0);
    let client = client.moved_to(gateway.url());
    assert_eq!(client.call("one__echo", "{}").unwrap().status, 404);
}

#[test]
fn without_a_state_directory_sessions_end_with_the_gateway() {
    let watched = Watched::start(json!({}));
    let client = watched.client(NEW);
    let gateway = watched.gateway.again();
    assert_eq!(client.moved_to(gateway.url()).call("one__echo", "{}").unwrap().status, 404);
}
