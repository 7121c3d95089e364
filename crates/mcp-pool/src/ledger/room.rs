//! Keys that come and go.

use crate::moment::Moment;
use crate::stats::Cause;
use crate::{AcquireError, Manage, Orders};

use super::{Ledger, Slot};

impl<M: Manage> Ledger<M> {
    /// Forgets the key that was unused for longest, to make room for another.
    /// Not if all are in use.
    pub(super) fn forget_one(&mut self, now: Moment, orders: &mut Orders<M>) -> bool {
        let known = self.index.values().filter_map(|at| Some((self.books[*at].as_ref()?, *at)));
        let unused = known.filter(|(book, _)| !book.is_in_use()).map(|(book, at)| (book.used, at));
        let Some((_, at)) = unused.min() else { return false };
        self.retire(Slot(at), now, orders);
        true
    }

    /// Makes a key unknown. Its book stays until nothing of it is open or asked for.
    pub(super) fn retire(&mut self, slot: Slot, now: Moment, orders: &mut Orders<M>) {
        let Some(book) = self.books.get_mut(slot.0).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut book.retired, true) {
            self.index.remove(&book.key);
        }
        while self.book(slot).is_some_and(|book| book.queue.waiting() > 0) {
            self.refuse(slot, AcquireError::Closed, orders);
        }
        while self.book(slot).is_some_and(|book| !book.idle.is_empty()) {
            self.close_idle(slot, 0, Cause::Shutdown, orders);
        }
        self.settle(slot, now, orders);
        self.vacate(slot);
    }

    /// Gives up the book of a retired key when nothing is left of it.
    pub(super) fn vacate(&mut self, slot: Slot) {
        let over = self.book(slot).filter(|book| book.is_over());
        if let Some(counts) = over.map(|book| book.counts) {
            self.past.add(&counts);
            self.books[slot.0] = None;
            self.vacant.push(slot.0);
        }
    }
}
