//! What all versions of a set have in common.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use crate::bandit::Bandit;
use crate::cost::Usual;
use crate::ejection::Ledger;
use crate::endpoint::Endpoint;
use crate::gauge::{Counter, Gauge};
use crate::sticky::Sticky;
use crate::{Config, Strategy};

/// What [`Strategy::Adaptive`] learns to choose from.
pub(crate) const ARMS: [Strategy; 4] = [
    Strategy::LeastLoaded,
    Strategy::LeastConnections,
    Strategy::ResponseTime,
    Strategy::Predictive,
];
/// How long an arm is played before its calls are looked at.
const ROUND: u64 = 250_000_000;
/// Fewer calls than these say nothing.
const ROUND_CALLS: u64 = 20;
/// What a failed call costs, in seconds.
const FAILURE: f32 = 10.0;
/// Of so many calls the share of failures is that of late.
const FAILING_CALLS: f32 = 1_000.0;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Times are counted from here.
    epoch: Instant,
    /// Choices that were made, and one more: of 0 is what was never chosen.
    pub(crate) chosen: AtomicU32,
    serials: AtomicU32,
    pub(crate) in_flight: AtomicU32,
    latency: Gauge,
    failing: Gauge,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) stuck: Counter,
    pub(crate) resorts: Counter,
    arm: AtomicU8,
    rewards: [Reward; ARMS.len()],
    learning: Mutex<Learning>,
}

/// What the calls of an arm cost, since that was last looked at.
#[derive(Debug, Default)]
struct Reward {
    calls: AtomicU64,
    /// Of their response times in milliseconds the squares: what hurts is the slow ones.
    squares: AtomicU64,
}

/// What is learnt from time to time, by whoever comes by.
#[derive(Debug)]
struct Learning {
    bandit: Bandit<{ ARMS.len() }>,
    round_ends: u64,
    calls: u64,
    failures: u64,
}

impl Shared {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        let sticky = Sticky::new(config.sticky_keys_max);
        let bandit = Bandit::new();
        Self {
            config,
            epoch: now,
            chosen: AtomicU32::new(1),
            serials: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            latency: Gauge::new(0.0),
            failing: Gauge::new(0.0),
            ledger: Mutex::default(),
            sticky,
            stuck: Counter::default(),
            resorts: Counter::default(),
            arm: AtomicU8::new(0),
            rewards: Default::default(),
            learning: Mutex::new(Learning { bandit, round_ends: ROUND, calls: 0, failures: 0 }),
        }
    }

    /// Nanoseconds since the beginning, from 1 on: 0 is never.
    #[inline]
    pub(crate) fn at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        since
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(since.subsec_nanos()) + 1)
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serials.fetch_add(1, Relaxed)
    }

    pub(crate) fn usual(&self) -> Usual {
        Usual { latency: self.latency.get(), failing: self.failing.get() }
    }

    /// Whether this is the first endpoint to be measured: until more is known what it takes is usual.
    pub(crate) fn is_first(&self, endpoint: &Endpoint) -> bool {
        let first = self.latency.get() == 0.0;
        if first {
            self.latency.set(endpoint.response.alone());
        }
        first
    }

    /// The strategy in force, and the arm that it is.
    pub(crate) fn strategy(&self) -> (Strategy, u8) {
        match self.config.strategy {
            Strategy::Adaptive => {
                let arm = self.arm.load(Relaxed);
                (ARMS[usize::from(arm) % ARMS.len()], arm)
            }
            strategy => (strategy, 0),
        }
    }

    pub(crate) fn reward(&self, arm: u8, seconds: f32, succeeded: bool) {
        if self.config.strategy == Strategy::Adaptive {
            let reward = &self.rewards[usize::from(arm) % ARMS.len()];
            let cost = if succeeded { seconds } else { seconds + FAILURE };
            reward.calls.fetch_add(1, Relaxed);
            let millis = f64::from(cost.min(1_000.0)) * 1e3;
            reward.squares.fetch_add((millis * millis) as u64, Relaxed);
        }
    }

    /// Learns from what became of the calls, unless somebody is at it already.
    pub(crate) fn learn<'a>(&self, endpoints: impl Iterator<Item = &'a Endpoint>, at: u64) {
        let mut learning = match self.learning.try_lock() {
            Ok(learning) => learning,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (mut known, mut latency) = (0.0, 0.0);
        let (mut successes, mut failures) = (0, 0);
        for endpoint in endpoints {
            successes += endpoint.successes.get();
            failures += endpoint.failures.get();
            let mean = endpoint.response.alone();
            if mean > 0.0 {
                (known, latency) = (known + 1.0, latency + mean);
            }
        }
        if known > 0.0 {
            self.latency.set(latency / known);
        }
        let calls = successes + failures;
        // Less than before when a member went with its counts.
        if let (Some(new), Some(bad)) =
            (calls.checked_sub(learning.calls), failures.checked_sub(learning.failures))
            && new > 0
        {
            let (new, bad) = (new as f32, bad as f32);
            self.failing.approach((bad / new).min(1.0), new / (new + FAILING_CALLS));
        }
        (learning.calls, learning.failures) = (calls, failures);
        if self.config.strategy == Strategy::Adaptive && at >= learning.round_ends {
            self.play(&mut learning);
            learning.round_ends = at + ROUND;
        }
    }

    fn play(&self, learning: &mut Learning) {
        for (arm, reward) in self.rewards.iter().enumerate() {
            if reward.calls.load(Relaxed) < ROUND_CALLS {
                continue;
            }
            let calls = reward.calls.swap(0, Relaxed).max(1);
            let squares = reward.squares.swap(0, Relaxed);
            learning.bandit.played(arm, (squares as f64 / calls as f64).sqrt());
        }
        self.arm.store(learning.bandit.next() as u8, Relaxed);
    }
}

/// What one thread left half done is a measurement at most, so that its panic is not another's.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
