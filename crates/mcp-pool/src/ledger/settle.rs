//! What follows from a change: who is served, what is opened, what is closed.

use std::time::Instant;

use crate::book::{Book, Grant};
use crate::moment::Moment;
use crate::stats::Cause;
use crate::{AcquireError, Held, Manage, Order, Orders};

use super::{Ledger, Slot};

impl<M: Manage> Ledger<M> {
    /// A connection that is free to be lent again: to whoever waits, else to lie idle.
    pub(super) fn put(
        &mut self,
        slot: Slot,
        held: Box<Held<M::Connection>>,
        now: Moment,
        orders: &mut Orders<M>,
    ) {
        let Some(book) = self.books.get_mut(slot.0).and_then(Option::as_mut) else { return };
        if book.retired {
            return self.close_one(slot, held.connection, Cause::Shutdown, orders);
        }
        if held.expires <= now {
            return self.close_one(slot, held.connection, Cause::Lifetime, orders);
        }
        if book.queue.waiting() > 0 {
            return match self.is_yielded(slot) {
                true => self.close_one(slot, held.connection, Cause::Evicted, orders),
                false => self.hand(slot, held, now, orders),
            };
        }
        if book.idle.len() >= self.config.max_idle {
            return self.close_one(slot, held.connection, Cause::Surplus, orders);
        }
        let mut due = held.expires.min(now.plus(self.times.rest));
        let rested_before = held.idle_since < now || self.config.min_idle > 0;
        book.keep(held);
        self.idle += 1;
        if rested_before {
            // It may be due sooner than what is put to rest now, or make another one due.
            due = due.min(book.idle_until(&self.config, &self.times).0);
        }
        self.arm(due, orders);
        if self.wanting > self.closing {
            self.evict(orders);
        }
    }

    /// Gives the first who waits what came free.
    fn hand(
        &mut self,
        slot: Slot,
        mut held: Box<Held<M::Connection>>,
        now: Moment,
        orders: &mut Orders<M>,
    ) {
        held.used = true;
        if let Some(book) = self.book_mut(slot) {
            book.lent += 1;
            book.failures = 0;
            if let Some(since) = answer(book, Ok(held), orders) {
                book.counts.waited(now.since(since));
            }
        }
        self.recount(slot);
    }

    /// Answers the first who waits.
    pub(super) fn refuse(
        &mut self,
        slot: Slot,
        error: AcquireError<M::Error>,
        orders: &mut Orders<M>,
    ) {
        if let Some(book) = self.book_mut(slot) {
            answer(book, Err(error), orders);
        }
        self.recount(slot);
    }

    /// Begins to close a connection, which takes its place until that is done.
    pub(super) fn close_one(
        &mut self,
        slot: Slot,
        connection: M::Connection,
        cause: Cause,
        orders: &mut Orders<M>,
    ) {
        if let Some(book) = self.book_mut(slot) {
            book.closing += 1;
            book.counts.closed.count(cause);
            let key = book.key.clone();
            orders.push(Order::Close { slot, key, connection, cause });
            self.closing += 1;
        }
    }

    /// The answer to [`Order::Close`]: its place is free.
    pub fn closed(&mut self, slot: Slot, now: Instant, orders: &mut Orders<M>) {
        let now = self.moment(now);
        let Some(book) = self.book_mut(slot) else { return };
        book.closing -= 1;
        self.closing -= 1;
        self.freed(slot, now, orders);
    }

    /// One place less is taken.
    pub(super) fn freed(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        self.open -= 1;
        self.settle(slot, now, orders);
        if self.config.min_idle > 0 {
            // Any key may have waited for the place to make a spare.
            self.look(orders);
        }
        if self.closed && self.open == 0 {
            orders.push(Order::Emptied);
        }
        self.vacate(slot);
    }

