//! Whatever is sent, and wherever it is cut: a reader that comes back sees every event once and in
//! order, or is told that some are gone.

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Attached, Bounds, Demand, EventId, Key, OVERHEAD, Refused, Replay, STANDALONE, Take,
    UNATTENDED_MAX, UNREAD_MAX,
};

const BOUNDS: Bounds = Bounds { session_events: 12, session_bytes: 4000, total_bytes: 8000 };

fn session(name: &str) -> Arc<str> {
    name.into()
}

/// An event that says its number, of about this many bytes.
fn event(number: u64, bytes: usize) -> Bytes {
    format!("{number}:{}", "x".repeat(bytes)).into()
}

fn number(event: &Bytes) -> u64 {
    let text = std::str::from_utf8(event).unwrap();
    text.split(':').next().unwrap().parse().unwrap()
}

fn push(replay: &mut Replay, key: &Key, last: bool, bytes: usize) -> Option<u64> {
    Some(replay.push(key, last, |number| event(number, bytes))?.0)
}

/// All that a reader can have now.
fn drain(replay: &mut Replay, key: &Key, reader: u64) -> (Vec<u64>, bool) {
    let mut seen = Vec::new();
    loop {
        match replay.take(key, reader, Waker::noop()) {
            Take::Event(event) => seen.push(number(&event)),
            Take::Wait => return (seen, false),
            Take::End => return (seen, true),
        }
    }
}

#[test]
fn a_stream_is_read_on_where_it_was_cut() {
    let mut replay = Replay::new(BOUNDS, 0, false);
    let (key, first) = replay.open(&session("a"), true);
    assert_eq!(first, Attached { reader: 1, after: 0, gap: false });
    for _ in 0..3 {
        push(&mut replay, &key, false, 10);
    }
    assert_eq!(drain(&mut replay, &key, 1), (vec![1, 2, 3], false));
    replay.leave(&key, 1);
    assert_eq!(replay.demand(&key, Waker::noop()), Demand::Nobody);
    push(&mut replay, &key, true, 10);
    // It had been given three, and two arrived.
    let again = replay.resume(&key, 2).unwrap();
    assert_eq!((again.after, again.gap), (2, false));
    assert_eq!(drain(&mut replay, &key, again.reader), (vec![3, 4], true));
    assert_eq!(replay.resume(&key, 4), Err(Refused::Over));
    assert_eq!(replay.resume(&key, 5), Err(Refused::Unknown));
    // What it has said to have is let go of.
    let older = replay.resume(&key, 1).unwrap();
    assert!(older.gap);
    assert_eq!(drain(&mut replay, &key, older.reader), (vec![3, 4], true));
}

#[test]
fn the_newest_reader_takes_over() {
    let mut replay = Replay::new(BOUNDS, 0, false);
    let a = session("a");
    let key = Key { session: Arc::clone(&a), stream: STANDALONE };
    let (first, second) = (replay.listen(&a, true).reader, replay.listen(&a, true).reader);
    push(&mut replay, &key, false, 10);
    assert_eq!(drain(&mut replay, &key, first), (vec![], true));
    // That the first one goes does not concern the second.
    replay.leave(&key, first);
    assert_eq!(drain(&mut replay, &key, second), (vec![1], false));
    // A reader without a past goes on where the last one stopped.
    let third = replay.listen(&a, true).reader;
    push(&mut replay, &key, false, 10);
    assert_eq!(drain(&mut replay, &key, third), (vec![2], false));
    replay.close_standalone();
    assert_eq!(drain(&mut replay, &key, third), (vec![], true));
}

#[test]
fn a_reader_who_is_behind_holds_only_its_own_pump() {
    let mut replay = Replay::new(BOUNDS, 0, false);
    let (slow, reader) = replay.open(&session("a"), true);
    let (other, _) = replay.open(&session("a"), true);
    for _ in 0..UNREAD_MAX {
        assert_eq!(replay.demand(&slow, Waker::noop()), Demand::Wanted);
        push(&mut replay, &slow, false, 10);
    }
    assert_eq!(replay.demand(&slow, Waker::noop()), Demand::Full);
    assert_eq!(replay.demand(&other, Waker::noop()), Demand::Wanted);
    // Nothing that it has still to be given goes, although it is more than a session may keep.
    assert_eq!(drain(&mut replay, &slow, reader.reader).0.len(), UNREAD_MAX);
    assert_eq!(replay.demand(&slow, Waker::noop()), Demand::Wanted);
    assert!(replay.sessions["a"].events <= BOUNDS.session_events);
}

