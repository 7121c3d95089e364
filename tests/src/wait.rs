//! Waiting for what has no event to wait on: asked again and again, up to a limit.

use std::fmt::Debug;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Long enough for anything on a machine that compiles at the same time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `find` until it finds something; none when `limit` passed.
pub fn until<T>(limit: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + limit;
    loop {
        if let Some(found) = find() {
            return Some(found);
        }
        if now() >= end {
            return None;
        }
        pause(PAUSE);
    }
}

/// Asks `look` until what it sees satisfies `wanted`, and hands that back.
///
/// # Panics
/// With what was seen last, when `limit` passed.
pub fn see<T: Debug>(
    limit: Duration,
    mut look: impl FnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let mut last = None;
    let found = until(limit, || {
        let seen = look();
        if wanted(&seen) {
            return Some(seen);
        }
        last = Some(seen);
        None
    });
    found.unwrap_or_else(|| panic!("not within {limit:?}; last seen: {last:#?}"))
}

/// What `work` gives, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let done = work();
    (done, start.elapsed())
}

/// Lets time pass. Only for behaviour that consists of time, never to wait for something to happen.
pub fn pause(time: Duration) {
    let (_never, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(time);
}

#[expect(clippy::disallowed_methods, reason = "real processes keep real time")]
fn now() -> Instant {
    Instant::now()
}
