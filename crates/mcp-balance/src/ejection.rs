//! Who is ejected, and that they are never too many.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::Ejection;
use crate::endpoint::Endpoint;

/// The members of the newest set, and those of them that are ejected. Behind a lock: it is looked at
/// only when a failure is one too many.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    members: Vec<u32>,
    ejected: Vec<Arc<Endpoint>>,
}

impl Ledger {
    /// The set has other members now; of fewer, fewer may be ejected.
    pub(crate) fn changed(&mut self, config: &Ejection, members: &[Arc<Endpoint>], at: u64) {
        self.members = members.iter().map(|member| member.serial).collect();
        self.prune(at);
        self.ejected.sort_by_key(|one| one.ejected_until.load(Relaxed));
        let surplus = self.ejected.len().saturating_sub(cap(config, self.members.len()));
        // Those whose time is nearest.
        for one in self.ejected.drain(..surplus) {
            one.ejected_until.store(at, Relaxed);
        }
    }

    /// Ejects a member, if the cap allows.
    pub(crate) fn eject(&mut self, config: &Ejection, endpoint: &Arc<Endpoint>, at: u64) -> bool {
        self.prune(at);
        let is_member = self.members.contains(&endpoint.serial);
        if !is_member || endpoint.is_ejected(at) {
            return false;
        }
        if self.ejected.len() >= cap(config, self.members.len()) {
            return false;
        }
        let (time, most) = (config.time.as_nanos() as u64, config.time_max.as_nanos() as u64);
        // One that has been well for long begins anew.
        let before = endpoint.ejected_until.load(Relaxed);
        if at.saturating_sub(before) > most.max(time) {
            endpoint.ejections.store(0, Relaxed);
        }
        let again = endpoint.ejections.fetch_add(1, Relaxed).min(20);
        let until = at.saturating_add(time.saturating_mul(1 << again).min(most));
        endpoint.ejected_until.store(until, Relaxed);
        endpoint.ramp_from.store(until, Relaxed);
        endpoint.ejected.add(1);
        self.ejected.push(Arc::clone(endpoint));
        true
    }

    fn prune(&mut self, at: u64) {
        let Self { members, ejected } = self;
        ejected.retain(|one| one.is_ejected(at) && members.contains(&one.serial));
    }
}

/// How many of so many may be ejected; never all.
pub(crate) fn cap(config: &Ejection, members: usize) -> usize {
    let share = (members as f64 * config.share_max) as usize;
    share.min(members.saturating_sub(1))
}

/// Whether the failures of an endpoint are too many.
pub(crate) fn is_due(config: &Ejection, endpoint: &Endpoint) -> bool {
    let calls = endpoint.successes.get() + endpoint.failures.get();
    endpoint.streak.load(Relaxed) >= config.failures_in_a_row
        || (calls >= u64::from(config.calls_min) && endpoint.failing.get() >= config.failure_share)
}
