//! The state machine of supervision. No clock, no lock, no task, no process.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Policy, PolicyError, Restart};

/// How soon after the last attempt a nudge may bring about the next.
const NUDGED_AFTER: Duration = Duration::from_secs(1);

/// What is to be done about one process, over all its incarnations.
///
/// It is told what happened and when; [`phase`](Self::phase) is what is to be done now, and
/// [`wake_at`](Self::wake_at) when it wants to be told the time. An event that names an incarnation
/// other than the current one comes late, and changes nothing.
///
/// ```
/// # #![allow(clippy::disallowed_methods)]
/// use std::time::{Duration, Instant};
/// use mcp_supervisor::{Ending, Lifecycle, Phase, Policy};
///
/// let mut now = Instant::now();
/// let mut lifecycle = Lifecycle::new(Policy::default(), now)?;
/// lifecycle.start(now);
/// assert!(matches!(lifecycle.phase(), Phase::Starting { .. })); // so start incarnation 1
/// lifecycle.ready(1, now);
/// now += Duration::from_secs(5);
/// lifecycle.ended(1, Ending::Abnormal, now);
/// assert!(matches!(lifecycle.phase(), Phase::Stopping { .. })); // so end what is left of it
/// lifecycle.gone(1, now, 0);
/// assert!(matches!(lifecycle.phase(), Phase::Backoff { attempt: 1, .. }));
/// assert_eq!(lifecycle.wake_at(), Some(now + Duration::from_secs(1)));
/// # Ok::<(), mcp_supervisor::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct Lifecycle {
    policy: Policy,
    phase: Phase,
    /// When the phase began.
    since: Instant,
    incarnation: u64,
    /// Launches since it was last stable, or told to start.
    attempts: u32,
    /// When it was restarted, the last `restarts_max` times.
    restarts: VecDeque<Instant>,
    stats: Stats,
}

/// What is to be done about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever drives it has to know each of them")]
pub enum Phase {
    /// Nothing: there is none, and there is to be none.
    Stopped,
    /// Start the current incarnation.
    Starting {
        /// If it is not ready by then, the start has failed.
        until: Instant,
    },
    /// Watch it: it is ready.
    Running,
    /// End the current incarnation and whatever is left of it.
    Stopping {
        /// What follows when nothing is left.
        then: Then,
    },
    /// Wait, and then start the next.
    Backoff {
        /// Until then.
        until: Instant,
        /// How many attempts have come to nothing, since it was last stable or told to start.
        attempt: u32,
        /// How the last one ended.
        after: Ending,
    },
    /// Nothing, until it is told to start: it ended badly, and is not started again.
    Failed(GaveUp),
}

/// What follows on an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an end was wanted, for good or not, or it was not")]
pub enum Then {
    /// It stays stopped, as it was told to.
    Stop,
    /// The next incarnation is started at once, as it was told to.
    Start,
    /// The policy decides.
    Decide(Ending),
}

/// How an incarnation ended that was not told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it ran and ended well or badly, or it never ran")]
pub enum Ending {
    /// It was ready, and ended as it should.
    Normal,
    /// It was ready, and ended otherwise, or had to be ended.
    Abnormal,
    /// It never was ready.
    NeverReady,
}

/// Why it is not started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaveUp {
    /// Once more would be more than `restarts_max` in `restart_period`.
    TooManyRestarts,
    /// It is [temporary](Restart::Temporary).
    Temporary,
}

/// What became of a process so far. A snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How often it became ready.
    pub started: u64,
    /// How often it was ended because someone said so.
    pub stopped: u64,
    /// How often the policy had it started again.
    pub restarted: u64,
    /// How often it did not become ready, or ended otherwise than it should.
    pub failed: u64,
    /// How often that was the last time, until it was told to start.
    pub given_up: u64,
}

impl Lifecycle {
    /// One that is stopped, or the reason `policy` means nothing.
    pub fn new(policy: Policy, now: Instant) -> Result<Self, PolicyError> {
        policy.check()?;
        Ok(Self {
            policy,
            phase: Phase::Stopped,
            since: now,
            incarnation: 0,
            attempts: 0,
            restarts: VecDeque::new(),
            stats: Stats::default(),
        })
    }

    /// It is wanted: starts what is stopped or has failed, with a clean record. In every other
    /// phase it is on its way.
    pub fn start(&mut self, now: Instant) {
        match self.phase {
            Phase::Stopped | Phase::Failed(_) => {
                self.forgive();
                self.launch(now);
            }
            Phase::Stopping { then: Then::Stop } => self.then(Then::Start),
            Phase::Stopping { .. } | Phase::Starting { .. } | Phase::Running => {}
            Phase::Backoff { .. } => {}
        }
    }

    /// It is not wanted any more.
    pub fn stop(&mut self, now: Instant) {
        match self.phase {
            Phase::Stopped => {}
            Phase::Backoff { .. } | Phase::Failed(_) => self.enter(Phase::Stopped, now),
            Phase::Stopping { .. } => self.then(Then::Stop),
            Phase::Starting { .. } | Phase::Running => {
                self.stats.stopped += 1;
                self.end(Then::Stop, now);
            }
        }
    }

