//! One key: who is idle, who waits, what is open.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::stats::Cause;
use crate::{AcquireError, Config, Held, Manage, Stats};

/// A caller that waits.
pub(crate) struct Waiter {
    pub(crate) since: Instant,
    pub(crate) waker: Waker,
}

/// The answer to a caller that waited. A connection in it counts as lent.
pub type Grant<M> = Result<Held<<M as Manage>::Connection>, AcquireError<<M as Manage>::Error>>;

/// What the ledger knows of one key.
///
/// While anything of it is idle, nobody waits. What is open is lent, idle, connecting, checking or
/// closing, and nothing else.
pub(crate) struct Book<M: Manage> {
    pub(crate) key: M::Key,
    /// Longest idle first. The last one is lent next, so that the others may rest until they go.
    pub(crate) idle: Vec<Held<M::Connection>>,
    /// By ticket, which is by arrival.
    pub(crate) waiting: BTreeMap<u64, Waiter>,
    pub(crate) granted: BTreeMap<u64, Grant<M>>,
    pub(crate) lent: usize,
    pub(crate) connecting: usize,
    pub(crate) checking: usize,
    pub(crate) closing: usize,
    /// Handles, and others that rely on the slot.
    pub(crate) pins: usize,
    /// When it was last asked for, or a connection of it returned.
    pub(crate) used: Instant,
    /// The key was removed: what comes back is closed.
    pub(crate) retired: bool,
    /// Attempts in a row that made nothing of use, and until when no spare is made for it.
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Instant>,
    /// What this book adds to the ledger's `wanting`.
    pub(crate) counted: usize,
    pub(crate) counts: Stats,
}

impl<M: Manage> Book<M> {
    pub(crate) fn new(key: M::Key, now: Instant) -> Self {
        Self {
            key,
            idle: Vec::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            lent: 0,
            connecting: 0,
            checking: 0,
            closing: 0,
            pins: 0,
            used: now,
            retired: false,
            failures: 0,
            retry_at: None,
            counted: 0,
            counts: Stats::default(),
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.lent + self.idle.len() + self.connecting + self.checking + self.closing
    }

    /// How many waiters no attempt to connect is meant for, as far as the key has room for more.
    pub(crate) fn want(&self, config: &Config) -> usize {
        let room = config.limit().saturating_sub(self.open());
        self.waiting.len().saturating_sub(self.connecting).min(room)
    }

    /// The ticket of the first waiter that no attempt to connect is meant for.
    pub(crate) fn first_unserved(&self) -> Option<u64> {
        self.waiting.keys().nth(self.connecting).copied()
    }

    /// How many spares are missing, as far as `pool_size` has room for them.
    pub(crate) fn missing(&self, config: &Config) -> usize {
        if self.retired {
            return 0;
        }
        let coming = self.connecting.saturating_sub(self.waiting.len());
        let missing = config.min_idle.saturating_sub(self.idle.len() + self.checking + coming);
        missing.min(config.pool_size.saturating_sub(self.open()))
    }

    /// How many spares may be begun at `now`.
    pub(crate) fn refills(&self, config: &Config, now: Instant) -> usize {
        if self.retry_at.is_some_and(|at| now < at) {
            return 0;
        }
        let coming = self.connecting.saturating_sub(self.waiting.len());
        self.missing(config).min(config.max_refills.saturating_sub(coming))
    }

    /// How long the longest idle connection may lie there, and what it is called when it does not.
    fn patience(&self, config: &Config) -> (Option<Duration>, Cause) {
        if self.open() - self.closing > config.pool_size {
            (Some(config.overflow_idle_time), Cause::Overflow)
        } else if self.idle.len() > config.min_idle {
            (config.max_idle_time, Cause::Idle)
        } else {
            (None, Cause::Idle)
        }
    }

    /// When the longest idle connection has been idle for too long, and why that is too long.
    pub(crate) fn idle_until(&self, config: &Config) -> Option<(Instant, Cause)> {
        let (patience, cause) = self.patience(config);
        Some((self.idle.first()?.idle_since.checked_add(patience?)?, cause))
    }

    /// The idle connection that is to be checked next, and when.
    pub(crate) fn check_next(&self, config: &Config) -> Option<(Instant, usize)> {
        if let Some(at) = self.idle.iter().position(|held| held.is_doubted) {
            return Some((self.idle[at].idle_since, at));
        }
        let period = config.health_check_period?;
        let due = self.idle.iter().enumerate();
        due.filter_map(|(at, held)| Some((held.check_due(period)?, at))).min()
    }

    /// When the first of those who wait has waited for too long.
    pub(crate) fn timeout(&self, config: &Config) -> Option<Instant> {
        self.waiting.values().next()?.since.checked_add(config.acquire_timeout)
    }

    /// When the key is forgotten, if nothing happens before; of one in use, when to look again.
    fn forget_at(&self, config: &Config, now: Instant) -> Option<Instant> {
        let unused_since = if self.is_in_use() { now } else { self.used };
        unused_since.checked_add(config.key_idle_time?)
    }

    /// Whether nobody has used the key for so long that it is to be forgotten.
    pub(crate) fn is_forgotten(&self, config: &Config, now: Instant) -> bool {
        !self.retired && self.forget_at(config, now).is_some_and(|at| at <= now)
    }

    /// Whether anyone would miss the key.
    pub(crate) fn is_in_use(&self) -> bool {
        let asked_for = !self.waiting.is_empty() || !self.granted.is_empty();
        self.pins > 0 || self.lent > 0 || asked_for
    }

    /// Whether nothing is left that would ever refer to it.
    pub(crate) fn is_over(&self) -> bool {
        self.retired && !self.is_in_use() && self.open() == 0
    }

    /// When any of the above comes due.
    pub(crate) fn next_due(&self, config: &Config, now: Instant) -> Option<Instant> {
        let expiry = self.idle.iter().filter_map(Held::expires).min();
        let idle = self.idle_until(config).map(|(at, _)| at);
        let check = self.check_next(config).filter(|_| self.checking == 0).map(|(at, _)| at);
        let refill = self.retry_at.filter(|at| now < *at && self.missing(config) > 0);
        let forget = self.forget_at(config, now).filter(|_| !self.retired);
        [expiry, idle, check, self.timeout(config), refill, forget].into_iter().flatten().min()
    }

    /// Keeps a connection among the idle, in the order of their rest.
    pub(crate) fn keep(&mut self, held: Held<M::Connection>) {
        let last = self.idle.last().is_none_or(|last| last.idle_since <= held.idle_since);
        let at = match last {
            true => self.idle.len(),
            false => self.idle.partition_point(|other| other.idle_since <= held.idle_since),
        };
        self.idle.insert(at, held);
    }

    pub(crate) fn stats(&self) -> Stats {
        // A connection that is granted is counted as acquired when it is claimed.
        Stats {
            open: self.open(),
            active: self.lent,
            idle: self.idle.len(),
            connecting: self.connecting,
            checking: self.checking,
            closing: self.closing,
            waiting: self.waiting.len(),
            ..self.counts
        }
    }
}
