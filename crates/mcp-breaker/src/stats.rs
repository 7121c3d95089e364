//! What a breaker can be asked for.

use std::time::{Duration, Instant};

use crate::Cause;

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a circuit breaker has three states, and two by hand")]
pub enum State {
    /// Calls pass and are counted.
    Closed = 0,
    /// Calls are refused.
    Open = 1,
    /// A few calls pass, and decide.
    HalfOpen = 3,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen = 5,
    /// Calls pass and are counted, and whatever becomes of them it stays so until somebody says
    /// otherwise.
    ForcedClosed = 2,
}

impl State {
    /// As files and metrics spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::ForcedClosed => "forced-closed",
        }
    }
}

/// A serial number and a state in one word. The lowest bit says that not every call may pass.
pub(crate) const fn word(serial: u64, state: State) -> u64 {
    serial << 3 | state as u64
}

pub(crate) const fn serial(word: u64) -> u64 {
    word >> 3
}

pub(crate) const fn lets_all_pass(word: u64) -> bool {
    word & 1 == 0
}

pub(crate) const fn state(word: u64) -> State {
    match word & 7 {
        1 => State::Open,
        2 => State::ForcedClosed,
        3 => State::HalfOpen,
        5 => State::ForcedOpen,
        _ => State::Closed,
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The state and how it came about.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// What it is doing. An open breaker is open until a call asks again, however late that is.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// For how long already.
    pub age: Duration,
    /// From when on an open breaker lets a probe through.
    pub until: Option<Instant>,
    /// Why.
    pub cause: Cause,
}

/// A step from one state to another.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// Which step it is, from 1 on: two threads may tell of two steps in either order.
    pub serial: u64,
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// When.
    pub at: Instant,
    /// From when on an open breaker lets a probe through.
    pub until: Option<Instant>,
    /// Why.
    pub cause: Cause,
}

/// How the calls of a window ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// All of them.
    pub calls: u32,
    /// That failed.
    pub failures: u32,
    /// That were slow, whether they failed or not.
    pub slow: u32,
    /// Failures since the last success, in the window or before.
    pub failures_in_row: u32,
}

impl Tally {
    /// The share of the calls that failed; 0 of none.
    pub fn failure_share(&self) -> f64 {
        f64::from(self.failures) / f64::from(self.calls.max(1))
    }

    /// The share of the calls that were slow; 0 of none.
    pub fn slow_share(&self) -> f64 {
        f64::from(self.slow) / f64::from(self.calls.max(1))
    }
}

/// What a breaker has counted, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// What it is doing.
    pub state: State,
    /// Steps from one state to another.
    pub changes: u64,
    /// Calls that succeeded, slow ones too.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were slow, whether they failed or not.
    pub slow: u64,
    /// Calls that were told to come back later.
    pub throttled: u64,
    /// Calls that said nothing, dropped permits among them.
    pub ignored: u64,
    /// Of the successes and failures those of calls that had been let through before the state last
    /// changed. They decide nothing.
    pub late: u64,
    /// Calls that were refused.
    pub rejections: u64,
    /// Successes since the last failure.
    pub successes_in_row: u64,
    /// The calls of the window. Empty each time that the breaker closes.
    pub window: Tally,
    /// When a call last succeeded.
    pub last_success: Option<Instant>,
    /// When a call last failed.
    pub last_failure: Option<Instant>,
}
