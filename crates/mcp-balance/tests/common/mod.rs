//! A balancer, a clock that is moved by hand, and calls in flight.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mcp_balance::{Ask, Balancer, Config, Outcome, Picked, Spec, State, Strategy};

/// The one place that touches the balancer.
pub(crate) struct World {
    pub(crate) balancer: Balancer,
    pub(crate) now: Instant,
    pub(crate) random: u64,
}

impl World {
    pub(crate) fn new(config: Config, specs: Vec<Spec>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the moment at which a test begins")]
        let now = Instant::now();
        let empty = Balancer::new(config, now).expect("a configuration that is well");
        let balancer = empty.changed(specs, now).expect("a set that is well");
        Self { balancer, now, random: 0 }
    }

    /// Endpoints `a`, `b`, ... of these weights.
    pub(crate) fn weighted(strategy: Strategy, weights: &[u32]) -> Self {
        let mut config = Config::default();
        config.strategy = strategy;
        Self::new(config, specs(weights))
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn ask(&mut self) -> Ask<'static> {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Ask::new(self.random ^ self.random >> 29)
    }

    pub(crate) fn pick(&mut self) -> Picked {
        let ask = self.ask();
        self.balancer.pick(&ask, self.now).expect("an endpoint")
    }

    /// A call about this key, that ends well at once; where it went.
    pub(crate) fn keyed(&mut self, key: u64) -> usize {
        let mut ask = self.ask();
        ask.key = Some(key);
        let picked = self.balancer.pick(&ask, self.now).expect("an endpoint");
        let index = picked.index();
        picked.finish(Outcome::Success, self.now);
        index
    }

    /// One call at a time, each of which takes what `time` says of its endpoint; how many went where.
    pub(crate) fn calls(&mut self, count: usize, time: impl Fn(usize) -> Duration) -> Vec<usize> {
        let mut counts = vec![0; self.balancer.len()];
        for _ in 0..count {
            let picked = self.pick();
            counts[picked.index()] += 1;
            self.now += time(picked.index());
            picked.finish(Outcome::Success, self.now);
        }
        counts
    }

    /// One call at a time, which fails at this endpoint and nowhere else; how many did.
    pub(crate) fn calls_that_fail_at(&mut self, broken: usize, count: usize) -> usize {
        let mut failed = 0;
        for _ in 0..count {
            let picked = self.pick();
            self.now += ms(10);
            let fails = picked.index() == broken;
            failed += usize::from(fails);
            picked.finish(if fails { Outcome::Failure } else { Outcome::Success }, self.now);
        }
        failed
    }

    /// Sets the endpoints anew.
    pub(crate) fn change(&mut self, specs: Vec<Spec>) {
        self.balancer = self.balancer.changed(specs, self.now).expect("a set that is well");
    }

    pub(crate) fn state(&mut self, index: usize, state: State) {
        self.balancer.set_state(index, state, self.now);
    }

    pub(crate) fn ejected(&self) -> usize {
        let stats = self.balancer.stats(self.now);
        stats.endpoints.iter().filter(|endpoint| endpoint.is_ejected).count()
    }
}

pub(crate) fn specs(weights: &[u32]) -> Vec<Spec> {
    let spec = |(index, weight): (usize, &u32)| {
        let mut spec = Spec::new(format!("{index}"));
        spec.weight = *weight;
        spec
    };
    weights.iter().enumerate().map(spec).collect()
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How often each is there.
pub(crate) fn counted(indices: impl IntoIterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    indices.into_iter().for_each(|index| *counts.entry(index).or_default() += 1);
    counts
}
