//! Streams that are cut (faults 27 and 30): a client that comes back with the last event that it had
//! gets what follows, once and in order; one that does not come back costs nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::raw::{Client, Era, Reply, until_answer};
use system_tests::servers::{fleet_with, logging, misbehave};
use system_tests::wait::{PATIENCE, see, timed};
use tempfile::TempDir;

#[path = "resumption/clients.rs"]
mod clients;
#[path = "resumption/restart.rs"]
mod restart;
#[path = "resumption/state.rs"]
mod state;

const NEW: Era = Era::Legacy("2025-11-25");
const OLD: Era = Era::Legacy("2025-06-18");

/// A gateway in front of a server that writes down whatever reaches it.
struct Watched {
    gateway: Gateway,
    log: PathBuf,
    _dir: TempDir,
}

impl Watched {
    fn start(manager: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let servers = [("one", logging(&log, &[])), ("two", misbehave(&[]))];
        Self { gateway: Gateway::settled(&fleet_with(manager, servers)), log, _dir: dir }
    }

    fn client(&self, era: Era) -> Client {
        Client::connect(self.gateway.url(), era).unwrap()
    }

    fn cancelled(&self) -> usize {
        cancelled(&self.log)
    }
}

fn cancelled(log: &Path) -> usize {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.matches("notifications/cancelled").count()
}

/// An event as a client sees it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    retry: Option<String>,
    data: Option<String>,
    comment: bool,
}

impl Event {
    fn next(reply: &mut Reply) -> Option<Self> {
        let mut event = Self::default();
        for line in reply.event().unwrap()? {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "id" => event.id = Some(value),
                "retry" => event.retry = Some(value),
                "data" => event.data = Some(value),
                _ => event.comment = true,
            }
        }
        Some(event)
    }

    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// The step that it reports.
    fn step(&self) -> Option<u64> {
        let message: Value = serde_json::from_str(self.data.as_deref()?).ok()?;
        message["params"]["progress"].as_u64()
    }
}

/// All that is left of a stream.
fn rest(mut reply: Reply) -> Vec<Event> {
    std::iter::from_fn(|| Event::next(&mut reply)).collect()
}

fn steps(client: &Client, count: u64, ms: u64, bytes: u64) -> (String, Reply) {
    let arguments = json!({ "count": count, "ms": ms, "bytes": bytes });
    let params = json!({ "name": "one__steps", "arguments": arguments }).to_string();
    client.open("tools/call", &params, r#""progressToken":"t""#).unwrap()
}

#[test]
fn events_have_ids_in_sessions_and_streams_begin_with_one_where_clients_know() {
    let watched = Watched::start(json!({}));
    let events = |era| rest(steps(&watched.client(era), 2, 1, 0).1);
    let new = events(NEW);
    let first = Event {
        id: new[0].id.clone(),
        retry: Some("1000".to_owned()),
        data: Some(String::new()),
        comment: false,
    };
    assert_eq!(new[0], first);
    assert_eq!(new.len(), 4);
    let old = events(OLD);
    assert!(old.iter().all(|event| event.retry.is_none() && event.data.as_deref() != Some("")));
    assert_eq!(old.len(), 3);
    for stream in [&new, &old] {
        let mut ids: Vec<_> = stream.iter().map(Event::id).collect();
        assert!(ids.iter().all(|id| !id.is_empty()), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), stream.len(), "{ids:?}");
    }
    let modern = events(Era::Modern);
    assert!(modern.iter().all(|event| event.id.is_none()), "{modern:?}");
    assert_eq!(modern.len(), 3);
}

