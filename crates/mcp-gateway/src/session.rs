//! The sessions of clients of the legacy era: bounded in number, closed when nobody uses them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_manager::Client;
use tokio::time::Instant;

use crate::shelf::Shelf;
use crate::store::Record;

/// From this version on, a stream begins with an event that has an id and no data. Clients of older
/// versions may take it for a message.
const PRIMED: &str = "2025-11-25";

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    id: Arc<str>,
    client: Arc<Client>,
    /// Whether its streams begin with an event without data.
    primed: bool,
    shelf: Arc<Shelf>,
    /// Requests and streams that use it now.
    users: AtomicUsize,
    last_used: Mutex<Instant>,
    ended: AtomicBool,
}

/// Somebody who uses a session, until this is dropped.
#[derive(Debug)]
pub(crate) struct InUse(Arc<Session>);

/// The place of a session that is a connection, until this is dropped.
#[cfg(feature = "ws")]
#[derive(Debug)]
pub(crate) struct Attached(Arc<AtomicUsize>);

#[cfg(feature = "ws")]
impl Drop for Attached {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All sessions of one face.
#[derive(Debug)]
pub(crate) struct Sessions {
    all: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    /// Sessions that are a connection each, and have no id.
    attached: Arc<AtomicUsize>,
    shelf: Arc<Shelf>,
    max: usize,
    idle: Duration,
}

impl Sessions {
    pub(crate) fn new(shelf: Shelf, max: usize, idle: Duration) -> Self {
        let (all, attached) = (Mutex::default(), Arc::default());
        Self { all, attached, shelf: Arc::new(shelf), max, idle }
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.count(&self.lock()) < self.max
    }

    /// A place for a session that is a connection, and ends with it; `None` if there is no room.
    #[cfg(feature = "ws")]
    pub(crate) fn attach(&self) -> Option<Attached> {
        let all = self.lock();
        if self.count(&all) >= self.max {
            return None;
        }
        self.attached.fetch_add(1, Ordering::Relaxed);
        Some(Attached(Arc::clone(&self.attached)))
    }

    fn count(&self, all: &HashMap<Arc<str>, Arc<Session>>) -> usize {
        all.len() + self.attached.load(Ordering::Relaxed)
    }

    /// Adds a session that speaks `version`; `None` if there is no room or the system has no
    /// randomness to give.
    pub(crate) async fn insert(&self, client: Arc<Client>, version: &str) -> Option<Arc<str>> {
        let id: Arc<str> = random_id()?.into();
        if let Some(store) = self.shelf.store() {
            store.begin(record(&id, version, &client)).await;
        }
        if self.add(&id, &client, version) {
            return Some(id);
        }
        self.shelf.forget(&id).await;
        None
    }

    /// Goes on with a session of an earlier life; whether there is room.
    pub(crate) fn restore(&self, client: &Arc<Client>, record: &Record) -> bool {
        self.add(&record.id, client, &record.version)
    }

    fn add(&self, id: &Arc<str>, client: &Arc<Client>, version: &str) -> bool {
        let session = Session {
            id: Arc::clone(id),
            client: Arc::clone(client),
            primed: version >= PRIMED,
            shelf: Arc::clone(&self.shelf),
            users: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
            ended: AtomicBool::new(false),
        };
        let mut all = self.lock();
        if self.count(&all) >= self.max {
            return false;
        }
        all.insert(Arc::clone(id), Arc::new(session));
        drop(all);
        if self.shelf.store().is_some() {
            tokio::spawn(remember(Arc::clone(&self.shelf), record(id, version, client), client));
        }
        true
    }

    /// The session of this id, in use from now on.
    pub(crate) fn get(&self, id: &str) -> Option<InUse> {
        let all = self.lock();
        all.get(id).map(InUse::new)
    }

    /// Ends a session; whether there was one.
    pub(crate) async fn remove(&self, id: &str) -> bool {
        let removed = self.lock().remove(id);
        if let Some(session) = &removed {
            session.end();
            self.shelf.forget(&session.id).await;
            if let Some(store) = self.shelf.store() {
                store.written().await;
            }
        }
        removed.is_some()
    }

    /// Ends a session that could not be gone on with.
    pub(crate) async fn forget(&self, id: &Arc<str>) {
        self.shelf.forget(id).await;
    }

    /// Ends the sessions' own streams, which would never end by themselves.
    pub(crate) fn end_streams(&self) {
        self.shelf.close_standalone();
    }

    /// Lets go of every session. One that is stored can be gone on with in another life.
    pub(crate) async fn close(&self) {
        let all = std::mem::take(&mut *self.lock());
        for session in all.values() {
            session.end();
        }
        self.shelf.close().await;
    }

    pub(crate) fn len(&self) -> usize {
        self.count(&self.lock())
    }

    /// Ends the sessions that were idle for too long, again and again.
    pub(crate) async fn sweep(&self) {
        let pause = (self.idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(60));
        loop {
            tokio::time::sleep(pause).await;
            let over: Vec<_> = {
                let mut all = self.lock();
                let over = all.extract_if(|_, session| session.is_idle_for(self.idle));
                over.collect()
            };
            for (id, session) in over {
                session.end();
                drop(session);
                self.shelf.forget(&id).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        lock(&self.all)
    }
}

impl Session {
    /// Ends its streams, and those that whoever uses it now is about to open.
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.client.leave();
        self.shelf.let_go(&self.id);
    }

    fn is_idle_for(&self, limit: Duration) -> bool {
        self.users.load(Ordering::Relaxed) == 0 && lock(&self.last_used).elapsed() >= limit
    }
}

impl InUse {
    fn new(session: &Arc<Session>) -> Self {
        session.users.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(session))
    }

    /// One more use of the same session.
    pub(crate) fn again(&self) -> Self {
        Self::new(&self.0)
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.0.client
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.0.shelf
    }

    /// Ends a stream that was opened after its session had ended.
    pub(crate) fn check(&self) {
        if self.0.ended.load(Ordering::SeqCst) {
            self.0.shelf.let_go(&self.0.id);
        }
    }

    pub(crate) fn is_primed(&self) -> bool {
        self.0.primed
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        *lock(&self.0.last_used) = Instant::now();
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stores what a session's client says, until the session ends.
fn remember(
    shelf: Arc<Shelf>,
    mut record: Record,
    client: &Arc<Client>,
) -> impl Future<Output = ()> + Send + use<> {
    let mut memory = client.memory();
    async move {
        while memory.changed().await.is_ok() {
            record.memory = memory.borrow_and_update().clone();
            if let Some(store) = shelf.store() {
                store.remember(record.clone()).await;
            }
        }
    }
}

fn record(id: &Arc<str>, version: &str, client: &Client) -> Record {
    let server = client.scope().only().map(|server| server.name().to_owned());
    let memory = client.memory().borrow().clone();
    Record { id: Arc::clone(id), server, version: version.to_owned(), memory }
}

/// 128 random bits: a session is guarded by nothing but its id.
fn random_id() -> Option<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(u128::from_be_bytes(bytes)).map(|id| format!("{id:032x}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
