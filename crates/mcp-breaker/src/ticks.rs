//! Instants as numbers, at the price of a comparison.
//!
//! The difference of two instants is a call into the standard library that is not inlined. So each thread remembers the last tick that it has seen, and when it ends.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A tick is `1 << SHIFT` ns, about a millisecond.
const SHIFT: u32 = 20;
pub(crate) const TICK: u64 = 1 << SHIFT;
/// What the first instant that is seen counts as. There are 146 years on either side of it.
const ANCHOR: u64 = 1 << 62;

#[derive(Clone, Copy)]
struct Tick {
    begins: Instant,
    ends: Instant,
    nanos: u64,
}

/// Nanoseconds since nobody knows when, the same for all threads.
pub(crate) fn nanos(now: Instant) -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| now);
    let number = |time: Duration| u64::try_from(time.as_nanos()).map_or(ANCHOR, |n| n.min(ANCHOR));
    match now.checked_duration_since(first) {
        Some(after) => ANCHOR + number(after),
        None => ANCHOR - number(first.saturating_duration_since(now)),
    }
}

/// The same of the beginning of the tick in which this is.
#[inline]
pub(crate) fn coarse(now: Instant) -> u64 {
    thread_local! {
        static LAST: Cell<Option<Tick>> = const { Cell::new(None) };
    }
    LAST.with(|last| match last.get() {
        Some(tick) if tick.begins <= now && now < tick.ends => tick.nanos,
        _ => miss(last, now),
    })
}

#[cold]
#[inline(never)]
fn miss(last: &Cell<Option<Tick>>, now: Instant) -> u64 {
    let exact = nanos(now);
    let nanos = exact >> SHIFT << SHIFT;
    let into = Duration::from_nanos(exact - nanos);
    if let Some(begins) = now.checked_sub(into)
        && let Some(ends) = begins.checked_add(Duration::from_nanos(TICK))
    {
        last.set(Some(Tick { begins, ends, nanos }));
    }
    nanos
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_what_the_difference_would_say() {
        let start = Instant::now();
        for step in [1, 333, 1 << 19, (1 << 20) - 1, 1 << 20, 1 << 33] {
            for turn in 0..1_000 {
                let time = Duration::from_nanos(step * turn);
                for now in [start + time, start - time / 1_000] {
                    assert_eq!(coarse(now), nanos(now) >> SHIFT << SHIFT);
                }
                assert_eq!(nanos(start + time) - nanos(start), step * turn);
            }
        }
    }
}
