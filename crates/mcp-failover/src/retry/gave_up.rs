//! How a call ends without an answer.

use std::fmt;
use std::time::Duration;

/// Why no other attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The deadline has passed.
    #[error("the deadline has passed")]
    DeadlineExceeded,
    /// The next attempt could not have been answered before the deadline.
    #[error("no time is left for another attempt")]
    NoTimeLeft,
    /// It may have been carried out, and doing it twice may do harm.
    #[error("the call may have been carried out, and is not safe to repeat")]
    UnsafeToRepeat,
    /// As many attempts were made as the policy allows.
    #[error("all attempts were made")]
    AttemptsSpent,
    /// The budget has nothing left for retries.
    #[error("the retry budget is spent")]
    BudgetSpent,
    /// It was told to wait for longer than the policy allows.
    #[error("told to retry after {0:?}, which is too long to wait")]
    ToldToWait(Duration),
}

impl Reason {
    pub(crate) const COUNT: usize = 6;

    pub(crate) fn index(self) -> usize {
        match self {
            Self::DeadlineExceeded => 0,
            Self::NoTimeLeft => 1,
            Self::UnsafeToRepeat => 2,
            Self::AttemptsSpent => 3,
            Self::BudgetSpent => 4,
            Self::ToldToWait(_) => 5,
        }
    }
}

/// A call that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GaveUp<T> {
    /// Why no other attempt was made.
    pub reason: Reason,
    /// What the attempt came to that failed last; none if none has ended.
    pub last: Option<T>,
    /// Attempts that were made.
    pub attempts: u32,
    /// Whether the call may have been carried out all the same.
    pub may_have_acted: bool,
}

impl<T> fmt::Display for GaveUp<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, "no answer after {} attempt{plural}: {}", self.attempts, self.reason)
    }
}

impl<T: fmt::Debug> std::error::Error for GaveUp<T> {}
