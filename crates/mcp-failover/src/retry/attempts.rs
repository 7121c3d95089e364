//! The attempts at one call, as a state machine. No clock, no lock, no task, no I/O.

use std::time::{Duration, Instant};

use crate::{Attempt, Budget, Call, Failure, Kind, Policy, Reason, Safety, Sent, Verdict};

/// What to do next about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever drives it has to do each of them")]
pub enum Step {
    /// Make this attempt, and ask again.
    Send(Attempt),
    /// Wait until an attempt ends, and not beyond this moment; tell of the end, and ask again.
    Wait(Option<Instant>),
    /// The call comes to nothing. Drop all attempts.
    GiveUp(Reason),
}

/// What is known of how long calls take. Nothing, by default: nothing is hedged, and an attempt is
/// made however little time is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "when to begin, and when not to")]
pub struct Expected {
    /// How long an attempt takes: a retry that would have less than that is not made.
    pub attempt: Duration,
    /// After how long an attempt that is not answered is late; none if nobody knows.
    pub late: Option<Duration>,
}

/// The attempts at one call.
///
/// Ask it for a [step](Self::step), do it, and tell when an attempt has [ended](Self::ended). What
/// holds:
///
/// - After an attempt that may have been sent, there is no other unless the call is safe to repeat;
///   and one of a call that is not [read-only](Safety::ReadOnly) is alone while it lasts.
/// - No attempt begins at or after the deadline, and no wait goes beyond it.
/// - Every attempt but the first has been paid for from the budget.
#[derive(Clone, Debug)]
pub struct Attempts<'p> {
    policy: &'p Policy,
    call: Call,
    expected: Expected,
    sent: u32,
    retries: u32,
    hedges: u32,
    /// A bit for each attempt that has not ended.
    in_flight: u32,
    may_have_acted: bool,
    /// The next attempt, and when to make it.
    next: Option<(Kind, Option<Instant>)>,
    /// Until when it was told to wait.
    not_before: Option<Instant>,
    /// Why no attempt follows, whatever else.
    stopped: Option<Reason>,
    over: Option<Step>,
}

impl<'p> Attempts<'p> {
    /// None made yet. `policy` is one that [means something](Policy::check).
    pub fn new(policy: &'p Policy, call: Call, expected: Expected) -> Self {
        Self {
            policy,
            call,
            expected,
            sent: 0,
            retries: 0,
            hedges: 0,
            in_flight: 0,
            may_have_acted: false,
            next: Some((Kind::First, None)),
            not_before: None,
            stopped: None,
            over: None,
        }
    }

    /// What to do now.
    pub fn step(&mut self, now: Instant, budget: &Budget) -> Step {
        if let Some(over) = self.over {
            return over;
        }
        if self.call.deadline.is_some_and(|deadline| deadline <= now) {
            self.may_have_acted |= self.in_flight != 0;
            return self.end(Step::GiveUp(Reason::DeadlineExceeded));
        }
        match self.next {
            Some((kind, at)) if at.is_none_or(|at| at <= now) => match kind {
                Kind::First => {
                    budget.deposit();
                    self.send(kind, now)
                }
                Kind::Retry => self.send(kind, now),
                Kind::Hedge if self.has_time(now) && budget.withdraw(now) => self.send(kind, now),
                Kind::Hedge => {
                    self.next = None;
                    self.wait()
                }
            },
            _ => self.wait(),
        }
    }

    /// Attempt number `attempt` has ended. True if what it came to is the answer: drop the others. If not,
    /// ask for the next step; `random` decides how long to pause before a retry. What has ended before
    /// changes nothing.
    pub fn ended(
        &mut self,
        attempt: u32,
        verdict: Verdict,
        now: Instant,
        random: u64,
        budget: &Budget,
    ) -> bool {
        if self.in_flight & bit(attempt) == 0 {
            return false;
        }
        self.in_flight &= !bit(attempt);
        match verdict {
            // Nothing is left to do but to take it.
            Verdict::Answer => self.end(Step::Wait(None)),
            Verdict::Failure(failure) => self.failed(failure, now, random, budget),
        };
        verdict == Verdict::Answer
    }

