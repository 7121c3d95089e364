//! The queue of a bulkhead, behind its lock: who takes a place, and who is served.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use crate::bulkhead::Bulkhead;
use crate::error::Rejected;
use crate::queue::{Ask, Place, Queue};
use crate::ticket::Ticket;
use crate::word::Taken;

/// The queue stands when somebody has always been waiting for so many times
/// [`Config::stale_after`](crate::Config::stale_after).
const STANDING: u32 = 20;

impl Bulkhead {
    pub(crate) fn queued(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Queue<Arc<Ticket>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit, or a place in the queue for `ticket`.
    pub(crate) fn take_or_wait(
        &self,
        ask: Ask,
        now: Instant,
        ticket: &Arc<Ticket>,
    ) -> Result<Option<Place>, Rejected> {
        if self.word.take(self.limit()) == Taken::Yes {
            return Ok(None);
        }
        let mut queue = self.lock();
        if queue.len() >= self.config.queued_max {
            let refused = Rejected::QueueFull { limit: self.limit(), queued: queue.len() };
            self.counters.refused();
            match queue.make_room(ask.tenant) {
                Some(last) => last.refuse(refused),
                None => return Err(refused),
            }
        }
        let place = queue.push(ask, self.config.priority_step, now, Arc::clone(ticket));
        // Before it is looked at once more: whoever gives a permit back from here on sees it.
        self.word.set_waiting(true);
        self.serve(&mut queue, now);
        Ok(Some(place))
    }

    /// Somebody does not wait any more.
    pub(crate) fn leave(&self, place: Place) {
        let mut queue = self.lock();
        queue.remove(place);
        self.word.set_waiting(queue.len() > 0);
    }

    pub(crate) fn hand_out(&self) {
        let now = tokio::time::Instant::now().into_std();
        let mut queue = self.lock();
        self.serve(&mut queue, now);
    }

    /// Gives what is free to whoever's turn it is.
    fn serve(&self, queue: &mut Queue<Arc<Ticket>>, now: Instant) {
        while queue.len() > 0 && self.word.take_for_waiter(self.limit()) == Taken::Yes {
            loop {
                let Some((ticket, waited)) = queue.pop(now) else {
                    // Nobody was left who could have it.
                    self.word.give_back();
                    break;
                };
                let is_stale = self
                    .config
                    .stale_after
                    .is_some_and(|after| waited > after && queue.has_stood(after * STANDING, now));
                if is_stale {
                    self.counters.stale();
                    ticket.refuse(Rejected::Stale { after: waited });
                } else if ticket.grant() {
                    self.counters.waited(waited);
                    break;
                }
            }
        }
        self.word.set_waiting(queue.len() > 0);
    }
}