#[test]
fn fault_30_an_answer_goes_on_where_its_stream_was_cut() {
    let watched = Watched::start(json!({}));
    for (era, first) in [(NEW, 1), (OLD, 0)] {
        let client = watched.client(era);
        for cut_after in 1..4_usize {
            let (id, mut reply) = steps(&client, 5, 100, 0);
            let events: Vec<_> =
                (0..first + cut_after).map(|_| Event::next(&mut reply).unwrap()).collect();
            drop(reply);
            // Of what it was given, the newest did not arrive.
            let had = &events[..first + cut_after - 1];
            let Some(last) = had.last() else { continue };
            let reply = client.resume(last.id()).unwrap();
            assert_eq!(reply.status, 200);
            let answer = until_answer(reply, &id).unwrap();
            let again = answer.before.iter().map(|message| {
                let message: Value = serde_json::from_str(message).unwrap();
                message["params"]["progress"].as_u64().unwrap()
            });
            let seen: Vec<_> = had.iter().filter_map(Event::step).chain(again).collect();
            assert_eq!(seen, [1, 2, 3, 4, 5], "{era:?}, cut after {cut_after}");
            assert!(answer.result().contains("Took 5 steps"), "{answer:?}");
        }
    }
    assert_eq!(watched.cancelled(), 0);
}

#[test]
fn fault_30_a_call_that_nobody_comes_back_to_is_cancelled() {
    let watched = Watched::start(json!({ "resumeTimeout": "1s" }));
    let client = watched.client(NEW);
    let (id, mut reply) = steps(&client, 1, 60_000, 0);
    let last = [Event::next(&mut reply).unwrap(), Event::next(&mut reply).unwrap()];
    drop(reply);
    see(PATIENCE, || watched.cancelled(), |count| *count == 1);
    // Whoever comes too late is told so, and then that there is no need to come again.
    let mut late = client.resume(last[1].id()).unwrap();
    let event = Event::next(&mut late).unwrap();
    let error: Value = serde_json::from_str(event.data.as_deref().unwrap()).unwrap();
    assert_eq!(error["id"].to_string(), id);
    assert_eq!(error["error"]["data"]["code"], "ANSWER_LOST");
    assert_eq!(Event::next(&mut late), None);
    assert_eq!(client.resume(event.id()).unwrap().status, 204);
}

