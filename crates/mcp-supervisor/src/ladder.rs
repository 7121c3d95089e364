//! The stages in which a process is stopped: asked, told, killed.

use std::time::Duration;

/// How long SIGKILL may take. Only a process that is stuck in the kernel needs any of it.
pub(crate) const KILL_BOUND: Duration = Duration::from_secs(1);

/// The rungs from the gentlest to the last. Whoever climbs it stops when the process has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    stdin_grace: Duration,
    term_grace: Duration,
    next: Option<Act>,
}

/// One stage: what to do, and how long to wait then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) act: Act,
    pub(crate) patience: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is to see the end of its stdin.
    CloseStdin,
    /// SIGTERM.
    Terminate,
    /// SIGKILL. What outlives this one's patience is given up.
    Kill,
}

impl Ladder {
    pub(crate) fn new(stdin_grace: Duration, term_grace: Duration) -> Self {
        Self { stdin_grace, term_grace, next: Some(Act::CloseStdin) }
    }
}

impl Iterator for Ladder {
    type Item = Rung;

    fn next(&mut self) -> Option<Rung> {
        let act = self.next?;
        let (patience, next) = match act {
            Act::CloseStdin => (self.stdin_grace, Some(Act::Terminate)),
            Act::Terminate => (self.term_grace, Some(Act::Kill)),
            Act::Kill => (KILL_BOUND, None),
        };
        self.next = next;
        Some(Rung { act, patience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_harder_and_the_last_is_the_last() {
        let [one, two] = [1, 2].map(Duration::from_secs);
        let rungs: Vec<_> = Ladder::new(one, two).map(|rung| (rung.act, rung.patience)).collect();
        let expected = [(Act::CloseStdin, one), (Act::Terminate, two), (Act::Kill, KILL_BOUND)];
        assert_eq!(rungs, expected);
    }
}
