//! Waiting for a permit, on tokio's clock.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::bulkhead::Bulkhead;
use crate::error::Rejected;
use crate::permit::{OwnedPermit, Permit};
use crate::queue::{Ask, Place};
use crate::ticket::Ticket;

impl Bulkhead {
    /// A permit, now or when its turn comes.
    ///
    /// Cancel safe: who is dropped while it waits has no place and no permit any more.
    pub async fn permit(&self, ask: Ask) -> Result<Permit<'_>, Rejected> {
        self.wait(ask).await?;
        Ok(Permit::new(self))
    }

    /// The same for whoever keeps it longer than it has the bulkhead.
    pub async fn permit_owned(self: &Arc<Self>, ask: Ask) -> Result<OwnedPermit, Rejected> {
        self.wait(ask).await?;
        Ok(OwnedPermit::new(Arc::clone(self)))
    }

    /// Does `work` with a permit.
    pub async fn execute<T>(&self, ask: Ask, work: impl Future<Output = T>) -> Result<T, Rejected> {
        let _permit = self.permit(ask).await?;
        Ok(work.await)
    }

    async fn wait(&self, ask: Ask) -> Result<(), Rejected> {
        let (now, ticket) = (Instant::now(), Arc::new(Ticket::default()));
        let Some(place) = self.take_or_wait(ask, now.into_std(), &ticket)? else { return Ok(()) };
        let mut waiting = Waiting { bulkhead: self, ticket, place, over: false };
        let after = self.config.wait_max;
        let told = poll_fn(|context| waiting.ticket.poll(context.waker()));
        match timeout_at(now + after, told).await {
            Ok(outcome) => {
                waiting.over = true;
                outcome
            }
            // It may have been its turn in this moment.
            Err(_) if waiting.leave() => Ok(()),
            Err(_) => {
                self.counters.timed_out();
                Err(Rejected::WaitedTooLong { after })
            }
        }
    }
}

/// One who waits, and leaves when it is dropped.
struct Waiting<'b> {
    bulkhead: &'b Bulkhead,
    ticket: Arc<Ticket>,
    place: Place,
    /// Whether it knows what became of it.
    over: bool,
}

impl Waiting<'_> {
    /// Gives up its place; whether it has a permit instead.
    fn leave(&mut self) -> bool {
        self.over = true;
        let granted = self.ticket.leave();
        if !granted {
            self.bulkhead.leave(self.place);
        }
        granted
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over && self.leave() {
            self.bulkhead.give_back();
        }
    }
}
