//! Prequal: probes of requests in flight and latency, hot and cold (Wydrowski, Kleinberg, Rumble,
//! Archer: "Load is not what you should balance: Introducing Prequal", NSDI 2024), from the paper.

use mcp_balance::Picked;

use crate::policy::Policy;
use crate::random::Random;
use crate::sim::{SERVERS, Server};

/// Probes sent for each call, probes kept, and for how long.
const PROBES: usize = 3;
const POOL: usize = 16;
const AGE: u64 = 1_000_000_000;
/// Above this quantile of the calls in flight that probes have told of, a server is hot.
const HOT: f64 = 0.84;
const REMEMBERED: usize = 128;
/// How often a probe is used: what the paper's formula gives for twenty servers.
const USES: u32 = 2;

#[derive(Clone, Copy)]
struct Probe {
    server: usize,
    in_flight: usize,
    latency: f64,
    at: u64,
    uses: u32,
}

#[derive(Default)]
pub(crate) struct Prequal {
    pool: Vec<Probe>,
    told: Vec<usize>,
    next: usize,
    turn: bool,
}

impl Prequal {
    fn hot(&self) -> usize {
        let mut told = self.told.clone();
        told.sort_unstable();
        told.get((told.len() as f64 * HOT) as usize).copied().unwrap_or(usize::MAX)
    }

    /// Where in the pool the best probe is, or the worst.
    fn best(&self) -> Option<usize> {
        let hot = self.hot();
        let rank = |at: &usize| {
            let probe = &self.pool[*at];
            // Cold ones first, by latency; then hot ones, by what they have in flight.
            if probe.in_flight <= hot { (0, probe.latency) } else { (1, probe.in_flight as f64) }
        };
        (0..self.pool.len()).min_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }

    /// Each call removes one: the oldest, or the worst, in turns.
    fn remove(&mut self) {
        self.turn = !self.turn;
        let hot = self.hot();
        let at = |by: &dyn Fn(&Probe) -> f64| {
            let order = |a: &usize, b: &usize| by(&self.pool[*a]).total_cmp(&by(&self.pool[*b]));
            (0..self.pool.len()).max_by(order)
        };
        let worst = |probe: &Probe| match probe.in_flight > hot {
            true => 1e18 + probe.in_flight as f64,
            false => probe.latency,
        };
        let age = |probe: &Probe| -(probe.at as f64);
        let at = if self.turn { at(&age) } else { at(&worst) };
        if let Some(at) = at {
            self.pool.swap_remove(at);
        }
    }
}

impl Policy for Prequal {
    fn pick(&mut self, _: &[Server], now: u64, random: &mut Random) -> (usize, Option<Picked>) {
        self.pool.retain(|probe| probe.at + AGE > now);
        let server = match self.best() {
            Some(at) if self.pool.len() >= 2 => {
                let probe = &mut self.pool[at];
                let server = probe.server;
                // What it told is one call old now.
                probe.in_flight += 1;
                probe.uses += 1;
                if probe.uses >= USES {
                    self.pool.swap_remove(at);
                }
                server
            }
            _ => random.below(SERVERS),
        };
        if self.pool.len() > 2 {
            self.remove();
        }
        (server, None)
    }

    fn done(&mut self, _: usize, _: Option<Picked>, _: u64, _: bool, _: u64) {}

    fn probes(&mut self, random: &mut Random) -> Vec<usize> {
        (0..PROBES).map(|_| random.below(SERVERS)).collect()
    }

    fn probed(&mut self, server: usize, in_flight: usize, latency: f64, now: u64) {
        if self.told.len() < REMEMBERED {
            self.told.push(in_flight);
        } else {
            self.next = (self.next + 1) % REMEMBERED;
            self.told[self.next] = in_flight;
        }
        if self.pool.len() >= POOL
            && let Some(oldest) = (0..self.pool.len()).min_by_key(|at| self.pool[*at].at)
        {
            self.pool.swap_remove(oldest);
        }
        self.pool.push(Probe { server, in_flight, latency, at: now, uses: 0 });
    }
}