    /// A new incarnation is wanted, whatever there is now, with a clean record.
    pub fn restart(&mut self, now: Instant) {
        self.forgive();
        match self.phase {
            Phase::Stopped | Phase::Backoff { .. } | Phase::Failed(_) => self.launch(now),
            Phase::Stopping { .. } => self.then(Then::Start),
            Phase::Starting { .. } | Phase::Running => {
                self.stats.stopped += 1;
                self.end(Then::Start, now);
            }
        }
    }

    /// Someone needs it now. Cuts a pause after a failed start, if the policy says so.
    pub fn nudge(&mut self) {
        let soon = self.since + NUDGED_AFTER;
        let may = self.policy.nudge && self.may_restart(soon);
        if let Phase::Backoff { until, after: Ending::NeverReady, .. } = &mut self.phase
            && may
        {
            *until = soon.min(*until);
        }
    }

    /// The incarnation is ready.
    pub fn ready(&mut self, incarnation: u64, now: Instant) {
        if self.is_starting(incarnation) {
            self.stats.started += 1;
            self.enter(Phase::Running, now);
        }
    }

    /// The incarnation was not ready in time, or never will be.
    pub fn not_ready(&mut self, incarnation: u64, now: Instant) {
        if self.is_starting(incarnation) {
            self.stats.failed += 1;
            self.end(Then::Decide(Ending::NeverReady), now);
        }
    }

    /// The incarnation ended, or is to be ended because it is no good. What is left of it may not
    /// be nothing yet. One that never was ready ended [`Ending::NeverReady`], whatever is told.
    pub fn ended(&mut self, incarnation: u64, ending: Ending, now: Instant) {
        self.not_ready(incarnation, now);
        if incarnation == self.incarnation && self.phase == Phase::Running {
            self.stats.failed += u64::from(ending != Ending::Normal);
            if now.saturating_duration_since(self.since) >= self.policy.stable_after {
                self.attempts = 0;
            }
            self.end(Then::Decide(ending), now);
        }
    }

    /// Nothing is left of the incarnation. `random` decides about the pause that may follow.
    pub fn gone(&mut self, incarnation: u64, now: Instant, random: u64) {
        let Phase::Stopping { then } = self.phase else { return };
        if incarnation != self.incarnation {
            return;
        }
        match then {
            Then::Stop => self.enter(Phase::Stopped, now),
            Then::Start => self.launch(now),
            Then::Decide(ending) => self.decide(ending, now, random),
        }
    }

    /// It is `now`: a pause may be over, or a start too late.
    pub fn tick(&mut self, now: Instant) {
        match self.phase {
            Phase::Backoff { until, .. } if now >= until => self.relaunch(now),
            Phase::Starting { until } if now >= until => self.not_ready(self.incarnation, now),
            _ => {}
        }
    }

    /// When [`tick`](Self::tick) will have something to do.
    pub fn wake_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Backoff { until, .. } | Phase::Starting { until } => Some(until),
            _ => None,
        }
    }

    /// What is to be done now.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When the phase began.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The number of the current incarnation, or of the last one. The first is 1.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// As it was given.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What became of it so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn decide(&mut self, ending: Ending, now: Instant, random: u64) {
        let again = match self.policy.restart {
            Restart::Permanent => true,
            Restart::Transient => ending != Ending::Normal,
            Restart::Temporary => false,
        };
        if !again {
            return match ending {
                Ending::Normal => self.enter(Phase::Stopped, now),
                _ => self.give_up(GaveUp::Temporary, now),
            };
        }
        let attempt = self.attempts;
        let pause = match attempt {
            0 => Duration::ZERO,
            _ => self.policy.backoff.pause(attempt, random),
        };
        let until = now + pause;
        if !self.may_restart(until) {
            self.give_up(GaveUp::TooManyRestarts, now);
        } else if pause.is_zero() {
            self.relaunch(now);
        } else {
            self.enter(Phase::Backoff { until, attempt, after: ending }, now);
        }
    }

    /// Whether a restart at `then` is within the intensity.
    fn may_restart(&self, then: Instant) -> bool {
        let Some(most) = self.policy.restarts_max else { return true };
        let kept = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX);
        kept < most
            || self.restarts.front().is_some_and(|oldest| {
                then.saturating_duration_since(*oldest) >= self.policy.restart_period
            })
    }

    fn relaunch(&mut self, now: Instant) {
        if let Some(most) = self.policy.restarts_max {
            self.restarts.push_back(now);
            while self.restarts.len() > most as usize {
                self.restarts.pop_front();
            }
        }
        self.stats.restarted += 1;
        self.launch(now);
    }

    fn launch(&mut self, now: Instant) {
        self.incarnation += 1;
        self.attempts = self.attempts.saturating_add(1);
        self.enter(Phase::Starting { until: now + self.policy.start_timeout }, now);
    }

    fn forgive(&mut self) {
        self.attempts = 0;
        self.restarts.clear();
    }

    fn give_up(&mut self, why: GaveUp, now: Instant) {
        self.stats.given_up += 1;
        self.enter(Phase::Failed(why), now);
    }

    fn end(&mut self, then: Then, now: Instant) {
        self.enter(Phase::Stopping { then }, now);
    }

    fn then(&mut self, then: Then) {
        self.phase = Phase::Stopping { then };
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    fn is_starting(&self, incarnation: u64) -> bool {
        incarnation == self.incarnation && matches!(self.phase, Phase::Starting { .. })
    }
}
