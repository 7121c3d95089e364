//! One error type per thing that can go wrong.

use std::time::Duration;

/// A [`Config`](crate::Config) that means nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field is zero with which nothing could ever be lent, or something never rest.
    #[error("{field} must be above zero")]
    Zero {
        /// The field of [`Config`](crate::Config).
        field: &'static str,
    },
    /// More spares are asked for than there may be connections.
    #[error("min_idle is {min_idle}, and pool_size, max_open and max_idle leave room for {room}")]
    MinIdle {
        /// The value given.
        min_idle: usize,
        /// The smallest of the three others.
        room: usize,
    },
    /// `refill_backoff` is longer than `refill_backoff_max`.
    #[error("refill_backoff must be at most refill_backoff_max")]
    Backoff,
    /// `lifetime_jitter` is outside `[0, 1]`, or not a number.
    #[error("lifetime_jitter must be between 0 and 1, not {got}")]
    Jitter {
        /// The value given.
        got: f64,
    },
}

/// Why no connection was lent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError<E> {
    /// None came free within [`acquire_timeout`](crate::Config::acquire_timeout).
    #[error("no connection came free within {after:?}, and {waiting} more wait")]
    Timeout {
        /// How long the caller had waited.
        after: Duration,
        /// How many still waited for the same key.
        waiting: usize,
    },
    /// As many wait for this key as [`max_waiting`](crate::Config::max_waiting) allows.
    #[error("all {open} connections are in use and {waiting} callers wait already")]
    Exhausted {
        /// How many connections of the key were open, those above `pool_size` among them.
        open: usize,
        /// How many waited for it.
        waiting: usize,
    },
    /// As many keys are in use as [`max_keys`](crate::Config::max_keys) allows.
    #[error("all {max_keys} keys are in use")]
    TooManyKeys {
        /// The bound.
        max_keys: usize,
    },
    /// The pool is closed, or the key was removed.
    #[error("the pool is closed")]
    Closed,
    /// A connection could not be made.
    #[error("connecting failed")]
    Connect(#[source] E),
    /// Making a connection took longer than [`connect_timeout`](crate::Config::connect_timeout).
    #[error("connecting took longer than {after:?}")]
    ConnectTimeout {
        /// The time limit.
        after: Duration,
    },
    /// The task that was making a connection ended before its time: it panicked, or its runtime
    /// was shut down.
    #[error("connecting was abandoned")]
    Abandoned,
}

/// Not all connections were back in time when the pool was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{open} connections are still open")]
#[expect(clippy::exhaustive_structs, reason = "callers build it in their tests")]
pub struct CloseError {
    /// How many are lent, being made, or being closed. They are closed as they come back.
    pub open: usize,
}
