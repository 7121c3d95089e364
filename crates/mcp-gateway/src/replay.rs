//! Which events of a session's streams can still be had: no I/O, no clock, no lock.
//!
//! Each stream is written by one pump and read by one reader, the newest. What a reader has been
//! given is kept for when its connection turns out to be cut, as long as there is room.

mod event_id;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

pub(crate) use self::event_id::EventId;
use self::stream::{Kept, Stream};

/// The stream of what belongs to none of a session's calls.
pub(crate) const STANDALONE: u64 = 0;
/// Events that may wait for a reader who is there; the pump waits then. Enough for a reader to
/// find something whenever it looks.
const UNREAD_MAX: usize = 16;
/// Calls of one session that may go on while nobody reads their streams.
const UNATTENDED_MAX: usize = 64;
/// What an event costs beside its bytes.
const OVERHEAD: usize = 128;
/// An event that would take more than this part of everything is not kept once it has been read.
const EVENT_PART: usize = 4;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Events and bytes of one session. Its newest event is kept even if it is larger.
    pub(crate) session_events: usize,
    pub(crate) session_bytes: usize,
    /// Bytes of all sessions.
    pub(crate) total_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { session_events: 1024, session_bytes: 256 << 10, total_bytes: 64 << 20 }
    }
}

/// One stream of one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) session: Arc<str>,
    pub(crate) stream: u64,
}

/// What there is for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Take {
    Event(Bytes),
    /// Nothing now: the reader will be woken.
    Wait,
    /// Nothing any more: the stream is over, or somebody else reads it.
    End,
}

/// What a pump is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// There is a reader, and room.
    Wanted,
    /// The reader is behind: wait for it.
    Full,
    /// Nobody reads.
    Nobody,
    /// The stream does not exist any more.
    Gone,
}

/// A reader has begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Tells it from the readers before it and after it.
    pub(crate) reader: u64,
    /// It begins after the event of this number.
    pub(crate) after: u64,
    /// Events between what it has and what it will be given are gone.
    pub(crate) gap: bool,
}

/// Why a reader cannot begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has all that there was.
    Over,
    /// No such stream is known (any more), or none with such an event.
    Unknown,
}

/// All events that are kept, of all sessions. A session without events takes no place.
#[derive(Debug)]
pub(crate) struct Replay {
    bounds: Bounds,
    sessions: HashMap<Arc<str>, Streams>,
    /// Every event that is kept, by its arrival.
    order: BTreeMap<u64, Key>,
    arrived: u64,
    /// Numbers up to this belong to earlier lives: of streams, and of standalone streams' events.
    floor: u64,
    opened: u64,
    bytes: usize,
    /// Whether an event must be stored before a reader is given it.
    awaits_store: bool,
    /// Events that were dropped and are still in the store.
    dropped: Vec<(Key, u64)>,
    /// No standalone stream is read any more.
    closing: bool,
}

#[derive(Debug, Default)]
struct Streams {
    all: BTreeMap<u64, Stream>,
    events: usize,
    bytes: usize,
    /// When the newest event arrived.
    newest: u64,
}

impl Replay {
    /// `floor`: streams, and events of standalone streams, get higher numbers than this.
    pub(crate) fn new(bounds: Bounds, floor: u64, awaits_store: bool) -> Self {
        Self {
            bounds,
            sessions: HashMap::new(),
            order: BTreeMap::new(),
            arrived: 0,
            floor,
            opened: floor,
            bytes: 0,
            awaits_store,
            dropped: Vec::new(),
            closing: false,
        }
    }

    /// Begins a call's stream, with its first reader. `known`: it will be told the stream's id.
    pub(crate) fn open(&mut self, session: &Arc<str>, known: bool) -> (Key, Attached) {
        self.opened += 1;
        let key = Key { session: Arc::clone(session), stream: self.opened };
        let mut stream = Stream::default();
        let attached = stream.attach(known);
        self.sessions.entry(Arc::clone(session)).or_default().all.insert(key.stream, stream);
        (key, attached)
    }

    /// Reads a session's standalone stream from where the last reader stopped.
    pub(crate) fn listen(&mut self, session: &Arc<str>, known: bool) -> Attached {
        let closed = self.closing;
        let stream = self.standalone(session);
        stream.closed = closed;
        stream.attach(known)
    }

    /// Reads a stream from behind the event `after`.
    pub(crate) fn resume(&mut self, key: &Key, after: u64) -> Result<Attached, Refused> {
        if key.stream == STANDALONE {
            self.standalone(&key.session).closed = self.closing;
        }
        let stream = self.stream_mut(key).ok_or(Refused::Unknown)?;
        if after > stream.last {
            return Err(Refused::Unknown);
        }
        if stream.over && after == stream.last {
            return Err(Refused::Over);
        }
        let gap = stream.lost > after;
        stream.read = after.max(stream.lost);
        let mut attached = stream.attach(true);
        (attached.after, attached.gap) = (after, gap);
        // Who asks for what follows has what came before.
        while self.stream(key).and_then(Stream::oldest).is_some_and(|oldest| oldest <= after) {
            self.drop_oldest(key);
        }
        Ok(attached)
    }

