//! One stream: its events, how far it has been read, and who waits for what.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;

use super::{Attached, Demand, Take, UNREAD_MAX};

/// An event that can be had again.
#[derive(Debug)]
pub(super) struct Kept {
    /// Its number in the stream, from 1.
    pub(super) number: u64,
    /// Its place among the events of all streams.
    pub(super) arrived: u64,
    pub(super) event: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Numbers rise.
    kept: VecDeque<Kept>,
    /// The number of the newest event.
    pub(super) last: u64,
    /// Up to here, events have been given to a reader.
    pub(super) read: u64,
    /// Up to here, events are in the store, if there is one.
    stored: u64,
    /// Up to here, events are not kept any more.
    pub(super) lost: u64,
    /// Nothing will be added.
    pub(super) over: bool,
    /// Nobody may read on.
    pub(super) closed: bool,
    /// Somebody writes.
    pub(super) pumped: bool,
    /// The client knows an id of this stream, and so can come back to it.
    pub(super) known: bool,
    /// How many readers there have been; the newest counts.
    readers: u64,
    attended: bool,
    reader: Option<Waker>,
    pump: Option<Waker>,
}

impl Stream {
    pub(super) fn attach(&mut self, known: bool) -> Attached {
        self.wake();
        self.readers += 1;
        self.attended = true;
        self.known |= known;
        Attached { reader: self.readers, after: self.read, gap: false }
    }

    pub(super) fn is_read_by(&self, reader: u64) -> bool {
        self.attended && self.readers == reader
    }

    pub(super) fn has_reader(&self) -> bool {
        self.attended
    }

    pub(super) fn leave(&mut self) {
        self.attended = false;
        self.reader = None;
        self.wake();
    }

    pub(super) fn take(&mut self, awaits_store: bool, waker: &Waker) -> Take {
        if self.closed {
            return Take::End;
        }
        let unread = self.kept.get(self.read_of_kept());
        let may = |kept: &&Kept| !awaits_store || kept.number <= self.stored;
        if let Some(kept) = unread.filter(may) {
            let event = kept.event.clone();
            self.read = kept.number;
            self.known = true;
            self.wake_pump();
            return Take::Event(event);
        }
        if unread.is_none() && self.over {
            return Take::End;
        }
        keep_waker(&mut self.reader, waker);
        Take::Wait
    }

    pub(super) fn demand(&mut self, waker: &Waker) -> Demand {
        keep_waker(&mut self.pump, waker);
        match self.attended {
            false => Demand::Nobody,
            true if self.kept.len() - self.read_of_kept() >= UNREAD_MAX => Demand::Full,
            true => Demand::Wanted,
        }
    }

    pub(super) fn push(&mut self, kept: Kept, last: bool) {
        self.last = kept.number;
        self.kept.push_back(kept);
        self.over = last;
        self.wake_reader();
    }

    pub(super) fn finish(&mut self) {
        self.over = true;
        self.wake_reader();
    }

    pub(super) fn stored(&mut self, number: u64) {
        self.stored = self.stored.max(number);
        self.wake_reader();
    }

    pub(super) fn restore(&mut self, kept: Kept, last: bool) {
        if self.kept.is_empty() {
            self.lost = kept.number - 1;
        }
        (self.last, self.read, self.stored) = (kept.number, kept.number, kept.number);
        (self.over, self.known) = (last, true);
        self.kept.push_back(kept);
    }

    /// A stream whose events get numbers above `floor`.
    pub(super) fn above(floor: u64) -> Self {
        Self { last: floor, read: floor, ..Self::default() }
    }

    pub(super) fn newest(&self) -> Option<&Bytes> {
        self.kept.back().map(|kept| &kept.event)
    }

    /// Later events get numbers that no earlier life of this stream can have given.
    pub(super) fn begin_above(&mut self, floor: u64) {
        self.last = self.last.max(floor);
        self.read = self.last;
    }

    /// Whether the oldest event may go: a reader who is there has been given it.
    pub(super) fn may_drop(&self) -> bool {
        self.oldest().is_some_and(|oldest| !self.attended || oldest <= self.read)
    }

    pub(super) fn drop_oldest(&mut self) -> Option<Kept> {
        let kept = self.kept.pop_front()?;
        self.lost = kept.number;
        Some(kept)
    }

    pub(super) fn is_done(&self) -> bool {
        self.over && self.kept.is_empty()
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.number)
    }

    pub(super) fn oldest_len(&self) -> usize {
        self.kept.front().map_or(0, |kept| kept.event.len())
    }

    pub(super) fn arrivals(&self) -> impl Iterator<Item = u64> {
        self.kept.iter().map(|kept| kept.arrived)
    }

    /// How many of the kept events have been read.
    fn read_of_kept(&self) -> usize {
        self.kept.partition_point(|kept| kept.number <= self.read)
    }

    pub(super) fn wake(&mut self) {
        self.wake_reader();
        self.wake_pump();
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_pump(&mut self) {
        if let Some(waker) = self.pump.take() {
            waker.wake();
        }
    }
}

fn keep_waker(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) => kept.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
