//! The whole pool as a state machine. No clock, no lock, no task, no source of chance.

mod room;
mod settle;
mod turn;

pub use self::turn::ConnectFailure;

use std::collections::HashMap;
use std::fmt;
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::book::{Book, Grant, Waiter};
use crate::moment::Moment;
use crate::queue::{Left, Place};
use crate::stats::Cause;
use crate::times::Times;
use crate::{AcquireError, Config, ConfigError, Held, Manage, Order, Orders, Stats};

/// Where a key's book lies. It stays there while anything of the key is open, waited for or
/// [pinned](Ledger::pin).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// A place in the queue. [Claim](Ledger::claim) it until it is answered, or
/// [cancel](Ledger::cancel) it.
#[derive(Debug)]
#[must_use = "an answer that nobody claims is a connection that nobody uses"]
pub struct Ticket {
    slot: Slot,
    place: Place,
}

/// What a returned connection is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection is to be used again, or not")]
pub enum Fate {
    /// It may be lent again.
    Keep,
    /// It is to be closed.
    Broken,
}

/// Who is idle, who waits and what is open, of all keys; see the [crate documentation](crate).
///
/// Every change says in [`Orders`] what is to be done about it. A connection that is told to be
/// made, checked or closed takes a place until the answer.
pub struct Ledger<M: Manage> {
    config: Config,
    times: Times,
    /// All moments count from it.
    epoch: Instant,
    books: Vec<Option<Book<M>>>,
    vacant: Vec<usize>,
    index: HashMap<M::Key, usize>,
    /// Of all keys, as are the next three: places taken, and of those the idle and the closing.
    open: usize,
    idle: usize,
    closing: usize,
    /// Waiters that nothing but room for another connection is missing for.
    wanting: usize,
    next_ticket: u64,
    /// The earliest moment at which anything comes due, as far as the caller was told.
    armed: Moment,
    closed: bool,
    /// What keys that are no more have counted.
    past: Stats,
}

