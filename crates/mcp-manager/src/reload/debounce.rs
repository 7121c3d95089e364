//! When a file that changes is worth reading: told the time, does nothing by itself.

use std::time::{Duration, Instant};

/// Waits for the end of a burst of changes, and not for ever.
#[derive(Debug)]
pub(super) struct Debounce {
    /// Without a change for this long, a burst is over.
    quiet: Duration,
    /// A burst that goes on for this long is interrupted.
    longest: Duration,
    burst: Option<Burst>,
}

#[derive(Debug)]
struct Burst {
    first: Instant,
    last: Instant,
}

impl Debounce {
    pub(super) fn new(quiet: Duration, longest: Duration) -> Self {
        Self { quiet, longest, burst: None }
    }

    /// Something has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let first = self.burst.as_ref().map_or(now, |burst| burst.first);
        self.burst = Some(Burst { first, last: now });
    }

    /// When it is to be looked at; `None` if there is nothing new.
    pub(super) fn due(&self) -> Option<Instant> {
        let Burst { first, last } = self.burst.as_ref()?;
        Some((*last + self.quiet).min(*first + self.longest))
    }

    /// Whether it is to be looked at now; then the burst is over.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let over = self.due().is_some_and(|due| due <= now);
        if over {
            self.burst = None;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUIET: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);

    #[expect(clippy::disallowed_methods, reason = "an origin is needed; only differences matter")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// When it is taken, in milliseconds, if it changes at these; it is asked whenever it is due.
    fn taken(changes: &[u64]) -> Vec<u64> {
        let origin = origin();
        let at = |millis| origin + Duration::from_millis(millis);
        let mut debounce = Debounce::new(QUIET, LONGEST);
        let mut taken = Vec::new();
        let mut ask = |debounce: &mut Debounce, until: Option<Instant>| {
            while let Some(due) =
                debounce.due().filter(|due| until.is_none_or(|until| *due < until))
            {
                assert!(!debounce.take(due - Duration::from_millis(1)), "too early");
                assert!(debounce.take(due), "not when it was due");
                taken.push(due.duration_since(origin).as_millis() as u64);
            }
        };
        for change in changes {
            ask(&mut debounce, Some(at(*change)));
            debounce.changed(at(*change));
        }
        ask(&mut debounce, None);
        taken
    }

    #[test]
    fn a_burst_is_one_change() {
        assert!(taken(&[]).is_empty());
        assert_eq!(taken(&[0]), [200]);
        assert_eq!(taken(&[0, 50, 100]), [300]);
        assert_eq!(taken(&[0, 50, 500]), [250, 700]);
    }

    #[test]
    fn a_burst_without_end_is_interrupted() {
        let changes: Vec<_> = (0..50).map(|number| number * 100).collect();
        assert_eq!(taken(&changes), [2000, 4100, 5100]);
    }

    proptest! {
        #[test]
        fn every_change_is_taken_in_time_and_few_are_enough(
            gaps in prop::collection::vec(0u64..240, 0..100),
        ) {
            let mut at = 0;
            let changes: Vec<u64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            let taken = taken(&changes);
            for change in &changes {
                // Safety: not while it changes, unless it does so for long. Liveness: in the end.
                let window = *change..=*change + LONGEST.as_millis() as u64;
                let in_time = taken.iter().any(|taken| window.contains(taken));
                prop_assert!(in_time, "{} is not taken: {:?}", change, taken);
            }
            for pair in taken.windows(2) {
                prop_assert!(pair[1] - pair[0] >= QUIET.as_millis() as u64);
            }
        }
    }
}
