//! The state machine of health. No clock, no lock, no task, no I/O.

use std::fmt;
use std::time::{Duration, Instant};

use crate::window::{Counts, Window};
use crate::{Config, ConfigError};

/// How something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "whoever acts on it has to know each of them")]
pub enum State {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// It is well.
    Healthy,
    /// It answers, but many answers are failures or slow.
    Degraded,
    /// It does not answer.
    Unhealthy,
}

impl State {
    /// One word: `unknown`, `healthy`, `degraded`, `unhealthy`. The words are stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an answer, one to another question, or none")]
pub enum Outcome {
    /// The answer that was asked for.
    Good,
    /// An answer, that it does not know this probe: a sign of life all the same.
    Unsupported,
    /// No answer, or one that says that it is not well; with why.
    Bad(String),
}

/// What became of calls, since that was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "three counts")]
pub struct Calls {
    /// Those that had an answer.
    pub succeeded: u64,
    /// Of those, the slow ones; see [`Config::slow`].
    pub slow: u64,
    /// Those that failed for a reason of the server's.
    pub failed: u64,
}

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "from one to the other")]
pub struct Change {
    /// The state that ended.
    pub from: State,
    /// The state that began.
    pub to: State,
}

/// All that is known. A snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The state.
    pub state: State,
    /// When it began.
    pub since: Instant,
    /// When the last probe ended; none before the first.
    pub checked: Option<Instant>,
    /// How long that one took.
    pub latency: Option<Duration>,
    /// What it found wrong, if anything.
    pub trouble: Option<String>,
    /// Probes so far.
    pub checks: u64,
    /// Of those, the bad ones.
    pub checks_failed: u64,
    /// Bad probes in a row, now.
    pub bad_in_a_row: u32,
    /// The share of results in the window that failed or were slow; none of too few.
    pub bad_share: Option<f64>,
}

/// How one thing is, from what it is told.
#[derive(Debug)]
pub struct Health {
    config: Config,
    state: State,
    since: Instant,
    window: Window,
    bad_in_a_row: u32,
    /// Counted while unhealthy.
    good_in_a_row: u32,
    checks: u64,
    checks_failed: u64,
    last: Option<(Instant, Duration, Option<String>)>,
}

impl Health {
    /// One of which nothing is known, or the reason `config` means nothing.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let window = Window::new(config.window, now);
        Ok(Self {
            config,
            state: State::Unknown,
            since: now,
            window,
            bad_in_a_row: 0,
            good_in_a_row: 0,
            checks: 0,
            checks_failed: 0,
            last: None,
        })
    }

    /// A probe has ended.
    pub fn probed(&mut self, outcome: &Outcome, latency: Duration, now: Instant) -> Option<Change> {
        self.checks += 1;
        let trouble = match outcome {
            Outcome::Bad(why) => Some(why.clone()),
            Outcome::Good | Outcome::Unsupported => None,
        };
        let is_bad = trouble.is_some();
        self.checks_failed += u64::from(is_bad);
        self.last = Some((now, latency, trouble));
        let bad = is_bad || latency >= self.config.slow;
        self.window.add(Counts { all: 1, bad: u64::from(bad) }, now);
        if is_bad {
            self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
            self.good_in_a_row = 0;
        } else {
            self.lives(1);
        }
        self.decide(!is_bad, now)
    }

    /// Calls have ended.
    pub fn called(&mut self, calls: Calls, now: Instant) -> Option<Change> {
        let Calls { succeeded, slow, failed } = calls;
        let all = succeeded.saturating_add(failed);
        let bad = failed.saturating_add(slow.min(succeeded));
        self.window.add(Counts { all, bad }, now);
        if succeeded > 0 {
            self.lives(succeeded);
        }
        self.decide(succeeded > 0, now)
    }

    /// Something else stands in its place, of which nothing is known.
    pub fn reset(&mut self, now: Instant) -> Option<Change> {
        self.window.clear(now);
        (self.bad_in_a_row, self.good_in_a_row, self.last) = (0, 0, None);
        self.enter(State::Unknown, now)
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// As it was given.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All that is known.
    pub fn report(&mut self, now: Instant) -> Report {
        let last = self.last.as_ref();
        Report {
            state: self.state,
            since: self.since,
            checked: last.map(|(at, _, _)| *at),
            latency: last.map(|(_, latency, _)| *latency),
            trouble: last.and_then(|(_, _, trouble)| trouble.clone()),
            checks: self.checks,
            checks_failed: self.checks_failed,
            bad_in_a_row: self.bad_in_a_row,
            bad_share: self.bad_share(now),
        }
    }

    fn lives(&mut self, good: u64) {
        self.bad_in_a_row = 0;
        let good = u32::try_from(good).unwrap_or(u32::MAX);
        self.good_in_a_row = self.good_in_a_row.saturating_add(good);
    }

    fn decide(&mut self, lives: bool, now: Instant) -> Option<Change> {
        if self.bad_in_a_row >= self.config.unhealthy_after {
            return self.enter(State::Unhealthy, now);
        }
        match self.state {
            State::Unhealthy if self.good_in_a_row < self.config.healthy_after => None,
            State::Unhealthy => {
                // What led there is over; it begins anew.
                self.window.clear(now);
                self.enter(State::Healthy, now)
            }
            State::Unknown if !lives => None,
            State::Unknown | State::Healthy => {
                let worse = self.bad_share(now) >= Some(self.config.degraded_share);
                self.enter(if worse { State::Degraded } else { State::Healthy }, now)
            }
            State::Degraded => {
                // Below half, or nothing to hold against it any more.
                let better = self.bad_share(now) < Some(self.config.degraded_share / 2.0);
                if better && lives { self.enter(State::Healthy, now) } else { None }
            }
        }
    }

    fn bad_share(&mut self, now: Instant) -> Option<f64> {
        let Counts { all, bad } = self.window.counts(now);
        (all >= u64::from(self.config.results_min)).then(|| bad as f64 / all as f64)
    }

    fn enter(&mut self, state: State, now: Instant) -> Option<Change> {
        let from = std::mem::replace(&mut self.state, state);
        if from == state {
            return None;
        }
        self.since = now;
        self.good_in_a_row = 0;
        Some(Change { from, to: state })
    }
}