    /// Whether somebody has yet to become the pump of a stream; asked once, by who does.
    pub(crate) fn wants_pump(&mut self, key: &Key) -> bool {
        self.stream_mut(key).is_some_and(|stream| !std::mem::replace(&mut stream.pumped, true))
    }

    /// The next event for a reader.
    pub(crate) fn take(&mut self, key: &Key, reader: u64, waker: &Waker) -> Take {
        let awaits_store = self.awaits_store;
        let Some(stream) = self.stream_mut(key).filter(|stream| stream.is_read_by(reader)) else {
            return Take::End;
        };
        match stream.take(awaits_store, waker) {
            Take::Event(event) => {
                self.keep_within_bounds(&key.session);
                Take::Event(event)
            }
            other => other,
        }
    }

    /// A reader has gone; its place may have been taken already. What nobody can come back to is
    /// over with that.
    pub(crate) fn leave(&mut self, key: &Key, reader: u64) {
        let Some(streams) = self.sessions.get_mut(&key.session) else { return };
        let unattended = |stream: &&Stream| !stream.over && !stream.has_reader();
        let calls = streams.all.iter().filter(|(number, _)| **number != STANDALONE);
        let crowded = calls.map(|(_, stream)| stream).filter(unattended).count() >= UNATTENDED_MAX;
        let Some(stream) = streams.all.get_mut(&key.stream) else { return };
        if !stream.is_read_by(reader) {
            return;
        }
        stream.leave();
        let lost = (!stream.known || crowded) && !stream.over;
        if lost && key.stream != STANDALONE {
            self.close(key);
        }
        self.keep_within_bounds(&key.session);
    }

    /// What the pump of a stream is to do; it is woken when that may have changed.
    pub(crate) fn demand(&mut self, key: &Key, waker: &Waker) -> Demand {
        self.stream_mut(key).map_or(Demand::Gone, |stream| stream.demand(waker))
    }

    /// Adds an event, which `encode` makes for its number; `None` if the stream is gone. `last`:
    /// nothing follows.
    pub(crate) fn push(
        &mut self,
        key: &Key,
        last: bool,
        encode: impl FnOnce(u64) -> Bytes,
    ) -> Option<(u64, Bytes)> {
        let arrived = self.arrived + 1;
        let stream = self.stream_mut(key)?;
        let number = stream.last + 1;
        let event = encode(number);
        stream.push(Kept { number, arrived, event: event.clone() }, last);
        self.arrived = arrived;
        self.count(key, arrived, event.len());
        self.keep_within_bounds(&key.session);
        Some((number, event))
    }

    /// Nothing more comes on this stream.
    pub(crate) fn finish(&mut self, key: &Key) {
        if let Some(stream) = self.stream_mut(key) {
            stream.finish();
        }
        self.forget_if_done(key);
    }

    /// Everything up to this event is in the store.
    pub(crate) fn stored(&mut self, key: &Key, number: u64) {
        if let Some(stream) = self.stream_mut(key) {
            stream.stored(number);
        }
    }

    /// There is no store any more: nothing waits for it.
    pub(crate) fn store_failed(&mut self) {
        self.awaits_store = false;
        self.dropped = Vec::new();
        self.streams_mut().for_each(Stream::wake);
    }

    /// What has been dropped here since the last time, and not from the store.
    pub(crate) fn take_dropped(&mut self) -> Vec<(Key, u64)> {
        std::mem::take(&mut self.dropped)
    }

    /// Puts back an event that a store has kept; in order, and all before anything else happens.
    /// The reader of a standalone stream begins behind it, unless it says what it has.
    pub(crate) fn restore(&mut self, key: &Key, number: u64, event: Bytes, last: bool) {
        self.arrived += 1;
        let (arrived, bytes) = (self.arrived, event.len());
        let streams = &mut self.sessions.entry(Arc::clone(&key.session)).or_default().all;
        streams.entry(key.stream).or_default().restore(Kept { number, arrived, event }, last);
        self.count(key, arrived, bytes);
        self.keep_within_bounds(&key.session);
    }

    /// Says that everything has been put back. Returns the calls whose answer will never come, and
    /// the newest event of each.
    pub(crate) fn restored(&mut self) -> Vec<(Key, Bytes)> {
        let mut unanswered = Vec::new();
        for (session, streams) in &mut self.sessions {
            for (number, stream) in &mut streams.all {
                if *number == STANDALONE {
                    stream.begin_above(self.floor);
                } else if !stream.over {
                    let key = Key { session: Arc::clone(session), stream: *number };
                    unanswered.extend(stream.newest().map(|event| (key, event.clone())));
                }
            }
        }
        unanswered
    }

