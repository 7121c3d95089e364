//! What has changed, and how long nobody served.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A change of who serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// When.
    pub at: Instant,
    /// Who served, by number, the preferred ones first.
    pub from: Vec<usize>,
    /// Who serves.
    pub to: Vec<usize>,
    /// Why.
    pub why: Why,
    /// From when somebody who served was down until others took over. `None` if nobody was.
    pub recovered_after: Option<Duration>,
}

/// Why it has changed who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Somebody who served went down.
    Failed,
    /// Somebody came up, and more are wanted, or it is preferred and there for the first time.
    Joined,
    /// The preferred ones serve again.
    Failback,
    /// Somebody wanted it.
    Forced,
}

impl Why {
    /// One word: `failed`, `joined`, `failback`, `forced`. The words are stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Joined => "joined",
            Self::Failback => "failback",
            Self::Forced => "forced",
        }
    }
}

/// What has happened to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// How often others took over from one who went down.
    pub failovers: u64,
    /// How often the preferred ones took over again.
    pub failbacks: u64,
    /// How often somebody wanted it.
    pub forced: u64,
    /// How long nobody served, since the first one did.
    pub unserved: Duration,
    /// The median and the longest of the remembered times until others took over.
    pub recovery: Option<(Duration, Duration)>,
}

/// The last changes, and sums of all.
#[derive(Debug)]
pub(crate) struct History {
    changes: VecDeque<Change>,
    most: usize,
    stats: GroupStats,
    /// Since when nobody serves.
    unserved: Option<Instant>,
    served: bool,
}

impl History {
    pub(crate) fn new(most: usize) -> Self {
        let (changes, stats) = Default::default();
        Self { changes, most, stats, unserved: None, served: false }
    }

    pub(crate) fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.iter()
    }

    pub(crate) fn push(&mut self, change: Change) {
        match change.why {
            Why::Failed => self.stats.failovers += 1,
            Why::Failback => self.stats.failbacks += 1,
            Why::Forced => self.stats.forced += 1,
            Why::Joined => {}
        }
        if !change.to.is_empty() {
            self.served = true;
            if let Some(since) = self.unserved.take() {
                self.stats.unserved += change.at.saturating_duration_since(since);
            }
        } else if self.served {
            self.unserved.get_or_insert(change.at);
        }
        if self.changes.len() == self.most {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    pub(crate) fn stats(&self, now: Instant) -> GroupStats {
        let mut times: Vec<_> =
            self.changes.iter().filter_map(|change| change.recovered_after).collect();
        times.sort_unstable();
        let recovery = times.last().map(|longest| (times[(times.len() - 1) / 2], *longest));
        let open = self.unserved.map(|since| now.saturating_duration_since(since));
        let unserved = self.stats.unserved + open.unwrap_or_default();
        GroupStats { unserved, recovery, ..self.stats }
    }
}