#[test]
fn one_large_event_is_given_and_kept() {
    let mut replay = Replay::new(BOUNDS, 0, false);
    let (key, reader) = replay.open(&session("a"), true);
    push(&mut replay, &key, false, 10);
    let large = BOUNDS.total_bytes / 4 - OVERHEAD;
    push(&mut replay, &key, true, large);
    assert_eq!(drain(&mut replay, &key, reader.reader), (vec![1, 2], true));
    replay.leave(&key, reader.reader);
    let again = replay.resume(&key, 1).unwrap();
    assert_eq!(drain(&mut replay, &key, again.reader), (vec![2], true));
    replay.leave(&key, again.reader);

    // One that would take the place of everybody else's is given, and not kept.
    let (other, reader) = replay.open(&session("b"), true);
    push(&mut replay, &other, false, BOUNDS.total_bytes * 2);
    push(&mut replay, &other, true, 10);
    assert_eq!(drain(&mut replay, &other, reader.reader), (vec![1, 2], true));
    replay.leave(&other, reader.reader);
    assert!(replay.bytes <= BOUNDS.total_bytes);
    let again = replay.resume(&other, 0).unwrap();
    assert!(again.gap);
    assert_eq!(drain(&mut replay, &other, again.reader), (vec![2], true));
}

#[test]
fn calls_that_nobody_can_come_back_to_end_at_once() {
    let mut replay = Replay::new(BOUNDS, 0, false);
    let (unknown, reader) = replay.open(&session("a"), false);
    replay.leave(&unknown, reader.reader);
    assert_eq!(replay.demand(&unknown, Waker::noop()), Demand::Gone);
    assert!(replay.sessions.is_empty());
    // And so do those of a client that leaves too many behind.
    let calls: Vec<_> = (0..=UNATTENDED_MAX).map(|_| replay.open(&session("a"), true)).collect();
    for (key, reader) in &calls {
        replay.leave(key, reader.reader);
    }
    let gone = |(key, _): &&(Key, Attached)| replay.demand(key, Waker::noop()) == Demand::Gone;
    assert_eq!(calls.iter().filter(gone).count(), 1);
}

#[test]
fn a_session_ends_with_all_that_it_has() {
    let mut replay = Replay::new(BOUNDS, 0, false);
    let (key, reader) = replay.open(&session("a"), true);
    let (other, _) = replay.open(&session("b"), true);
    push(&mut replay, &key, false, 100);
    push(&mut replay, &other, false, 50);
    replay.forget("a");
    assert_eq!(drain(&mut replay, &key, reader.reader), (vec![], true));
    assert_eq!(replay.demand(&key, Waker::noop()), Demand::Gone);
    assert_eq!(push(&mut replay, &key, false, 10), None);
    assert_eq!((replay.bytes, replay.order.len()), (50 + 2 + OVERHEAD, 1));
}

#[test]
fn what_a_store_waits_for_is_not_given() {
    let mut replay = Replay::new(BOUNDS, 0, true);
    let (key, reader) = replay.open(&session("a"), true);
    push(&mut replay, &key, false, 10);
    push(&mut replay, &key, true, 10);
    assert_eq!(drain(&mut replay, &key, reader.reader), (vec![], false));
    replay.stored(&key, 1);
    assert_eq!(drain(&mut replay, &key, reader.reader), (vec![1], false));
    replay.store_failed();
    assert_eq!(drain(&mut replay, &key, reader.reader), (vec![2], true));
}

#[test]
fn another_life_goes_on_with_what_was_kept() {
    const FLOOR: u64 = 1 << 32;
    let mut replay = Replay::new(BOUNDS, FLOOR, true);
    let a = session("a");
    let own = Key { session: Arc::clone(&a), stream: STANDALONE };
    let (done, cut) = (Key { stream: 3, ..own.clone() }, Key { stream: 4, ..own.clone() });
    replay.restore(&own, 7, event(7, 10), false);
    replay.restore(&done, 1, event(1, 10), true);
    replay.restore(&cut, 1, event(1, 10), false);
    assert_eq!(replay.restored(), [(cut.clone(), event(1, 10))]);
    let reader = replay.resume(&done, 0).unwrap().reader;
    assert_eq!(drain(&mut replay, &done, reader), (vec![1], true));
    // Its own stream goes on, with numbers that were never used.
    let resumed = replay.resume(&own, 6).unwrap();
    assert!(!resumed.gap);
    let (new, _) = replay.push(&own, false, |number| event(number, 10)).unwrap();
    assert!(new > FLOOR);
    replay.stored(&own, new);
    assert_eq!(drain(&mut replay, &own, resumed.reader), (vec![7, new], false));
    // Also that of a session of which nothing was kept.
    let other = Key { session: session("b"), stream: STANDALONE };
    assert!(replay.resume(&other, 5).is_ok());
    assert!(replay.open(&a, true).0.stream > FLOOR);
}

