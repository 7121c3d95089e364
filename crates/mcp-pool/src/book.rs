//! One key: who is idle, who waits, what is open.

use std::task::Waker;

use crate::moment::Moment;
use crate::queue::Queue;
use crate::stats::Cause;
use crate::times::Times;
use crate::{AcquireError, Config, Held, Manage, Stats};

/// A caller that waits.
pub(crate) struct Waiter {
    pub(crate) since: Moment,
    pub(crate) waker: Waker,
}

/// The answer to a caller that waited. A connection in it counts as lent.
pub type Grant<M> =
    Result<Box<Held<<M as Manage>::Connection>>, AcquireError<<M as Manage>::Error>>;

/// What the ledger knows of one key.
///
/// While anything of it is idle, nobody waits. What is open is lent, idle, connecting, checking or
/// closing, and nothing else.
pub(crate) struct Book<M: Manage> {
    pub(crate) key: M::Key,
    /// Longest idle first. The last one is lent next, so that the others may rest until they go.
    pub(crate) idle: Vec<Box<Held<M::Connection>>>,
    pub(crate) queue: Queue<Waiter, Grant<M>>,
    pub(crate) lent: usize,
    pub(crate) connecting: usize,
    pub(crate) checking: usize,
    pub(crate) closing: usize,
    /// Handles, and others that rely on the slot.
    pub(crate) pins: usize,
    /// When it was last asked for, or a connection of it returned.
    pub(crate) used: Moment,
    /// The key was removed: what comes back is closed.
    pub(crate) retired: bool,
    /// Attempts in a row that made nothing of use, and until when no spare is made for it.
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Moment>,
    /// What this book adds to the ledger's `wanting`.
    pub(crate) counted: usize,
    pub(crate) counts: Stats,
}

impl<M: Manage> Book<M> {
    pub(crate) fn new(key: M::Key, now: Moment) -> Self {
        Self {
            key,
            idle: Vec::new(),
            queue: Queue::new(),
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
        self.queue.waiting().saturating_sub(self.connecting).min(room)
    }

    /// The number of the first waiter.
    pub(crate) fn first_waiter(&self) -> Option<u64> {
        self.queue.first().map(|(number, _)| number)
    }

    /// The number of the first waiter that no attempt to connect is meant for.
    pub(crate) fn first_unserved(&self) -> Option<u64> {
        self.queue.iter().nth(self.connecting).map(|(number, _)| number)
    }

    /// How many spares are missing, as far as `pool_size` has room for them.
    pub(crate) fn missing(&self, config: &Config) -> usize {
        if self.retired {
            return 0;
        }
        let ready = self.idle.len() + self.checking + self.coming();
        config.min_idle.saturating_sub(ready).min(config.pool_size.saturating_sub(self.open()))
    }

    /// How many spares may be begun at `now`.
    pub(crate) fn refills(&self, config: &Config, now: Moment) -> usize {
        if self.retry_at.is_some_and(|at| now < at) {
            return 0;
        }
        self.missing(config).min(config.max_refills.saturating_sub(self.coming()))
    }

    /// How many are being made that no waiter is going to get.
    fn coming(&self) -> usize {
        self.connecting.saturating_sub(self.queue.waiting())
    }

    /// When the longest idle connection has been idle for too long, and why that is too long.
    pub(crate) fn idle_until(&self, config: &Config, times: &Times) -> (Moment, Cause) {
        let Some(longest) = self.idle.first() else { return (Moment::NEVER, Cause::Idle) };
        if self.open() - self.closing > config.pool_size {
            (longest.idle_since.plus(times.overflow), Cause::Overflow)
        } else if self.idle.len() > config.min_idle {
            (longest.idle_since.plus(times.idle), Cause::Idle)
        } else {
            (Moment::NEVER, Cause::Idle)
        }
    }

    /// When the next idle connection is to be checked, and which.
    pub(crate) fn check_next(&self, times: &Times) -> Option<(Moment, usize)> {
        if let Some(at) = self.idle.iter().position(|held| held.is_doubted) {
            return Some((self.idle[at].idle_since, at));
        }
        let due = self.idle.iter().enumerate();
        due.map(|(at, held)| (held.check_due(times.check), at)).min()
    }

    /// When the first of those who wait has waited for too long.
    pub(crate) fn timeout(&self, times: &Times) -> Moment {
        self.queue.first().map_or(Moment::NEVER, |(_, waiter)| waiter.since.plus(times.acquire))
    }

    /// When the key is forgotten, if nothing happens before; of one in use, when to look again.
    pub(crate) fn forget_at(&self, times: &Times, now: Moment) -> Moment {
        let unused_since = if self.is_in_use() { now } else { self.used };
        if self.retired { Moment::NEVER } else { unused_since.plus(times.key) }
    }

    /// Whether anyone would miss the key.
    pub(crate) fn is_in_use(&self) -> bool {
        self.pins > 0 || self.lent > 0 || !self.queue.is_empty()
    }

    /// Whether nothing is left that would ever refer to it.
    pub(crate) fn is_over(&self) -> bool {
        self.retired && !self.is_in_use() && self.open() == 0
    }

    /// When any of the above comes due.
    pub(crate) fn next_due(&self, config: &Config, times: &Times, now: Moment) -> Moment {
        let expiry = self.idle.iter().map(|held| held.expires).min();
        let (idle, _) = self.idle_until(config, times);
        let check = self.check_next(times).filter(|_| self.checking == 0).map(|(at, _)| at);
        let refill = self.retry_at.filter(|at| now < *at && self.missing(config) > 0);
        let others = [idle, self.timeout(times), self.forget_at(times, now)];
        let due = others.into_iter().chain(expiry).chain(check).chain(refill);
        due.min().unwrap_or(Moment::NEVER)
    }

    /// Keeps a connection among the idle, in the order of their rest.
    pub(crate) fn keep(&mut self, held: Box<Held<M::Connection>>) {
        match self.idle.last() {
            Some(last) if last.idle_since > held.idle_since => {
                let since = held.idle_since;
                let at = self.idle.partition_point(|other| other.idle_since <= since);
                self.idle.insert(at, held);
            }
            _ => self.idle.push(held),
        }
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
            waiting: self.queue.waiting(),
            ..self.counts
        }
    }
}
