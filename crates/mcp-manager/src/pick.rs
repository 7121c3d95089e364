//! Which replica gets a call.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A replica, as far as the choice between several goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) number: usize,
    /// The calls that it is at work on.
    pub(crate) in_flight: usize,
    /// Whether it may be chosen.
    pub(crate) ready: bool,
}

/// Chooses between replicas.
pub(crate) trait Pick: Debug + Send + Sync {
    /// The index of the chosen one; `None` if none is ready.
    fn pick(&self, candidates: &[Candidate]) -> Option<usize>;
}

/// Each in its turn.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    turn: AtomicUsize,
}

impl Pick for RoundRobin {
    fn pick(&self, candidates: &[Candidate]) -> Option<usize> {
        // Turns are counted among those that are ready: with one of three away, the calls that it
        // would have had are not all its neighbour's.
        let ready = || (0..candidates.len()).filter(|index| candidates[*index].ready);
        let count = ready().count();
        if count == 0 {
            return None;
        }
        ready().nth(self.turn.fetch_add(1, Ordering::Relaxed) % count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(ready: &[bool]) -> Vec<Candidate> {
        let candidate =
            |(number, ready): (usize, &bool)| Candidate { number, in_flight: 0, ready: *ready };
        ready.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn each_that_is_ready_has_its_turn() {
        let turns = |ready: &[bool]| {
            let (pick, candidates) = (RoundRobin::default(), candidates(ready));
            let mut counts = vec![0; ready.len()];
            for _ in 0..12 {
                if let Some(index) = pick.pick(&candidates) {
                    counts[index] += 1;
                }
            }
            counts
        };
        assert_eq!(turns(&[true, true, true]), [4, 4, 4]);
        assert_eq!(turns(&[true, false, true]), [6, 0, 6]);
        assert_eq!(turns(&[false, false, true]), [0, 0, 12]);
        assert_eq!(turns(&[false, false]), [0, 0]);
        assert_eq!(turns(&[]), [0; 0]);
    }

    #[test]
    fn the_counter_may_come_round() {
        let pick = RoundRobin { turn: AtomicUsize::new(usize::MAX) };
        let candidates = candidates(&[true, true]);
        for _ in 0..4 {
            assert!(pick.pick(&candidates).is_some());
        }
    }
}