    /// Restores what always holds: nobody waits while anything of its key is idle; no place is free
    /// while a waiter wants one; and a waiter that wants one is about to get that of an idle
    /// connection, if there is any.
    pub(super) fn settle(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        while let Some(book) = self.book_mut(slot)
            && book.queue.waiting() > 0
            && let Some(held) = book.idle.pop()
        {
            self.idle -= 1;
            self.hand(slot, held, now, orders);
        }
        self.recount(slot);
        while self.wanting > 0 && self.open < self.config.max_open {
            let Some(oldest) = self.oldest_wanting() else { break };
            self.connect(oldest, orders);
        }
        self.evict(orders);
        if self.config.min_idle > 0 {
            self.refill(slot, now, orders);
        }
    }

    /// Begins connections that nobody waits for yet. Those who wait for a place go first.
    pub(super) fn refill(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        while self.wanting == 0
            && self.open < self.config.max_open
            && self.book(slot).is_some_and(|book| book.refills(&self.config, now) > 0)
        {
            self.connect(slot, orders);
        }
    }

    fn connect(&mut self, slot: Slot, orders: &mut Orders<M>) {
        let Some(book) = self.book_mut(slot) else { return };
        book.connecting += 1;
        let key = book.key.clone();
        orders.push(Order::Connect { slot, key });
        self.open += 1;
        self.recount(slot);
    }

    /// Closes what has been idle longest, of any key, until as many places come free as are wanted.
    fn evict(&mut self, orders: &mut Orders<M>) {
        while self.wanting > self.closing && self.open >= self.config.max_open && self.idle > 0 {
            let books = self.books.iter().enumerate();
            let idle =
                books.filter_map(|(at, book)| Some((book.as_ref()?.idle.first()?.idle_since, at)));
            let Some((_, at)) = idle.min() else { return };
            let Some(book) = self.books[at].as_mut() else { return };
            let held = book.idle.remove(0);
            self.idle -= 1;
            self.close_one(Slot(at), held.connection, Cause::Evicted, orders);
        }
    }

    /// Whether a connection of this key, for which others wait, has to make room for a key that
    /// has none at all, and whose first caller came earlier.
    ///
    /// Without this, a key whose callers never cease would keep all places for ever. A key that has
    /// at least one is served by it, and waits for more until a place is free.
    fn is_yielded(&self, slot: Slot) -> bool {
        if self.wanting <= self.closing || self.open < self.config.max_open {
            return false;
        }
        let first = self.book(slot).and_then(Book::first_waiter);
        let others = self.books.iter().flatten().filter(|book| book.open() == 0);
        others.filter_map(Book::first_waiter).any(|other| Some(other) < first)
    }

    /// The key whose waiter has wanted a place for longest.
    fn oldest_wanting(&self) -> Option<Slot> {
        let books = self.books.iter().enumerate();
        let wanting = books.filter_map(|(at, book)| {
            let book = book.as_ref().filter(|book| book.counted > 0)?;
            Some((book.first_unserved()?, at))
        });
        wanting.min().map(|(_, at)| Slot(at))
    }

    /// Brings the sum of what is wanted up to date with one book.
    pub(super) fn recount(&mut self, slot: Slot) {
        let Some(book) = self.books.get_mut(slot.0).and_then(Option::as_mut) else { return };
        let want = book.want(&self.config);
        self.wanting = self.wanting - book.counted + want;
        book.counted = want;
    }

    /// Sees to it that [`turn`](Self::turn) is called at `due`.
    #[inline]
    pub(super) fn arm(&mut self, due: Moment, orders: &mut Orders<M>) {
        if due < self.armed {
            self.armed = due;
            orders.look = true;
        }
    }

    /// Sees to it that [`turn`](Self::turn) is called at once.
    pub(super) fn look(&mut self, orders: &mut Orders<M>) {
        orders.look = true;
    }
}

/// Moves the first waiter's answer to where it is claimed; gives the time since when it waited.
fn answer<M: Manage>(
    book: &mut Book<M>,
    grant: Grant<M>,
    orders: &mut Orders<M>,
) -> Option<Moment> {
    let waiter = book.queue.answer(grant)?;
    orders.wake(waiter.waker);
    Some(waiter.since)
}
