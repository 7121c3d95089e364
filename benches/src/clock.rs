//! The one place in this package that reads a clock: measuring is what it is for.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and waits on it")]

use std::time::{Duration, Instant};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits with the thread blocked. Only between slices and while a process starts.
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