    /// Attempts that were made.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Whether the call may have been carried out, by an attempt that failed or one that was given up.
    pub fn may_have_acted(&self) -> bool {
        self.may_have_acted
    }

    fn failed(&mut self, failure: Failure, now: Instant, random: u64, budget: &Budget) -> Step {
        self.may_have_acted |= failure.sent == Sent::Perhaps;
        if let Some(told) = failure.retry_after {
            self.hold_back(told, now);
        }
        if self.in_flight != 0 {
            return self.wait();
        }
        match self.retry_at(now, random) {
            Err(reason) => self.end(Step::GiveUp(reason)),
            Ok(_) if !budget.withdraw(now) => self.end(Step::GiveUp(Reason::BudgetSpent)),
            Ok(at) => {
                self.next = Some((Kind::Retry, Some(at)));
                self.wait()
            }
        }
    }

    /// Heeds a server that asks for time.
    fn hold_back(&mut self, told: Duration, now: Instant) {
        if told > self.policy.retry_after_max {
            self.stopped = Some(Reason::ToldToWait(told));
            self.next = None;
            return;
        }
        self.not_before = self.not_before.max(Some(now + told));
        if let Some((_, at)) = &mut self.next {
            *at = (*at).max(self.not_before);
        }
    }

    /// When to try again, or why not to.
    fn retry_at(&self, now: Instant, random: u64) -> Result<Instant, Reason> {
        if self.call.safety == Safety::Unsafe && self.may_have_acted {
            return Err(Reason::UnsafeToRepeat);
        }
        if self.sent >= self.policy.attempts_max {
            return Err(Reason::AttemptsSpent);
        }
        if let Some(reason) = self.stopped {
            return Err(reason);
        }
        let paused = now + self.policy.backoff.pause(self.retries + 1, random);
        let at = self.not_before.map_or(paused, |not_before| paused.max(not_before));
        if self.has_time(at) { Ok(at) } else { Err(Reason::NoTimeLeft) }
    }

    /// Whether an attempt that begins then is likely to end before the deadline.
    fn has_time(&self, begin: Instant) -> bool {
        let left = self.call.deadline.map(|deadline| deadline.saturating_duration_since(begin));
        left.is_none_or(|left| !left.is_zero() && left >= self.expected.attempt)
    }

    fn send(&mut self, kind: Kind, now: Instant) -> Step {
        self.sent += 1;
        self.in_flight |= bit(self.sent);
        match kind {
            Kind::First => {}
            Kind::Retry => self.retries += 1,
            Kind::Hedge => self.hedges += 1,
        }
        self.next = self.hedge_at(now).map(|at| (Kind::Hedge, Some(at)));
        Step::Send(Attempt { number: self.sent, kind })
    }

    /// When the attempt that begins now is late, if anything is to be done about it then.
    fn hedge_at(&self, now: Instant) -> Option<Instant> {
        let hedge = self.policy.hedge.as_ref()?;
        let may = self.call.safety == Safety::ReadOnly
            && self.stopped.is_none()
            && self.hedges < hedge.hedges_max
            && self.sent < self.policy.attempts_max;
        let at = now.checked_add(self.expected.late?.max(hedge.delay_min))?;
        let at = self.not_before.map_or(at, |not_before| at.max(not_before));
        (may && self.has_time(at)).then_some(at)
    }

    fn wait(&self) -> Step {
        let next = self.next.and_then(|(_, at)| at);
        Step::Wait(match (next, self.call.deadline) {
            (Some(next), Some(deadline)) => Some(next.min(deadline)),
            (next, deadline) => next.or(deadline),
        })
    }

    fn end(&mut self, how: Step) -> Step {
        self.in_flight = 0;
        *self.over.insert(how)
    }
}

/// The bit of an attempt; none of a number that no attempt has.
fn bit(attempt: u32) -> u32 {
    1_u32.checked_shl(attempt).unwrap_or(0)
}
