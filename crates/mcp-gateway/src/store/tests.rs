//! What is in the file after a life is what another life begins with.

use std::path::Path;

use mcp_manager::Memory;
use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::*;
use crate::replay::Bounds;

fn record(id: &str) -> Record {
    let (server, version) = (None, "2025-11-25".to_owned());
    Record { id: id.into(), server, version, memory: Memory::default() }
}

fn key(session: &str, stream: u64) -> Key {
    Key { session: session.into(), stream }
}

/// Opens the directory, does `work`, and closes it.
async fn life(dir: &Path, work: impl AsyncFnOnce(&Store)) -> (Vec<Record>, Vec<(Key, u64)>, u64) {
    let opened = open(dir).expect("a state directory");
    let replay = Arc::new(Mutex::new(Replay::new(Bounds::default(), opened.floor, true)));
    let store = opened.store.start(Arc::downgrade(&replay));
    work(&store).await;
    store.close().await;
    let events = opened.events.into_iter().map(|(key, number, ..)| (key, number)).collect();
    (opened.sessions, events, opened.floor)
}

async fn event(store: &Store, key: Key, number: u64, dropped: Vec<(Key, u64)>) {
    let place = store.place().await.expect("a place");
    place.event(key, number, Bytes::from_static(b"data: {}\n\n"), false, dropped);
}

#[tokio::test]
async fn another_life_begins_with_what_was_written() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (sessions, events, first) = life(dir.path(), async |store| {
        store.begin(record("a")).await;
        store.begin(record("b")).await;
        event(store, key("a", 1), 1, vec![]).await;
        event(store, key("a", 1), 2, vec![(key("a", 1), 1)]).await;
        event(store, key("b", 1), 1, vec![]).await;
        store.end(&"b".into()).await;
        // It has ended, and does not come back.
        store.remember(record("b")).await;
    })
    .await;
    assert_eq!((sessions, events), (vec![], vec![]));
    let (sessions, events, second) = life(dir.path(), async |store| {
        let mut changed = record("a");
        changed.memory.level = Some("debug".to_owned());
        store.remember(changed).await;
    })
    .await;
    assert_eq!((sessions, events), (vec![record("a")], vec![(key("a", 1), 2)]));
    let (sessions, _, third) = life(dir.path(), async |_| {}).await;
    assert_eq!(sessions[0].memory.level.as_deref(), Some("debug"));
    // No life uses the numbers of another.
    assert!(first > 0 && first < second && second < third);
}

/// Fault 45: what a newer version has written is left to it.
#[tokio::test]
async fn a_newer_format_is_left_alone() {
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let dir = tempfile::tempdir().expect("a temporary directory");
    life(dir.path(), async |store| store.begin(record("a")).await).await;
    let path = dir.path().join("sessions.redb");
    let database = Database::open(&path).expect("a database");
    let change = database.begin_write().expect("a transaction");
    change.open_table(META).expect("a table").insert("format", 2).expect("a format");
    change.commit().expect("a commit");
    drop(database);
    let error = open(dir.path()).expect_err("a newer format");
    assert!(matches!(error, StateError::Newer { found: 2, known: 1, .. }), "{error}");
    let database = Database::open(&path).expect("a database");
    let read = database.begin_read().expect("a transaction");
    let life = read.open_table(META).expect("a table").get("life").expect("a number");
    assert_eq!(life.map(|life| life.value()), Some(1));
}
