//! The sessions of clients of the legacy era: bounded in number, closed when nobody uses them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_manager::Client;
use tokio::sync::watch;
use tokio::time::Instant;

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    /// Requests and streams that use it now.
    users: AtomicUsize,
    last_used: Mutex<Instant>,
    /// Which of the session's own streams is the newest; `None` once the session is over.
    stream: watch::Sender<Option<u64>>,
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
    all: Mutex<HashMap<Box<str>, Arc<Session>>>,
    /// Sessions that are a connection each, and have no id.
    attached: Arc<AtomicUsize>,
    max: usize,
    idle: Duration,
}

impl Sessions {
    pub(crate) fn new(max: usize, idle: Duration) -> Self {
        Self { all: Mutex::default(), attached: Arc::default(), max, idle }
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

    fn count(&self, all: &HashMap<Box<str>, Arc<Session>>) -> usize {
        all.len() + self.attached.load(Ordering::Relaxed)
    }

    /// Adds a session; `None` if there is no room or the system has no randomness to give.
    pub(crate) fn insert(&self, client: Arc<Client>) -> Option<String> {
        let id = random_id()?;
        let session = Session {
            client,
            users: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
            stream: watch::Sender::new(Some(0)),
        };
        let mut all = self.lock();
        if self.count(&all) >= self.max {
            return None;
        }
        all.insert(id.as_str().into(), Arc::new(session));
        Some(id)
    }

    /// The session of this id, in use from now on.
    pub(crate) fn get(&self, id: &str) -> Option<InUse> {
        let session = self.lock().get(id).map(Arc::clone)?;
        session.users.fetch_add(1, Ordering::Relaxed);
        Some(InUse(session))
    }

    /// Ends a session; whether there was one.
    pub(crate) fn remove(&self, id: &str) -> bool {
        let removed = self.lock().remove(id);
        if let Some(session) = &removed {
            session.client.leave();
            session.stream.send_replace(None);
        }
        removed.is_some()
    }

    /// Ends the sessions' own streams, which would never end by themselves.
    pub(crate) fn end_streams(&self) {
        for session in self.lock().values() {
            session.stream.send_replace(None);
        }
    }

    /// Ends every session.
    pub(crate) fn clear(&self) {
        for (_, session) in std::mem::take(&mut *self.lock()) {
            session.client.leave();
            session.stream.send_replace(None);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count(&self.lock())
    }

    /// Ends the sessions that were idle for too long, again and again.
    pub(crate) async fn sweep(&self) {
        let pause = (self.idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(60));
        loop {
            tokio::time::sleep(pause).await;
            let idle = |session: &Session| {
                let unused = session.users.load(Ordering::Relaxed) == 0;
                unused && lock(&session.last_used).elapsed() >= self.idle
            };
            self.lock().retain(|_, session| {
                let over = idle(session);
                if over {
                    session.stream.send_replace(None);
                }
                !over
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Session>>> {
        lock(&self.all)
    }
}

impl InUse {
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.0.client
    }

    /// Takes the session's own stream over from whoever had it; resolves when it is taken over in
    /// turn, or the session is over.
    pub(crate) fn take_stream(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut mine = 0;
        self.0.stream.send_modify(|newest| {
            if let Some(newest) = newest {
                *newest += 1;
                mine = *newest;
            }
        });
        let mut newest = self.0.stream.subscribe();
        async move {
            // An error means that the session is gone as well.
            let _ = newest.wait_for(|newest| *newest != Some(mine)).await;
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        *lock(&self.0.last_used) = Instant::now();
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
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
