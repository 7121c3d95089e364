//! What was done for calls, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Kind, Reason};

/// What a [`Retry`](crate::Retry) has done so far. A snapshot.
///
/// Calls that one attempt answers are not counted, so that they write nothing that others read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryStats {
    /// Attempts after one that failed.
    pub retries: u64,
    /// Attempts beside one that took long.
    pub hedges: u64,
    /// Calls that a retry answered.
    pub retries_won: u64,
    /// Calls that a hedge answered.
    pub hedges_won: u64,
    /// Calls that ended at their deadline.
    pub deadline_exceeded: u64,
    /// Calls that were not repeated, because there was no time for it.
    pub no_time_left: u64,
    /// Calls that were not repeated, because that was not safe.
    pub unsafe_to_repeat: u64,
    /// Calls for which all attempts were made.
    pub attempts_spent: u64,
    /// Calls that were not repeated, because too many were.
    pub budget_spent: u64,
    /// Calls that were not repeated, because a server asked for more time than there is.
    pub told_to_wait: u64,
}

impl RetryStats {
    /// Calls that had no answer.
    pub fn gave_up(&self) -> u64 {
        self.deadline_exceeded
            + self.no_time_left
            + self.unsafe_to_repeat
            + self.attempts_spent
            + self.budget_spent
            + self.told_to_wait
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    retries: AtomicU64,
    hedges: AtomicU64,
    retries_won: AtomicU64,
    hedges_won: AtomicU64,
    gave_up: [AtomicU64; Reason::COUNT],
}

#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only the shell counts"))]
impl Counters {
    pub(crate) fn sent(&self, kind: Kind) {
        match kind {
            Kind::First => {}
            Kind::Retry => bump(&self.retries),
            Kind::Hedge => bump(&self.hedges),
        }
    }

    pub(crate) fn answered(&self, kind: Kind) {
        match kind {
            Kind::First => {}
            Kind::Retry => bump(&self.retries_won),
            Kind::Hedge => bump(&self.hedges_won),
        }
    }

    pub(crate) fn gave_up(&self, reason: Reason) {
        bump(&self.gave_up[reason.index()]);
    }

    pub(crate) fn snapshot(&self) -> RetryStats {
        let [deadline, time, safety, attempts, budget, wait] =
            [0, 1, 2, 3, 4, 5].map(|reason| self.gave_up[reason].load(Relaxed));
        RetryStats {
            retries: self.retries.load(Relaxed),
            hedges: self.hedges.load(Relaxed),
            retries_won: self.retries_won.load(Relaxed),
            hedges_won: self.hedges_won.load(Relaxed),
            deadline_exceeded: deadline,
            no_time_left: time,
            unsafe_to_repeat: safety,
            attempts_spent: attempts,
            budget_spent: budget,
            told_to_wait: wait,
        }
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
