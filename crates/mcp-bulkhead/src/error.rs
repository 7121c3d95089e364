//! Calls that were not made.

use std::time::Duration;

/// A call that was not made; nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// As many are under way as may be, and it was not to wait.
    #[error("{limit} calls are under way, which is the limit")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// As many wait as may be, or it was pushed out by one of whom fewer wait.
    #[error("{limit} calls are under way, and {queued} wait, which is the limit")]
    QueueFull {
        /// The limit of calls under way.
        limit: usize,
        /// The calls that wait.
        queued: usize,
    },
    /// It has waited for as long as it might.
    #[error("its turn did not come within {after:?}")]
    WaitedTooLong {
        /// How long it was to wait.
        after: Duration,
    },
    /// Its turn came when it had waited for too long, while others have always been waiting.
    #[error("its turn came after {after:?}, while others wait")]
    Stale {
        /// How long it has waited.
        after: Duration,
    },
    /// Its caller has made too many calls in a time.
    #[error("too many calls in this time; retry in {retry_after:?}")]
    TooMany {
        /// When the next one may be made.
        retry_after: Duration,
    },
}