impl<M: Manage> Ledger<M> {
    /// An empty pool, or the reason `config` means nothing. No time it is told is before `now`.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            times: Times::of(&config),
            config,
            epoch: now,
            books: Vec::new(),
            vacant: Vec::new(),
            index: HashMap::new(),
            open: 0,
            idle: 0,
            closing: 0,
            wanting: 0,
            next_ticket: 0,
            armed: Moment::NEVER,
            closed: false,
            past: Stats::default(),
        })
    }

    /// What it was told.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The book of a key that is known already.
    pub fn find(&self, key: &M::Key) -> Option<Slot> {
        self.index.get(key).copied().map(Slot)
    }

    /// The book of a key, a new one if need be; if the key is to stay, [pin](Self::pin) it.
    pub fn enter(
        &mut self,
        key: &M::Key,
        now: Instant,
        orders: &mut Orders<M>,
    ) -> Result<Slot, AcquireError<M::Error>> {
        if self.closed {
            return Err(AcquireError::Closed);
        }
        if let Some(slot) = self.find(key) {
            return Ok(slot);
        }
        let max_keys = self.config.max_keys;
        let now = self.moment(now);
        if self.index.len() >= max_keys && !self.forget_one(now, orders) {
            return Err(AcquireError::TooManyKeys { max_keys });
        }
        let book = Book::new(key.clone(), now);
        let at = match self.vacant.pop() {
            Some(at) => at,
            None => {
                self.books.push(None);
                self.books.len() - 1
            }
        };
        self.books[at] = Some(book);
        self.index.insert(key.clone(), at);
        let slot = Slot(at);
        self.arm(now.plus(self.times.key), orders);
        self.settle(slot, now, orders);
        Ok(slot)
    }

    /// Keeps the key known until it is [unpinned](Self::unpin) as often.
    pub fn pin(&mut self, slot: Slot) {
        if let Some(book) = self.book_mut(slot) {
            book.pins += 1;
        }
    }

    /// Undoes one [`pin`](Self::pin).
    pub fn unpin(&mut self, slot: Slot, now: Instant, orders: &mut Orders<M>) {
        let now = self.moment(now);
        if let Some(book) = self.book_mut(slot) {
            book.pins = book.pins.saturating_sub(1);
            book.used = now;
        }
        self.arm(now.plus(self.times.key), orders);
        self.vacate(slot);
    }

    /// Lends the connection that was returned last, if any is idle.
    #[inline]
    pub fn take(&mut self, slot: Slot, orders: &mut Orders<M>) -> Option<Box<Held<M::Connection>>> {
        let book = self.books.get_mut(slot.0)?.as_mut()?;
        let mut held = book.idle.pop()?;
        held.used = true;
        book.lent += 1;
        book.failures = 0;
        book.counts.acquired += 1;
        self.idle -= 1;
        if book.idle.len() < self.config.min_idle && book.missing(&self.config) > 0 {
            self.look(orders);
        }
        Some(held)
    }

    /// Queues up behind all who wait for the same key. `waker` is woken when there is an answer.
    pub fn wait(
        &mut self,
        slot: Slot,
        now: Instant,
        waker: &Waker,
        orders: &mut Orders<M>,
    ) -> Result<Ticket, AcquireError<M::Error>> {
        let now = self.moment(now);
        let number = self.next_ticket;
        let max_waiting = self.config.max_waiting;
        let book = self.book_mut(slot).filter(|book| !book.retired).ok_or(AcquireError::Closed)?;
        let waiting = book.queue.waiting();
        if waiting >= max_waiting {
            return Err(AcquireError::Exhausted { open: book.open(), waiting });
        }
        book.used = now;
        let place = book.queue.push(number, Waiter { since: now, waker: waker.clone() });
        self.next_ticket += 1;
        // The deadline of whoever came before is earlier still.
        self.arm(now.plus(self.times.acquire), orders);
        self.settle(slot, now, orders);
        Ok(Ticket { slot, place })
    }

    /// The answer, if it is there. Afterwards the ticket is void.
    pub fn claim(
        &mut self,
        ticket: &Ticket,
        waker: &Waker,
        orders: &mut Orders<M>,
    ) -> Poll<Grant<M>> {
        let Some(book) = self.book_mut(ticket.slot) else {
            return Poll::Ready(Err(AcquireError::Closed));
        };
        if let Some(waiter) = book.queue.get_mut(ticket.place) {
            if !waiter.waker.will_wake(waker) {
                orders.push(Order::Drop(std::mem::replace(&mut waiter.waker, waker.clone())));
            }
            return Poll::Pending;
        }
        let grant = book.queue.fetch(ticket.place).unwrap_or(Err(AcquireError::Closed));
        book.counts.acquired += u64::from(grant.is_ok());
        self.vacate(ticket.slot);
        Poll::Ready(grant)
    }

    /// Leaves the queue. What was granted meanwhile goes to the next.
    pub fn cancel(&mut self, ticket: Ticket, now: Instant, orders: &mut Orders<M>) {
        let now = self.moment(now);
        let Ticket { slot, place } = ticket;
        let Some(book) = self.book_mut(slot) else { return };
        book.counts.cancelled += 1;
        match book.queue.leave(place) {
            Some(Left::Waiting(waiter)) => {
                orders.push(Order::Drop(waiter.waker));
                self.settle(slot, now, orders);
            }
            Some(Left::Answered(Ok(held))) => {
                book.lent -= 1;
                self.put(slot, held, now, orders);
            }
            Some(Left::Answered(Err(_))) | None => {}
        }
        self.vacate(slot);
    }

    /// Takes back what was lent.
    #[inline]
    pub fn release(
        &mut self,
        slot: Slot,
        mut held: Box<Held<M::Connection>>,
        now: Instant,
        fate: Fate,
        orders: &mut Orders<M>,
    ) {
        let now = self.moment(now);
        let Some(book) = self.book_mut(slot) else { return };
        book.lent -= 1;
        book.used = now;
        book.counts.released += 1;
        held.idle_since = now;
        held.is_doubted = false;
        match fate {
            Fate::Keep => self.put(slot, held, now, orders),
            Fate::Broken => self.close_one(slot, held.connection, Cause::Broken, orders),
        }
    }

    /// Takes back what was [taken](Self::take) and found broken before anyone saw it.
    #[expect(clippy::boxed_local, reason = "it is given back as it was lent")]
    pub fn reject(&mut self, slot: Slot, held: Box<Held<M::Connection>>, orders: &mut Orders<M>) {
        let Some(book) = self.book_mut(slot) else { return };
        book.lent -= 1;
        book.counts.acquired -= 1;
        self.close_one(slot, held.connection, Cause::Broken, orders);
    }

    /// Takes a lent connection out for good; its place is free.
    #[expect(clippy::boxed_local, reason = "it is taken as it was lent")]
    pub fn detach(
        &mut self,
        slot: Slot,
        held: Box<Held<M::Connection>>,
        now: Instant,
        orders: &mut Orders<M>,
    ) -> M::Connection {
        let now = self.moment(now);
        if let Some(book) = self.book_mut(slot) {
            book.lent -= 1;
            book.used = now;
            book.counts.detached += 1;
            self.freed(slot, now, orders);
        }
        held.connection
    }

    /// Forgets a key: idle connections are closed, lent ones when they are back, and whoever waits
    /// is refused. A later [`enter`](Self::enter) begins anew.
    pub fn remove(&mut self, key: &M::Key, now: Instant, orders: &mut Orders<M>) {
        if let Some(slot) = self.find(key) {
            self.retire(slot, self.moment(now), orders);
        }
    }

    /// Removes every key, and refuses all callers from now on. The order [`Order::Emptied`] says
    /// when nothing is open any more.
    pub fn close(&mut self, now: Instant, orders: &mut Orders<M>) {
        self.closed = true;
        let now = self.moment(now);
        for at in 0..self.books.len() {
            self.retire(Slot(at), now, orders);
        }
    }

    /// Whether it was told to close.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many places are taken.
    pub fn open(&self) -> usize {
        self.open
    }

    /// The sum of all keys, those that are no more among them.
    pub fn stats(&self) -> Stats {
        let mut sum = self.past;
        self.books.iter().flatten().for_each(|book| sum.add(&book.stats()));
        sum
    }

    /// What one key has counted.
    pub fn key_stats(&self, slot: Slot) -> Option<Stats> {
        self.book(slot).map(Book::stats)
    }

    /// Every key that is known, and what it has counted.
    pub fn keys(&self) -> impl Iterator<Item = (&M::Key, Stats)> {
        let books = self.index.values().filter_map(|at| self.book(Slot(*at)));
        books.map(|book| (&book.key, book.stats()))
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment::of(now, self.epoch)
    }

    fn book(&self, slot: Slot) -> Option<&Book<M>> {
        self.books.get(slot.0)?.as_ref()
    }

    fn book_mut(&mut self, slot: Slot) -> Option<&mut Book<M>> {
        self.books.get_mut(slot.0)?.as_mut()
    }
}

impl<M: Manage> fmt::Debug for Ledger<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Ledger");
        shown.field("keys", &self.index.len()).field("closed", &self.closed);
        shown.field("stats", &self.stats()).finish_non_exhaustive()
    }
}
