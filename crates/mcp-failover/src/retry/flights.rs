//! The attempts of one call that are under way, as futures.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::Attempt;

/// An attempt under way.
pub(crate) struct Flight {
    pub(crate) attempt: Attempt,
    pub(crate) since: Instant,
}

/// Futures of which the first is where its caller has pinned it. Only one beside another is boxed, so
/// that a call that is not hedged allocates nothing.
pub(crate) struct Flights<'s, F> {
    slot: Pin<&'s mut Option<F>>,
    in_slot: Option<Flight>,
    beside: Vec<(Flight, Pin<Box<F>>)>,
}

impl<'s, F: Future> Flights<'s, F> {
    pub(crate) fn new(slot: Pin<&'s mut Option<F>>) -> Self {
        Self { slot, in_slot: None, beside: Vec::new() }
    }

    pub(crate) fn start(&mut self, flight: Flight, future: F) {
        if self.in_slot.is_none() {
            self.slot.set(Some(future));
            self.in_slot = Some(flight);
        } else {
            self.beside.push((flight, Box::pin(future)));
        }
    }

    /// One that has ended, which is dropped. Pending if there is none.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Flight, F::Output)> {
        if let Some(future) = self.slot.as_mut().as_pin_mut()
            && let Poll::Ready(output) = future.poll(context)
        {
            self.slot.set(None);
            if let Some(flight) = self.in_slot.take() {
                return Poll::Ready((flight, output));
            }
        }
        for at in 0..self.beside.len() {
            if let Poll::Ready(output) = self.beside[at].1.as_mut().poll(context) {
                return Poll::Ready((self.beside.swap_remove(at).0, output));
            }
        }
        Poll::Pending
    }

    /// Those that are under way.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.in_slot.iter().chain(self.beside.iter().map(|(flight, _)| flight))
    }
}
