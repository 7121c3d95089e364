//! The state machine: no clock, no lock, no counting.

use std::time::{Duration, Instant};

use crate::random::Random;
use crate::stats;
use crate::{Cause, Change, Config, ConfigError, State, Tally, View};

/// How a call ended that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "evidence for, against, of a limit, or none")]
pub enum Outcome {
    /// The server answered as it should.
    Success,
    /// It did not: no connection, no answer in time, an error that is its own.
    Failure,
    /// It asks for patience (429). That is neither a failure nor a success; a half-open breaker refuses
    /// until then, though never for longer than the longest cooldown.
    Throttled {
        /// For how long, if it said so.
        retry_after: Option<Duration>,
    },
    /// No evidence either way: the client gave up, its arguments were bad, or what the tool found out
    /// is an error of its own.
    Ignored,
}

/// That a call was let through; to be given back with what became of it.
///
/// A ticket that is lost does no harm, except that of a probe: its place is taken until
/// [`Config::probe_timeout`]. A [`Permit`](crate::Permit) cannot be lost.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what became of the call is to be recorded with it"]
pub struct Ticket(pub(crate) u64);

/// The call was refused; nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("circuit is open because {cause}; retry in {retry_after:?}")]
#[non_exhaustive]
pub struct Rejected {
    /// Why.
    pub cause: Cause,
    /// When to ask again: a call so much later is a probe, unless others come first. May be a millisecond
    /// more than need be. When it is up to somebody or to the probes under way, the cooldown.
    pub retry_after: Duration,
}

/// The state machine of a [`Breaker`](crate::Breaker), which counts calls and tells it the sums.
///
/// For simulations, and for those who count elsewhere. The first state is [`State::Closed`].
#[derive(Debug)]
pub struct Core {
    config: Config,
    random: Random,
    phase: Phase,
    since: Instant,
    cause: Cause,
    /// Steps made so far.
    serial: u64,
    /// The last cooldown before its jitter, and how often it grew.
    cooldown: Duration,
    grown: u32,
    change: Option<Change>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen(Probes),
    ForcedOpen,
    ForcedClosed,
}

#[derive(Clone, Copy, Debug)]
struct Probes {
    in_flight: u32,
    successes: u32,
    /// When the last one was let through or came back.
    heard: Instant,
    /// Until when the server asked for patience.
    patience: Option<Instant>,
}