/// What may happen to one of three streams of two sessions.
#[derive(Clone, Debug)]
enum Step {
    Push {
        stream: usize,
        bytes: usize,
    },
    Take {
        stream: usize,
        events: usize,
    },
    /// The connection is cut; the client has all but the newest of what it was given.
    Cut {
        stream: usize,
        unseen: usize,
    },
    Resume {
        stream: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![8 => 0_usize..300, 1 => 3000_usize..10_000];
    let step = prop_oneof![
        6 => (0_usize..3, bytes).prop_map(|(stream, bytes)| Step::Push { stream, bytes }),
        4 => (0_usize..3, 1_usize..6).prop_map(|(stream, events)| Step::Take { stream, events }),
        2 => (0_usize..3, 0_usize..4).prop_map(|(stream, unseen)| Step::Cut { stream, unseen }),
        3 => (0_usize..3).prop_map(|stream| Step::Resume { stream }),
    ];
    prop::collection::vec(step, 1..200)
}

/// A client of one stream: what it has, in order, and what it was told to be missing.
struct Client {
    key: Key,
    reader: Option<u64>,
    seen: Vec<u64>,
    /// Gaps that it was told of: after which event.
    told: Vec<u64>,
    pushed: u64,
}

impl Client {
    fn last(&self) -> u64 {
        self.seen.last().copied().unwrap_or(0)
    }

    fn resume(&mut self, replay: &mut Replay) {
        let last = self.last();
        let id = EventId::new(self.key.stream, last, None).to_string();
        let after = EventId::parse(&id).unwrap().number;
        let attached = replay.resume(&self.key, after).unwrap();
        self.reader = Some(attached.reader);
        if attached.gap {
            self.told.push(last);
        }
    }

    fn take(&mut self, replay: &mut Replay, events: usize) {
        let Some(reader) = self.reader else { return };
        for _ in 0..events {
            let Take::Event(event) = replay.take(&self.key, reader, Waker::noop()) else { return };
            self.seen.push(number(&event));
        }
    }

    /// Every event once and in order, but for gaps that it knows of.
    fn check(&self) {
        for pair in [0].iter().chain(&self.seen).collect::<Vec<_>>().windows(2) {
            let follows = *pair[1] == pair[0] + 1;
            let told = *pair[1] > *pair[0] && self.told.contains(pair[0]);
            assert!(follows || told, "{:?} told {:?}", self.seen, self.told);
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_in_silence_or_seen_twice(steps in steps()) {
        let mut replay = Replay::new(BOUNDS, 0, false);
        let mut clients: Vec<_> = ["a", "a", "b"].into_iter().map(|name| {
            let (key, attached) = replay.open(&session(name), true);
            Client { key, reader: Some(attached.reader), seen: vec![], told: vec![], pushed: 0 }
        }).collect();
        for step in steps {
            match step {
                Step::Push { stream, bytes } => {
                    let client = &mut clients[stream];
                    // A pump does as it is told.
                    if replay.demand(&client.key, Waker::noop()) != Demand::Full {
                        push(&mut replay, &client.key, false, bytes);
                        client.pushed += 1;
                    }
                }
                Step::Take { stream, events } => clients[stream].take(&mut replay, events),
                Step::Cut { stream, unseen } => {
                    let client = &mut clients[stream];
                    let Some(reader) = client.reader.take() else { continue };
                    replay.leave(&client.key, reader);
                    client.seen.truncate(client.seen.len().saturating_sub(unseen));
                }
                Step::Resume { stream } => clients[stream].resume(&mut replay),
            }
            let pinned = clients.len() * UNREAD_MAX;
            prop_assert!(replay.order.len() <= 2 * BOUNDS.session_events + pinned);
            let attended = clients.iter().any(|client| client.reader.is_some());
            prop_assert!(attended || replay.bytes <= BOUNDS.total_bytes);
        }
        for client in &mut clients {
            client.resume(&mut replay);
            client.take(&mut replay, usize::MAX);
            client.check();
            let complete = client.last() == client.pushed;
            prop_assert!(complete || client.told.contains(&client.last()));
        }
        replay.forget("a");
        replay.forget("b");
        prop_assert_eq!((replay.bytes, replay.order.len()), (0, 0));
        prop_assert!(replay.sessions.is_empty());
    }
}
