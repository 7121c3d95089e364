//! The events of all sessions, where those who write and those who read them meet.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use mcp_wire::{ErrorObject, Message, code, sse};

use crate::replay::{Attached, Bounds, Demand, EventId, Key, Refused, Replay, STANDALONE, Take};
use crate::store::{Record, Store};

/// Shared by all streams of one face.
#[derive(Debug)]
pub(crate) struct Shelf {
    replay: Arc<Mutex<Replay>>,
    store: Option<Store>,
}

/// A stream that somebody writes to.
#[derive(Debug)]
pub(crate) struct Line {
    shelf: Arc<Shelf>,
    pub(crate) key: Key,
    /// The id of the request that it answers, if it does.
    request: Option<Box<str>>,
}

impl Shelf {
    /// Without a store, events live as long as this.
    pub(crate) fn in_memory() -> Self {
        Self { replay: Arc::new(Mutex::new(Replay::new(Bounds::default(), 0, false))), store: None }
    }

    /// With what a store has kept. Calls that were in flight when it was last written end here, with
    /// an error.
    pub(crate) fn restored(kept: crate::store::Opened) -> (Self, Vec<Record>) {
        let mut replay = Replay::new(Bounds::default(), kept.floor, true);
        for (key, number, event, last) in kept.events {
            replay.restore(&key, number, event, last);
        }
        for (key, newest) in replay.restored() {
            let id = id_of(&newest).and_then(EventId::parse);
            let lost = id.and_then(|id| Some((id, lost(id.request?, RESTARTED)?)));
            match lost {
                Some((id, error)) => {
                    let number = id.number + 1;
                    replay.restore(
                        &key,
                        number,
                        encode(key.stream, number, id.request, &error),
                        true,
                    );
                }
                None => replay.finish(&key),
            }
        }
        let replay = Arc::new(Mutex::new(replay));
        let store = kept.store.start(Arc::downgrade(&replay));
        (Self { replay, store: Some(store) }, kept.sessions)
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Begins the stream of a call. `known`: its reader is told an id at once.
    pub(crate) fn open(
        self: &Arc<Self>,
        session: &Arc<str>,
        request: &str,
        known: bool,
    ) -> (Line, Attached) {
        let (key, attached) = self.lock().open(session, known);
        (Line { shelf: Arc::clone(self), key, request: Some(request.into()) }, attached)
    }

    /// The standalone stream of a session, for a reader with no past.
    pub(crate) fn listen(&self, session: &Arc<str>, known: bool) -> Attached {
        self.lock().listen(session, known)
    }

    pub(crate) fn resume(&self, key: &Key, after: u64) -> Result<Attached, Refused> {
        self.lock().resume(key, after)
    }

    /// The standalone stream as its pump sees it, if it has none yet.
    pub(crate) fn standalone(self: &Arc<Self>, session: &Arc<str>) -> Option<Line> {
        let key = Key { session: Arc::clone(session), stream: STANDALONE };
        let wanted = self.lock().wants_pump(&key);
        wanted.then(|| Line { shelf: Arc::clone(self), key, request: None })
    }

    pub(crate) fn take(&self, key: &Key, reader: u64, waker: &Waker) -> Take {
        self.lock().take(key, reader, waker)
    }

    pub(crate) fn leave(&self, key: &Key, reader: u64) {
        self.lock().leave(key, reader);
    }

    /// Ends a session's streams, also in the store.
    pub(crate) async fn forget(&self, session: &Arc<str>) {
        self.lock().forget(session);
        if let Some(store) = &self.store {
            store.end(session).await;
        }
    }

    /// Ends a session's streams, but not in the store: another life may go on with them.
    pub(crate) fn let_go(&self, session: &Arc<str>) {
        self.lock().forget(session);
    }

    pub(crate) fn close_standalone(&self) {
        self.lock().close_standalone();
    }

    /// Writes everything that is to be stored, and lets go of the store.
    pub(crate) async fn close(&self) {
        if let Some(store) = &self.store {
            store.close().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Replay> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// What the pump is to do, once that is not `now`.
    pub(crate) async fn change(&self, now: Option<Demand>) -> Demand {
        let demand = |context: &mut Context<'_>| {
            let demand = self.shelf.lock().demand(&self.key, context.waker());
            if Some(demand) == now { Poll::Pending } else { Poll::Ready(demand) }
        };
        poll_fn(demand).await
    }

    /// Adds a message; `last`: nothing follows. Cancel safe.
    pub(crate) async fn put(&self, message: &[u8], last: bool) {
        let place = match &self.shelf.store {
            Some(store) => store.place().await,
            None => None,
        };
        let request = self.request.as_deref();
        let encoded = |number| encode(self.key.stream, number, request, message);
        let mut replay = self.shelf.lock();
        let Some((number, event)) = replay.push(&self.key, last, encoded) else { return };
        if let Some(place) = place {
            // Under the lock, so that the store sees events in their order.
            place.event(self.key.clone(), number, event, last, replay.take_dropped());
        }
    }

    /// Ends the stream without an answer: nobody waits for one.
    pub(crate) fn finish(&self) {
        self.shelf.lock().finish(&self.key);
    }

    /// Ends the stream, and whatever is left of it.
    pub(crate) fn close(&self) {
        self.shelf.lock().close(&self.key);
    }
}

/// What a client is given whose request will not be answered any more.
pub(crate) fn lost(request: &str, why: &str) -> Option<Bytes> {
    let error = ErrorObject::new(code::INTERNAL_ERROR, why).with_data(r#"{"code":"ANSWER_LOST"}"#);
    let message = Message::error(request, &error).bytes().clone();
    // The id comes from the client, by way of the event id that it sent.
    Message::parse(message, &mcp_wire::Limits::default()).ok().map(|error| error.bytes().clone())
}

/// Why an answer cannot be had.
pub(crate) const NOT_KEPT: &str =
    "the answer is not kept any more; whether the request was carried out is not known";
const RESTARTED: &str = "the manager was restarted while the request was in flight; whether it was carried out is not known";

pub(crate) fn encode(stream: u64, number: u64, request: Option<&str>, message: &[u8]) -> Bytes {
    let id = EventId::new(stream, number, request).to_string();
    sse::encode_event(Some(&id), message)
}

/// The id in an event of ours.
fn id_of(event: &[u8]) -> Option<&str> {
    let rest = event.strip_prefix(b"id: ")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    std::str::from_utf8(&rest[..end]).ok()
}
