//! The balancer: a set of endpoints from which calls are picked, and which is changed by copying.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::endpoint::{Endpoint, Spec, State};
use crate::hashing::hash_key;
use crate::picked::Picked;
use crate::scan::mixed;
use crate::set::{Member, Set, stagger};
use crate::shared::{Shared, lock};
use crate::stats::Stats;
use crate::{Config, ConfigError};

/// The most endpoints of a set.
pub(crate) const ENDPOINTS_MAX: usize = 65_535;
const WEIGHT_MAX: u32 = 65_536;

/// A set of endpoints from which calls are picked. A clone is the same set.
#[derive(Clone, Debug)]
pub struct Balancer {
    set: Arc<Set>,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// Random bits, for what is left to chance.
    pub random: u64,
    /// What the call is about, see [`hash_key`](crate::hash_key): for keys that stick and for
    /// [`Strategy::ConsistentHash`](crate::Strategy::ConsistentHash).
    pub key: Option<u64>,
    /// Endpoints that are not wanted, by index, such as those that have failed this call. One of them
    /// is picked only if there is no other.
    pub exclude: &'a [usize],
    /// What the endpoint has to be capable of. None that is not is ever picked.
    pub needs: u64,
}

impl Ask<'_> {
    /// Anything will do.
    pub fn new(random: u64) -> Self {
        Self { random, ..Self::default() }
    }
}

/// Why a set was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// Two endpoints have the same id.
    #[error("two endpoints are called {0:?}")]
    Twice(String),
    /// More than 65,535 endpoints.
    #[error("{0} endpoints are more than {ENDPOINTS_MAX}")]
    TooMany(usize),
    /// A weight above 65,536.
    #[error("the weight of {0:?} is above {WEIGHT_MAX}")]
    TooHeavy(String),
}

impl Balancer {
    /// One without endpoints, whose time begins now.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let set = Set::new(Arc::new(Shared::new(config, now)), Box::default(), 1);
        Ok(Self { set: Arc::new(set) })
    }

    /// The balancer with these endpoints instead, which are given indices in this order. What is known
    /// of an endpoint that it has already, by its id, is known of it still. Calls that were picked
    /// from this one end well, and count; that an endpoint is less busy for it, the new set notices
    /// within 50 ms.
    pub fn changed(
        &self,
        specs: impl IntoIterator<Item = Spec>,
        now: Instant,
    ) -> Result<Self, SetError> {
        let specs: Vec<_> = specs.into_iter().collect();
        check(&specs)?;
        let shared = &self.set.shared;
        let at = shared.at(now);
        let mut known: HashMap<&str, &Arc<Endpoint>> = HashMap::new();
        for member in &self.set.members {
            known.insert(&member.spec.id, &member.endpoint);
        }
        // The first set starts as one; what comes later starts slowly.
        let ramp_from = if self.set.members.is_empty() { 0 } else { at };
        let endpoint = |spec: &Spec| match known.get(&*spec.id) {
            Some(endpoint) => Arc::clone(endpoint),
            None => {
                let endpoint = Endpoint::new(spec.id.clone(), shared.serial(), ramp_from, at);
                let turn = self.set.first_turn()
                    + stagger(shared.config.identity, endpoint.serial, spec.weight);
                endpoint.turns.store(turn, std::sync::atomic::Ordering::Relaxed);
                Arc::new(endpoint)
            }
        };
        let endpoints: Vec<_> = specs.iter().map(endpoint).collect();
        lock(&shared.ledger).changed(&shared.config.ejection, &endpoints, at);
        let members = members(&shared.config, specs, endpoints);
        Ok(Self { set: Arc::new(Set::new(Arc::clone(shared), members, at)) })
    }

    /// An endpoint for a call, which is in flight from here on; `None` if there is none that could be
    /// called. Waits for nobody and allocates nothing.
    #[inline]
    pub fn pick(&self, ask: &Ask<'_>, now: Instant) -> Option<Picked> {
        let at = self.set.shared.at(now);
        let index = self.set.choose(ask, at)?;
        Some(Picked::new(Arc::clone(&self.set), self.set.begin(index, at)))
    }

    /// The endpoint of this index for a call that is bound to it, such as one of a session that lives
    /// there: it is in flight from here on. `None` if there is no such index.
    #[inline]
    pub fn given(&self, index: usize, now: Instant) -> Option<Picked> {
        self.set.members.get(index)?;
        let at = self.set.shared.at(now);
        Some(Picked::new(Arc::clone(&self.set), self.set.begin(index, at)))
    }

    /// The index that [`pick`](Self::pick) would pick, for those who count calls themselves.
    #[inline]
    pub fn choose(&self, ask: &Ask<'_>, now: Instant) -> Option<usize> {
        self.set.choose(ask, self.set.shared.at(now))
    }

    /// Says how an endpoint is. To say the same again costs next to nothing; an index that there is
    /// not is ignored.
    pub fn set_state(&self, index: usize, state: State, now: Instant) {
        self.set.set_state(index, state, self.set.shared.at(now));
    }

    /// Says how busy an endpoint is, 0 to 1, for
    /// [`Strategy::ResourceAware`](crate::Strategy::ResourceAware).
    pub fn set_load(&self, index: usize, load: f32) {
        if let Some(member) = self.set.members.get(index) {
            member.endpoint.load.set(if load.is_finite() { load.clamp(0.0, 1.0) } else { 1.0 });
        }
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.set.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.set.members.is_empty()
    }

    /// As it was given.
    pub fn config(&self) -> &Config {
        &self.set.shared.config
    }

    /// What became of the calls.
    pub fn stats(&self, now: Instant) -> Stats {
        Stats::of(&self.set, self.set.shared.at(now))
    }
}

fn check(specs: &[Spec]) -> Result<(), SetError> {
    if specs.len() > ENDPOINTS_MAX {
        return Err(SetError::TooMany(specs.len()));
    }
    let mut ids: Vec<_> = specs.iter().map(|spec| &spec.id).collect();
    ids.sort_unstable();
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(SetError::Twice(pair[0].clone()));
    }
    match specs.iter().find(|spec| spec.weight > WEIGHT_MAX) {
        Some(heavy) => Err(SetError::TooHeavy(heavy.id.clone())),
        None => Ok(()),
    }
}

/// The places of a set. The subset is those whose ids go best with the balancer's identity
/// (rendezvous hashing): few change when one comes or goes, and no two balancers favour the same.
fn members(config: &Config, specs: Vec<Spec>, endpoints: Vec<Arc<Endpoint>>) -> Box<[Member]> {
    let affinity = |spec: &Spec| mixed(hash_key(&spec.id) ^ mixed(config.identity));
    let mut order: Vec<_> = specs.iter().map(affinity).collect();
    order.sort_unstable();
    let last = order.get(config.subset_max - 1).copied().unwrap_or(u64::MAX);
    let member = |(spec, endpoint): (Spec, Arc<Endpoint>)| {
        let is_local = match (&config.zone, &spec.zone) {
            (Some(own), Some(zone)) => own == zone,
            _ => true,
        };
        let is_of_subset = affinity(&spec) <= last;
        Member { endpoint, spec, is_local, is_of_subset }
    };
    specs.into_iter().zip(endpoints).map(member).collect()
}
