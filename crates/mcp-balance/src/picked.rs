//! A call that was given to an endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::set::{Begun, Set};

/// What became of a call, as far as its endpoint goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an answer, none, or one to come back later")]
pub enum Outcome {
    /// It was answered. That the answer is an error because of the caller's arguments is no fault of
    /// the endpoint.
    Success,
    /// It failed for a reason of the endpoint's.
    Failure,
    /// The endpoint asks to be left alone for so long (at most 5 min), and is: no failure.
    Busy(Duration),
}

/// A call in flight. Dropped without an outcome it counts as cancelled, and says nothing of its
/// endpoint.
#[derive(Debug)]
#[must_use = "dropped at once it counts as a call that was cancelled"]
pub struct Picked {
    set: Arc<Set>,
    begun: Option<Begun>,
    index: usize,
}

impl Picked {
    pub(crate) fn new(set: Arc<Set>, begun: Begun) -> Self {
        Self { set, index: begun.index, begun: Some(begun) }
    }

    /// The endpoint's index in the set that it was picked from.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The endpoint's id.
    pub fn id(&self) -> &str {
        &self.set.members[self.index].spec.id
    }

    /// The call has ended.
    pub fn finish(mut self, outcome: Outcome, now: Instant) {
        if let Some(begun) = self.begun.take() {
            self.set.end(begun, outcome, self.set.shared.at(now));
        }
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.set.abandon(begun);
        }
    }
}
