//! A breaker that threads share: what is common needs no lock, what is rare asks the state machine.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::counts::{Class, Counts};
use crate::stats;
use crate::ticks;
use crate::{
    Cause, Change, Config, ConfigError, Core, Outcome, Rejected, State, Stats, Ticket, View,
};

/// A circuit breaker; see the [crate documentation](crate).
///
/// A call is let through by [`permit`](Self::permit), or by [`admit`](Self::admit) where a permit that
/// borrows or owns the breaker does not fit. Each is told the time; where it goes backwards it counts
/// as standing still.
pub struct Breaker {
    /// The serial number of the last step and its state, as in [`Core`]. Written under its lock.
    word: AtomicU64,
    /// From when on an open breaker lets a probe through, and why it is open. Only ever those of an open
    /// breaker: who reads them late reads those of the next time that it is open.
    until: AtomicU64,
    why: AtomicU64,
    /// Written when it changes, so that success after success writes nothing here.
    failures_in_row: AtomicU32,
    /// Times are counted from the tick in which it was made, in nanoseconds, from 1 on: 0 is never.
    epoch: Instant,
    /// The same as [`ticks`] count.
    epoch_ticks: u64,
    config: Config,
    counts: Counts,
    rare: Rare,
    core: Mutex<Core>,
    hook: Option<Hook>,
}

type Hook = Box<dyn Fn(&Change) + Send + Sync>;

/// Counters of what does not happen all the time.
#[derive(Debug, Default)]
struct Rare {
    throttled: AtomicU64,
    ignored: AtomicU64,
    late: AtomicU64,
    last_failure: AtomicU64,
    /// The successes at that time.
    successes_then: AtomicU64,
}

