//! The one place in this package that reads a clock: measuring is what it is for.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and waits on it")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Since 1970: the one clock that two processes share.
pub(crate) fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Waits with the thread blocked. Only between slices and while a process starts.
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