    /// Ends a session's streams, for readers and pumps alike.
    pub(crate) fn forget(&mut self, session: &str) {
        let Some(mut streams) = self.sessions.remove(session) else { return };
        self.bytes -= streams.bytes;
        for stream in streams.all.values_mut() {
            stream.arrivals().for_each(|arrived| _ = self.order.remove(&arrived));
            stream.wake();
        }
    }

    /// Ends one stream.
    pub(crate) fn close(&mut self, key: &Key) {
        while self.stream(key).and_then(Stream::oldest).is_some() {
            self.drop_oldest(key);
        }
        let streams = self.sessions.get_mut(&key.session);
        if let Some(mut stream) = streams.and_then(|streams| streams.all.remove(&key.stream)) {
            stream.wake();
        }
        self.forget_if_empty(&key.session);
    }

    /// Ends the readers of the standalone streams, which would never end by themselves.
    pub(crate) fn close_standalone(&mut self) {
        self.closing = true;
        for streams in self.sessions.values_mut() {
            if let Some(stream) = streams.all.get_mut(&STANDALONE) {
                stream.closed = true;
                stream.wake();
            }
        }
    }

    fn stream(&self, key: &Key) -> Option<&Stream> {
        self.sessions.get(&key.session)?.all.get(&key.stream)
    }

    fn stream_mut(&mut self, key: &Key) -> Option<&mut Stream> {
        self.sessions.get_mut(&key.session)?.all.get_mut(&key.stream)
    }

    fn standalone(&mut self, session: &Arc<str>) -> &mut Stream {
        let streams = &mut self.sessions.entry(Arc::clone(session)).or_default().all;
        streams.entry(STANDALONE).or_insert_with(|| Stream::above(self.floor))
    }

    fn streams_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.sessions.values_mut().flat_map(|streams| streams.all.values_mut())
    }

    fn count(&mut self, key: &Key, arrived: u64, bytes: usize) {
        self.order.insert(arrived, key.clone());
        self.bytes += bytes + OVERHEAD;
        if let Some(streams) = self.sessions.get_mut(&key.session) {
            streams.events += 1;
            streams.bytes += bytes + OVERHEAD;
            streams.newest = arrived;
        }
    }

    /// The oldest goes first, but nothing that a reader who is there has still to be given: that is
    /// bounded by its pump.
    fn keep_within_bounds(&mut self, session: &Arc<str>) {
        let Bounds { session_events, session_bytes, total_bytes } = self.bounds;
        while let Some(streams) = self.sessions.get(session)
            && (streams.events > session_events || streams.bytes > session_bytes)
        {
            let event_max = total_bytes / EVENT_PART;
            let Some(stream) = streams.oldest(event_max) else { break };
            self.drop_oldest(&Key { session: Arc::clone(session), stream });
        }
        while self.bytes > total_bytes {
            let droppable = |key: &&Key| self.stream(key).is_some_and(Stream::may_drop);
            let Some(key) = self.order.values().find(droppable).cloned() else { break };
            self.drop_oldest(&key);
        }
    }

    fn drop_oldest(&mut self, key: &Key) {
        let Some(streams) = self.sessions.get_mut(&key.session) else { return };
        let Some(stream) = streams.all.get_mut(&key.stream) else { return };
        let Some(kept) = stream.drop_oldest() else { return };
        let bytes = kept.event.len() + OVERHEAD;
        streams.events -= 1;
        streams.bytes -= bytes;
        self.bytes -= bytes;
        self.order.remove(&kept.arrived);
        if self.awaits_store {
            self.dropped.push((key.clone(), kept.number));
        }
        self.forget_if_done(key);
    }

    /// A stream that is over and has nothing left leaves no trace.
    fn forget_if_done(&mut self, key: &Key) {
        let Some(streams) = self.sessions.get_mut(&key.session) else { return };
        if streams.all.get(&key.stream).is_some_and(Stream::is_done)
            && let Some(mut stream) = streams.all.remove(&key.stream)
        {
            stream.wake();
        }
        self.forget_if_empty(&key.session);
    }

    fn forget_if_empty(&mut self, session: &Arc<str>) {
        if self.sessions.get(session).is_some_and(|streams| streams.all.is_empty()) {
            self.sessions.remove(session);
        }
    }
}

impl Streams {
    /// The stream with the oldest event that may go. The newest of the session stays, unless it is
    /// larger than `event_max`.
    fn oldest(&self, event_max: usize) -> Option<u64> {
        let streams = self.all.iter().filter(|(_, stream)| stream.may_drop());
        let first = |stream: &Stream| stream.arrivals().next().unwrap_or(u64::MAX);
        let (number, stream) = streams.min_by_key(|(_, stream)| first(stream))?;
        let stays = first(stream) == self.newest && stream.oldest_len() <= event_max;
        (!stays).then_some(*number)
    }
}
