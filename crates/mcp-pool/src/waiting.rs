//! A caller's place in the queue, as a future.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::ledger::{Slot, Ticket};
use crate::shared::{Shared, now};
use crate::{Grant, Manage};

/// Queues up at the first poll, and leaves the queue when dropped.
pub(crate) struct Waiting<'a, M: Manage> {
    shared: &'a Arc<Shared<M>>,
    slot: Slot,
    ticket: Option<Ticket>,
}

impl<'a, M: Manage> Waiting<'a, M> {
    pub(crate) fn new(shared: &'a Arc<Shared<M>>, slot: Slot) -> Self {
        Self { shared, slot, ticket: None }
    }
}

impl<M: Manage> Future for Waiting<'_, M> {
    type Output = Grant<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, slot, ticket } = &mut *self;
        let Some(waiting) = ticket else {
            // Asking for both under one lock is what counts when many ask; the clock is read under
            // it, so that whoever is served at once does without.
            let (taken, entered) = shared.with(|ledger, orders| match ledger.take(*slot, orders) {
                Some(held) => (Some(held), None),
                None => (None, Some(ledger.wait(*slot, now(), cx.waker(), orders))),
            });
            if let Some(held) = taken {
                return Poll::Ready(Ok(held));
            }
            // An answer that was there at once has woken this task already.
            *ticket = entered.transpose()?;
            return Poll::Pending;
        };
        let answer = shared.with(|ledger, orders| ledger.claim(waiting, cx.waker(), orders));
        if answer.is_ready() {
            *ticket = None;
        }
        answer
    }
}

impl<M: Manage> Drop for Waiting<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.with(|ledger, orders| ledger.cancel(ticket, now(), orders));
        }
    }
}
