//! What a pool has counted.

use std::time::Duration;

/// A snapshot of one key, or the sum of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that take a place: the five below together.
    pub open: usize,
    /// Lent.
    pub active: usize,
    /// Ready to be lent.
    pub idle: usize,
    /// Being made.
    pub connecting: usize,
    /// Idle, and being checked.
    pub checking: usize,
    /// Being closed.
    pub closing: usize,
    /// Callers that wait.
    pub waiting: usize,

    /// Connections lent so far.
    pub acquired: u64,
    /// Connections returned so far.
    pub released: u64,
    /// Connections taken out for good.
    pub detached: u64,
    /// Connections made.
    pub created: u64,
    /// Connections that could not be made.
    pub failed: u64,
    /// Connections closed, by cause.
    pub closed: Closed,

    /// Callers that had to wait and were served.
    pub waits: u64,
    /// How long those waited, all together.
    pub wait_time: Duration,
    /// How long the one of them waited who waited longest.
    pub wait_max: Duration,
    /// Callers that waited in vain.
    pub timeouts: u64,
    /// Callers that gave up by themselves.
    pub cancelled: u64,
}

/// How many connections were closed, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Older than `max_lifetime`.
    pub lifetime: u64,
    /// Idle for longer than `max_idle_time`.
    pub idle: u64,
    /// Above `pool_size`, and idle for longer than `overflow_idle_time`.
    pub overflow: u64,
    /// Returned when `max_idle` were idle already.
    pub surplus: u64,
    /// A check failed.
    pub unhealthy: u64,
    /// Found broken, or discarded by its user.
    pub broken: u64,
    /// Closed to make room for another key.
    pub evicted: u64,
    /// Its key was removed or forgotten, or the pool was closed.
    pub shutdown: u64,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Older than `max_lifetime`.
    Lifetime,
    /// Idle for longer than `max_idle_time`.
    Idle,
    /// Above `pool_size`, and idle for longer than `overflow_idle_time`.
    Overflow,
    /// Returned when `max_idle` were idle already.
    Surplus,
    /// A check failed.
    Unhealthy,
    /// Found broken, or discarded by its user.
    Broken,
    /// Closed to make room for another key.
    Evicted,
    /// Its key was removed or forgotten, or the pool was closed.
    Shutdown,
}

impl Closed {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { lifetime, idle, overflow, surplus, unhealthy, broken, evicted, shutdown } =
            *self;
        lifetime + idle + overflow + surplus + unhealthy + broken + evicted + shutdown
    }

    pub(crate) fn count(&mut self, cause: Cause) {
        *match cause {
            Cause::Lifetime => &mut self.lifetime,
            Cause::Idle => &mut self.idle,
            Cause::Overflow => &mut self.overflow,
            Cause::Surplus => &mut self.surplus,
            Cause::Unhealthy => &mut self.unhealthy,
            Cause::Broken => &mut self.broken,
            Cause::Evicted => &mut self.evicted,
            Cause::Shutdown => &mut self.shutdown,
        } += 1;
    }

    fn add(&mut self, other: &Self) {
        self.lifetime += other.lifetime;
        self.idle += other.idle;
        self.overflow += other.overflow;
        self.surplus += other.surplus;
        self.unhealthy += other.unhealthy;
        self.broken += other.broken;
        self.evicted += other.evicted;
        self.shutdown += other.shutdown;
    }
}

impl Stats {
    pub(crate) fn add(&mut self, other: &Self) {
        self.open += other.open;
        self.active += other.active;
        self.idle += other.idle;
        self.connecting += other.connecting;
        self.checking += other.checking;
        self.closing += other.closing;
        self.waiting += other.waiting;
        self.acquired += other.acquired;
        self.released += other.released;
        self.detached += other.detached;
        self.created += other.created;
        self.failed += other.failed;
        self.closed.add(&other.closed);
        self.waits += other.waits;
        self.wait_time += other.wait_time;
        self.wait_max = self.wait_max.max(other.wait_max);
        self.timeouts += other.timeouts;
        self.cancelled += other.cancelled;
    }

    pub(crate) fn waited(&mut self, time: Duration) {
        self.waits += 1;
        self.wait_time += time;
        self.wait_max = self.wait_max.max(time);
    }
}
