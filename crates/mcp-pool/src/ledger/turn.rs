//! What time brings: what expires, what is checked, who has waited for too long; and the answers
//! to the orders.

use std::time::{Duration, Instant};

use crate::moment::Moment;
use crate::stats::Cause;
use crate::{AcquireError, Held, Manage, Order, Orders};

use super::{Ledger, Slot};

/// Why an [`Order::Connect`](crate::Order::Connect) made no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it failed by itself, or took too long, or was dropped"
)]
pub enum ConnectFailure<E> {
    /// It failed.
    Failed(E),
    /// It took this long, which is too long.
    Timeout(Duration),
    /// It ended without an answer.
    Abandoned,
}

impl<M: Manage> Ledger<M> {
    /// Does what has come due by `now`, and says when to be called again: then at the latest, and
    /// at once when [`Orders::look`] says so.
    pub fn turn(&mut self, now: Instant, orders: &mut Orders<M>) -> Option<Instant> {
        let now = self.moment(now);
        for at in 0..self.books.len() {
            let slot = Slot(at);
            self.time_out(slot, now, orders);
            self.expire(slot, now, orders);
            self.check_one(slot, now, orders);
            self.refill(slot, now, orders);
            if self.book(slot).is_some_and(|book| book.forget_at(&self.times, now) <= now) {
                self.retire(slot, now, orders);
            }
        }
        let books = self.books.iter().flatten();
        let due = books.map(|book| book.next_due(&self.config, &self.times, now)).min();
        // A moment that was asked for stays so: what it was for may be lent just now, and every
        // return would ask for it anew.
        let asked = if self.armed > now { self.armed } else { Moment::NEVER };
        self.armed = due.map_or(asked, |due| due.min(asked));
        orders.look = false;
        self.armed.instant(self.epoch)
    }

    /// The answer to [`Order::Connect`]. `random` decides when within `lifetime_jitter` the
    /// connection expires, or when the next spare is made.
    pub fn connected(
        &mut self,
        slot: Slot,
        result: Result<M::Connection, ConnectFailure<M::Error>>,
        now: Instant,
        random: u64,
        orders: &mut Orders<M>,
    ) {
        let (born, now) = (now, self.moment(now));
        let lifetime = self.config.lifetime(random);
        let expires = lifetime.map_or(Moment::NEVER, |lifetime| now.after(lifetime));
        let Some(book) = self.book_mut(slot) else { return };
        book.connecting -= 1;
        match result {
            Ok(connection) => {
                book.counts.created += 1;
                self.put(slot, Held::new(connection, born, now, expires), now, orders);
                self.settle(slot, now, orders);
            }
            Err(failure) => {
                book.counts.failed += 1;
                // An attempt that is still under way may yet serve whoever is left.
                let unserved = book.queue.waiting() > book.connecting;
                self.back_off(slot, now, random, orders);
                if unserved {
                    self.refuse(slot, error(failure), orders);
                }
                self.freed(slot, now, orders);
            }
        }
    }

    /// The answer to [`Order::Check`]. `random` decides about the pause if it is a failure.
    pub fn checked(
        &mut self,
        slot: Slot,
        mut held: Box<Held<M::Connection>>,
        healthy: bool,
        now: Instant,
        random: u64,
        orders: &mut Orders<M>,
    ) {
        let now = self.moment(now);
        let Some(book) = self.book_mut(slot) else { return };
        book.checking -= 1;
        if healthy {
            book.failures = 0;
            held.checked = now;
            held.is_doubted = false;
            self.put(slot, held, now, orders);
            // The next of this key may have waited for this one's end.
            self.look(orders);
        } else {
            let unused = !held.used;
            self.close_one(slot, held.connection, Cause::Unhealthy, orders);
            if unused {
                self.back_off(slot, now, random, orders);
            }
            self.look(orders);
        }
        self.settle(slot, now, orders);
    }

    /// The other answer to [`Order::Check`]: the connection is gone.
    pub fn lost(&mut self, slot: Slot, now: Instant, orders: &mut Orders<M>) {
        let Some(book) = self.book_mut(slot) else { return };
        book.checking -= 1;
        book.counts.closed.count(Cause::Unhealthy);
        self.freed(slot, self.moment(now), orders);
    }

    /// Has every idle connection of a key checked, one after the other, as if it were time to.
    pub fn check_now(&mut self, slot: Slot, orders: &mut Orders<M>) {
        if let Some(book) = self.book_mut(slot) {
            book.idle.iter_mut().for_each(|held| held.is_doubted = true);
        }
        self.look(orders);
    }

    /// One more attempt made nothing of use: the next spare is made after a pause.
    fn back_off(&mut self, slot: Slot, now: Moment, random: u64, orders: &mut Orders<M>) {
        let Some(book) = self.books.get_mut(slot.0).and_then(Option::as_mut) else { return };
        book.failures = book.failures.saturating_add(1);
        let retry_at = now.after(self.config.pause(book.failures, random));
        book.retry_at = Some(retry_at);
        if self.config.min_idle > 0 {
            self.arm(retry_at, orders);
        }
    }

    fn time_out(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        let after = self.config.acquire_timeout;
        while let Some(book) = self.books.get_mut(slot.0).and_then(Option::as_mut)
            && book.timeout(&self.times) <= now
        {
            book.counts.timeouts += 1;
            let waiting = book.queue.waiting() - 1;
            self.refuse(slot, AcquireError::Timeout { after, waiting }, orders);
        }
    }

    fn expire(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        let mut at = 0;
        while let Some(held) = self.book(slot).and_then(|book| book.idle.get(at)) {
            match held.expires <= now {
                true => self.close_idle(slot, at, Cause::Lifetime, orders),
                false => at += 1,
            }
        }
        while let Some((due, cause)) =
            self.book(slot).map(|book| book.idle_until(&self.config, &self.times))
            && due <= now
        {
            self.close_idle(slot, 0, cause, orders);
        }
    }

    pub(super) fn close_idle(
        &mut self,
        slot: Slot,
        at: usize,
        cause: Cause,
        orders: &mut Orders<M>,
    ) {
        if let Some(book) = self.book_mut(slot) {
            let held = book.idle.remove(at);
            self.idle -= 1;
            self.close_one(slot, held.connection, cause, orders);
        }
    }

    /// Begins the next check that is due, one of a key at a time: the others can be lent meanwhile.
    fn check_one(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        let Some(book) = self.books.get_mut(slot.0).and_then(Option::as_mut) else { return };
        let due = book.check_next(&self.times).filter(|(due, _)| *due <= now);
        if let Some((_, at)) = due.filter(|_| book.checking == 0) {
            let held = book.idle.remove(at);
            book.checking += 1;
            let key = book.key.clone();
            orders.push(Order::Check { slot, key, held });
            self.idle -= 1;
        }
    }
}

fn error<E>(failure: ConnectFailure<E>) -> AcquireError<E> {
    match failure {
        ConnectFailure::Failed(error) => AcquireError::Connect(error),
        ConnectFailure::Timeout(after) => AcquireError::ConnectTimeout { after },
        ConnectFailure::Abandoned => AcquireError::Abandoned,
    }
}