impl Breaker {
    /// A closed breaker, or why `config` means nothing.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        Self::with_seed(config, now, RandomState::new().hash_one(0))
    }

    /// One whose jitter is the same each time.
    pub fn with_seed(config: Config, now: Instant, seed: u64) -> Result<Self, ConfigError> {
        let core = Core::new(config.clone(), now, seed)?;
        let epoch_ticks = ticks::coarse(now);
        let into_tick = Duration::from_nanos(ticks::nanos(now) - epoch_ticks);
        Ok(Self {
            word: AtomicU64::new(core.word()),
            until: AtomicU64::new(0),
            why: AtomicU64::new(0),
            failures_in_row: AtomicU32::new(0),
            epoch: now.checked_sub(into_tick).unwrap_or(now),
            epoch_ticks,
            counts: Counts::new(config.window),
            config,
            rare: Rare::default(),
            core: Mutex::new(core),
            hook: None,
        })
    }

    /// Says who is told of each change of state: on the thread that made it, with nothing locked.
    #[must_use]
    pub fn on_change(mut self, hook: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Asks to make a call. What became of it is to be [recorded](Self::record).
    #[inline]
    pub fn admit(&self, now: Instant) -> Result<Ticket, Rejected> {
        let word = self.word.load(Acquire);
        if stats::lets_all_pass(word) { Ok(Ticket(word)) } else { self.admit_rare(word, now) }
    }

    fn admit_rare(&self, word: u64, now: Instant) -> Result<Ticket, Rejected> {
        if matches!(stats::state(word), State::Open | State::ForcedOpen) {
            let (at, until) = (self.at_coarsely(now), self.until.load(Relaxed));
            // In the last tick before its end the state machine decides, which is exact.
            if at < until.saturating_sub(ticks::TICK) {
                return Err(self.rejected(at, until));
            }
        }
        let admitted = self.change(|core| core.admit(now));
        if admitted.is_err() {
            self.counts.reject();
        }
        admitted
    }

    #[inline]
    fn rejected(&self, at: u64, until: u64) -> Rejected {
        self.counts.reject();
        let retry_after = match until {
            FOREVER => self.config.cooldown,
            until => Duration::from_nanos(until - at),
        };
        Rejected { cause: Cause::unpack(self.why.load(Relaxed), &self.config), retry_after }
    }

    /// Says what became of a call, and how long it took.
    #[inline]
    pub fn record(&self, ticket: Ticket, outcome: Outcome, took: Duration, now: Instant) {
        let good = matches!(outcome, Outcome::Success) && took < self.config.slow_after;
        if !(good && self.record_good(&ticket, now)) {
            self.record_rare(ticket, outcome, took, now);
        }
    }

    /// Counts a success that was not slow, if it is one of the many of a closed breaker.
    #[inline]
    pub(crate) fn record_good(&self, ticket: &Ticket, now: Instant) -> bool {
        let counts = self.counts_for_window(ticket);
        if counts {
            self.counts.add_good(self.at_coarsely(now));
            if self.failures_in_row.load(Relaxed) != 0 {
                self.failures_in_row.store(0, Relaxed);
            }
        }
        counts
    }

    #[cold]
    pub(crate) fn record_since(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        began: Instant,
        now: Instant,
    ) {
        self.record_rare(ticket, outcome, now.saturating_duration_since(began), now);
    }

    #[cold]
    pub(crate) fn record_rare(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        took: Duration,
        now: Instant,
    ) {
        let slow = took >= self.config.slow_after;
        let class = match outcome {
            Outcome::Success if slow => Class::Slow,
            Outcome::Success => Class::Good,
            Outcome::Failure if slow => Class::FailedSlow,
            Outcome::Failure => Class::Failed,
            Outcome::Throttled { .. } | Outcome::Ignored => {
                let throttled = matches!(outcome, Outcome::Throttled { .. });
                let count = if throttled { &self.rare.throttled } else { &self.rare.ignored };
                count.fetch_add(1, Relaxed);
                self.settle_probe(&ticket, outcome, took, now);
                return;
            }
        };
        let at = self.at_coarsely(now);
        if self.counts_for_window(&ticket) {
            self.counts.add(class, at);
            self.follow(class, at);
            self.judge(&ticket, at, now);
            return;
        }
        self.counts.add_aside(class, at);
        if class.failed() {
            self.rare.last_failure.store(at, Relaxed);
        }
        if self.is_current(&ticket) {
            self.follow(class, at);
            self.settle_probe(&ticket, outcome, took, now);
        } else {
            self.rare.late.fetch_add(1, Relaxed);
        }
    }

    /// Counts what follows on what.
    fn follow(&self, class: Class, at: u64) {
        if class.failed() {
            // Not past the largest: it would be 0 again.
            let more = |row: u32| Some(row.saturating_add(1));
            let _ = self.failures_in_row.fetch_update(Relaxed, Relaxed, more);
            self.rare.last_failure.store(at, Relaxed);
            self.rare.successes_then.store(self.counts.read(at).successes(), Relaxed);
        } else {
            self.failures_in_row.store(0, Relaxed);
        }
    }

    /// Opens it if that was one too many. Until then there is nothing to lock.
    fn judge(&self, ticket: &Ticket, at: u64, now: Instant) {
        let tally = self.counts.read(at).tally(self.failures_in_row.load(Relaxed));
        if stats::state(ticket.0) == State::Closed && self.config.verdict(&tally).is_some() {
            self.change(|core| {
                if core.is_current(ticket) {
                    core.judge(&tally, now);
                }
            });
        }
    }

    fn settle_probe(&self, ticket: &Ticket, outcome: Outcome, took: Duration, now: Instant) {
        if stats::state(ticket.0) == State::HalfOpen {
            self.change(|core| core.settle(ticket, outcome, took, now));
        }
    }

    /// Refuses all calls, until [`force_close`](Self::force_close) or [`reset`](Self::reset).
    pub fn force_open(&self, now: Instant) {
        self.change(|core| core.force_open(now));
    }

    /// Lets all calls through and only counts them, until [`force_open`](Self::force_open) or
    /// [`reset`](Self::reset).
    pub fn force_close(&self, now: Instant) {
        self.change(|core| core.force_close(now));
    }

    /// Closes it and forgets the window, whatever the state is. What was counted ever stays.
    pub fn reset(&self, now: Instant) {
        self.change(|core| core.reset(now));
    }

    /// The state and how it came about.
    pub fn state(&self, now: Instant) -> View {
        self.lock().view(now)
    }

    /// What it goes by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it has counted.
    pub fn stats(&self, now: Instant) -> Stats {
        let time = |at: u64| at.checked_sub(1).map(|at| self.epoch + Duration::from_nanos(at));
        let word = self.word.load(Acquire);
        let reading = self.counts.read(self.at_coarsely(now));
        let since = |then: &AtomicU64| reading.successes().saturating_sub(then.load(Relaxed));
        Stats {
            state: stats::state(word),
            changes: stats::serial(word),
            successes: reading.successes(),
            failures: reading.failures(),
            slow: reading.slow(),
            throttled: self.rare.throttled.load(Relaxed),
            ignored: self.rare.ignored.load(Relaxed),
            late: self.rare.late.load(Relaxed),
            rejections: self.counts.rejections(),
            successes_in_row: since(&self.rare.successes_then),
            window: reading.tally(self.failures_in_row.load(Relaxed)),
            last_success: time(self.counts.last_success()),
            last_failure: time(self.rare.last_failure.load(Relaxed)),
        }
    }

    /// Whether a call with this ticket is one of those that a closed breaker counts.
    #[inline]
    fn counts_for_window(&self, ticket: &Ticket) -> bool {
        self.is_current(ticket) && stats::lets_all_pass(ticket.0)
    }

    #[inline]
    fn is_current(&self, ticket: &Ticket) -> bool {
        ticket.0 == self.word.load(Acquire)
    }

    /// Nanoseconds since the beginning.
    fn at(&self, now: Instant) -> u64 {
        (ticks::nanos(now) + 1).saturating_sub(self.epoch_ticks)
    }

    /// The same, or up to a tick less: that is all that is needed to count.
    #[inline]
    fn at_coarsely(&self, now: Instant) -> u64 {
        (ticks::coarse(now) + 1).saturating_sub(self.epoch_ticks)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing that could panic is done under the lock but arithmetic on what was checked.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the state machine do something, and publishes what came of it.
    fn change<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.lock();
        let done = act(&mut core);
        let change = core.take_change();
        if let Some(change) = &change {
            self.publish(change, core.word());
        }
        drop(core);
        if let (Some(hook), Some(change)) = (&self.hook, &change) {
            hook(change);
        }
        done
    }

    /// Under the lock, and the word last: who sees the state sees what belongs to it.
    fn publish(&self, change: &Change, word: u64) {
        match change.to {
            State::Open | State::ForcedOpen => {
                self.until.store(change.until.map_or(FOREVER, |until| self.at(until)), Relaxed);
                self.why.store(change.cause.pack(), Relaxed);
            }
            State::Closed | State::ForcedClosed => {
                self.counts.clear();
                self.failures_in_row.store(0, Relaxed);
            }
            State::HalfOpen => {}
        }
        self.word.store(word, Release);
    }
}

/// Until somebody says otherwise.
const FOREVER: u64 = u64::MAX;

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("core", &*self.lock()).finish_non_exhaustive()
    }
}