impl Core {
    /// A closed breaker, or why `config` means nothing. Jitter is drawn from `seed`.
    pub fn new(config: Config, now: Instant, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            random: Random::new(seed),
            phase: Phase::Closed,
            since: now,
            cause: Cause::New,
            serial: 0,
            cooldown: Duration::ZERO,
            grown: 0,
            change: None,
        })
    }

    /// Asks to make a call.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Rejected> {
        match self.phase {
            Phase::Closed | Phase::ForcedClosed => {}
            Phase::ForcedOpen => {
                let retry_after = self.config.cooldown;
                return Err(Rejected { cause: self.cause, retry_after });
            }
            Phase::Open { until } if now < until => {
                let retry_after = until.saturating_duration_since(now);
                return Err(Rejected { cause: self.cause, retry_after });
            }
            Phase::Open { .. } => {
                let probes = Probes { in_flight: 1, successes: 0, heard: now, patience: None };
                self.enter(Phase::HalfOpen(probes), Cause::Cooled, now);
            }
            Phase::HalfOpen(probes) => self.admit_probe(probes, now)?,
        }
        Ok(Ticket(self.word()))
    }

    fn admit_probe(&mut self, mut probes: Probes, now: Instant) -> Result<(), Rejected> {
        if let Some(patience) = probes.patience
            && now < patience
        {
            let retry_after = patience.saturating_duration_since(now);
            return Err(Rejected { cause: Cause::ProbeThrottled, retry_after });
        }
        if probes.in_flight >= self.config.probes {
            if now.saturating_duration_since(probes.heard) < self.config.probe_timeout {
                let retry_after = self.config.cooldown;
                return Err(Rejected { cause: Cause::Probing, retry_after });
            }
            let retry_after = self.open(Cause::ProbesUnanswered, now);
            return Err(Rejected { cause: self.cause, retry_after });
        }
        probes.in_flight += 1;
        probes.heard = now;
        self.phase = Phase::HalfOpen(probes);
        Ok(())
    }

    /// Says how the calls of the window ended, after one that failed or was slow. Only a closed breaker
    /// listens.
    pub fn judge(&mut self, tally: &Tally, now: Instant) {
        if matches!(self.phase, Phase::Closed)
            && let Some(cause) = self.config.verdict(tally)
        {
            self.open(cause, now);
        }
    }

    /// Says how a probe ended. A ticket of another state than the present one says nothing.
    pub fn settle(&mut self, ticket: &Ticket, outcome: Outcome, took: Duration, now: Instant) {
        if !self.is_current(ticket) {
            return;
        }
        let Phase::HalfOpen(mut probes) = self.phase else { return };
        probes.in_flight = probes.in_flight.saturating_sub(1);
        probes.heard = now;
        let slow = self.config.slow_share.is_some() && took >= self.config.slow_after;
        match outcome {
            Outcome::Failure => {
                self.open(Cause::ProbeFailed, now);
                return;
            }
            Outcome::Success if slow => {
                self.open(Cause::ProbeSlow, now);
                return;
            }
            Outcome::Success => probes.successes += 1,
            Outcome::Throttled { retry_after } => {
                let patience = retry_after.map(|after| now + after.min(self.config.cooldown_max));
                probes.patience = probes.patience.max(patience);
            }
            Outcome::Ignored => {}
        }
        if probes.successes >= self.config.successes_to_close {
            let cause = Cause::ProbesSucceeded { successes: probes.successes };
            self.enter(Phase::Closed, cause, now);
        } else {
            self.phase = Phase::HalfOpen(probes);
        }
    }

    /// Refuses all calls, until somebody says otherwise.
    pub fn force_open(&mut self, now: Instant) {
        self.enter(Phase::ForcedOpen, Cause::Forced, now);
    }

    /// Lets all calls through whatever becomes of them, until somebody says otherwise.
    pub fn force_close(&mut self, now: Instant) {
        self.enter(Phase::ForcedClosed, Cause::Forced, now);
    }

    /// Begins anew: closed, as if nothing had failed.
    pub fn reset(&mut self, now: Instant) {
        (self.cooldown, self.grown) = (Duration::ZERO, 0);
        self.enter(Phase::Closed, Cause::Reset, now);
    }

    /// The state and how it came about.
    pub fn view(&self, now: Instant) -> View {
        View {
            state: self.state(),
            since: self.since,
            age: now.saturating_duration_since(self.since),
            until: self.until(),
            cause: self.cause,
        }
    }

    /// The step that was made since this was last asked.
    pub fn take_change(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// Whether the state is still the one in which the call was let through.
    pub fn is_current(&self, ticket: &Ticket) -> bool {
        ticket.0 == self.word()
    }

    /// The serial number of the last step, and the state that it led to.
    pub(crate) fn word(&self) -> u64 {
        stats::word(self.serial, self.state())
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen(_) => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::ForcedClosed => State::ForcedClosed,
        }
    }

    fn until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Opens, and says for how long.
    fn open(&mut self, cause: Cause, now: Instant) -> Duration {
        // A breaker that closes and opens in turn does not know a good server from a lucky one.
        let probing = matches!(self.phase, Phase::HalfOpen(_));
        let lasted = now.saturating_duration_since(self.since);
        self.grown = if probing || lasted < self.cooldown { self.grown + 1 } else { 0 };
        let factor = self.config.cooldown_factor.powi(self.grown.min(1_000) as i32);
        let grown = self.config.cooldown.as_secs_f64() * factor;
        let most = self.config.cooldown_max;
        self.cooldown = Duration::try_from_secs_f64(grown).map_or(most, |grown| grown.min(most));
        let share = 1.0 - self.config.jitter * self.random.fraction();
        let cooldown = self.cooldown.mul_f64(share).max(Duration::from_nanos(1));
        self.enter(Phase::Open { until: now + cooldown }, cause, now);
        cooldown
    }

    fn enter(&mut self, phase: Phase, cause: Cause, now: Instant) {
        let from = self.state();
        self.phase = phase;
        self.since = now;
        self.cause = cause;
        self.serial += 1;
        let (serial, to, until) = (self.serial, self.state(), self.until());
        self.change = Some(Change { serial, from, to, at: now, until, cause });
    }
}