#[test]
fn fault_30_what_is_cancelled_or_cannot_be_resumed_ends_at_once() {
    let watched = Watched::start(json!({ "resumeTimeout": "10m" }));
    let client = watched.client(NEW);
    // Its client says so, whether it is there or not.
    let (id, mut reply) = steps(&client, 1, 60_000, 0);
    Event::next(&mut reply).unwrap();
    drop(reply);
    client.notify("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#)).unwrap();
    see(PATIENCE, || watched.cancelled(), |count| *count == 1);
    // No event was given, so there is none to come back with.
    let slow = r#"{"name":"one__slow","arguments":{"ms":60000}}"#;
    drop(client.begin_as("77", "tools/call", slow).unwrap());
    see(PATIENCE, || watched.cancelled(), |count| *count == 2);
    // The session ends.
    let (_, mut reply) = steps(&client, 1, 60_000, 0);
    Event::next(&mut reply).unwrap();
    drop(reply);
    client.delete().unwrap();
    let read = || std::fs::read_to_string(&watched.log).unwrap().matches(r#""tools/call""#).count();
    assert_eq!(read(), 3);
    // A stateless client that goes has cancelled.
    let (_, mut reply) = steps(&watched.client(Era::Modern), 1, 60_000, 0);
    Event::next(&mut reply).unwrap();
    drop(reply);
    see(PATIENCE, || watched.cancelled(), |count| *count >= 3);
}

#[test]
fn an_answer_that_came_while_nobody_listened_waits() {
    let watched = Watched::start(json!({}));
    let client = watched.client(NEW);
    let (id, mut reply) = steps(&client, 3, 20, 0);
    let first = Event::next(&mut reply).unwrap();
    drop(reply);
    // It is over when its id can be used again.
    let free =
        || client.call_as(&id, "two__echo", r#"{"message":"x"}"#).unwrap().error().is_empty();
    see(PATIENCE, free, |free| *free);
    for _ in 0..2 {
        let reply = client.resume(first.id()).unwrap();
        assert!(until_answer(reply, &id).unwrap().result().contains("Took 3 steps"));
    }
}

#[test]
fn nobody_gets_events_of_another_stream_or_session() {
    let watched = Watched::start(json!({}));
    let (client, other) = (watched.client(NEW), watched.client(NEW));
    let events = rest(steps(&client, 2, 1, 0).1);
    let status = |client: &Client, id: &str| client.resume(id).unwrap().status;
    for id in ["", "x", "1", "1-", "-1", "0-1", "99-1", "1-99", "01-0", "1-0-", "1 -0", "../0-0"] {
        assert_eq!(status(&client, id), 400, "{id:?}");
    }
    // Whoever shows the id of another session's event is told no more than that it is not there.
    let mut stolen = other.resume(events[0].id()).unwrap();
    let event = Event::next(&mut stolen).unwrap();
    assert!(event.data.unwrap().contains("ANSWER_LOST"));
    assert_eq!(Event::next(&mut stolen), None);
    // Nothing of one stream is given on another.
    let (_, second) = steps(&client, 2, 1, 0);
    assert_eq!(rest(second).len(), 4);
    let again = rest(client.resume(events[1].id()).unwrap());
    assert_eq!(again[1..], events[2..]);
    assert_eq!(status(&client, events[3].id()), 204);
}

#[test]
fn a_sessions_own_stream_goes_on_where_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let servers = [("one", logging(&log, &["--chatty", "3"])), ("two", misbehave(&[]))];
    let gateway = Gateway::settled(&fleet_with(json!({}), servers));
    let client = Client::connect(&gateway.url_of("one"), NEW).unwrap();
    let mut stream = client.listen().unwrap();
    let first = Event::next(&mut stream).unwrap();
    assert_eq!((first.data.as_deref(), first.retry.is_some()), (Some(""), true));
    client.request("tools/list", "{}").unwrap();
    let told: Vec<_> = (0..3).map(|_| Event::next(&mut stream).unwrap()).collect();
    drop(stream);
    client.request("tools/list", "{}").unwrap();
    // Two of the first three did not arrive, and three came later.
    let mut stream = client.resume(told[0].id()).unwrap();
    let again: Vec<_> = (0..6).map(|_| Event::next(&mut stream).unwrap()).collect();
    assert_eq!(again[1..3], told[1..3]);
    assert!(again[3..].iter().all(|event| event.data.as_deref().unwrap().contains("line ")));
    // The newest stream takes over; the one before ends.
    let mut newest = client.listen().unwrap();
    assert_eq!(Event::next(&mut stream), None);
    client.request("tools/list", "{}").unwrap();
    assert_eq!(Event::next(&mut newest).unwrap().id(), again[5].id());
    assert!(!Event::next(&mut newest).unwrap().id().is_empty());
}

/// More than is kept of a session, while nobody reads: the oldest is gone, which is said.
#[test]
fn what_is_not_kept_any_more_is_said_to_be_gone() {
    let watched = Watched::start(json!({}));
    let client = watched.client(NEW);
    let (id, mut reply) = steps(&client, 100, 1, 10_000);
    let first = Event::next(&mut reply).unwrap();
    drop(reply);
    let free =
        || client.call_as(&id, "two__echo", r#"{"message":"x"}"#).unwrap().error().is_empty();
    see(PATIENCE, free, |free| *free);
    let mut events = rest(client.resume(first.id()).unwrap());
    assert!(events.remove(0).comment, "{events:?}");
    let seen: Vec<_> = events.iter().filter_map(Event::step).collect();
    let oldest = *seen.first().unwrap();
    assert!(oldest > 50 && seen == (oldest..=100).collect::<Vec<_>>(), "{seen:?}");
    assert!(events.last().unwrap().data.as_deref().unwrap().contains("Took 100 steps"));
}

/// Fault 27: whoever does not read holds up nobody else, and nothing for long.
#[test]
fn fault_27_a_reader_that_stops_does_not_hold_up_the_server() {
    let watched = Watched::start(json!({}));
    let (stuck, fine) = (watched.client(NEW), watched.client(NEW));
    let (_, _unread) = steps(&stuck, 400, 0, 100_000);
    let (_, took) = timed(|| {
        for _ in 0..20 {
            let answer = fine.call("one__echo", r#"{"message":"hi"}"#).unwrap();
            assert!(answer.error().is_empty(), "{answer:?}");
        }
    });
    assert!(took < PATIENCE, "{took:?}");
    // Its own session is not held up either.
    assert!(stuck.call("two__echo", r#"{"message":"hi"}"#).unwrap().error().is_empty());
}
