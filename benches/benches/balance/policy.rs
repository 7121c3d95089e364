//! The strategies that are compared: ours, and those of others, as short as they can be written.

use std::time::{Duration, Instant};

use mcp_balance::{Ask, Balancer, Config, Outcome, Picked, Spec, Strategy};

use crate::random::Random;
use crate::sim::{SERVERS, SLOTS, Server};

/// A balancer.
pub(crate) trait Policy {
    fn pick(
        &mut self,
        servers: &[Server],
        now: u64,
        random: &mut Random,
    ) -> (usize, Option<Picked>);

    fn done(&mut self, server: usize, picked: Option<Picked>, latency: u64, well: bool, now: u64);

    /// Servers to ask how they are.
    fn probes(&mut self, _random: &mut Random) -> Vec<usize> {
        Vec::new()
    }

    fn probed(&mut self, _server: usize, _in_flight: usize, _latency: f64, _now: u64) {}
}

/// Ours.
pub(crate) struct Ours {
    balancer: Balancer,
    start: Instant,
}

impl Ours {
    pub(crate) fn new(strategy: Strategy, identity: u64) -> Self {
        let start = Instant::now();
        let mut config = Config::default();
        (config.strategy, config.identity) = (strategy, identity);
        let specs = (0..SERVERS).map(|index| Spec::new(format!("server-{index}")));
        let empty = Balancer::new(config, start).expect("a configuration that is well");
        Self { balancer: empty.changed(specs, start).expect("a set that is well"), start }
    }
}

impl Policy for Ours {
    fn pick(&mut self, _: &[Server], now: u64, random: &mut Random) -> (usize, Option<Picked>) {
        let now = self.start + Duration::from_nanos(now);
        let picked = self.balancer.pick(&Ask::new(random.bits()), now).expect("an endpoint");
        (picked.index(), Some(picked))
    }

    fn done(&mut self, _: usize, picked: Option<Picked>, _: u64, well: bool, now: u64) {
        let outcome = if well { Outcome::Success } else { Outcome::Failure };
        let now = self.start + Duration::from_nanos(now);
        picked.expect("what was picked").finish(outcome, now);
    }
}

/// Each in its turn.
#[derive(Default)]
pub(crate) struct RoundRobin(usize);

impl Policy for RoundRobin {
    fn pick(&mut self, _: &[Server], _: u64, _: &mut Random) -> (usize, Option<Picked>) {
        self.0 += 1;
        (self.0 % SERVERS, None)
    }

    fn done(&mut self, _: usize, _: Option<Picked>, _: u64, _: bool, _: u64) {}
}

/// Two that are different, at random.
fn two(random: &mut Random) -> (usize, usize) {
    let first = random.below(SERVERS);
    (first, (first + 1 + random.below(SERVERS - 1)) % SERVERS)
}

/// The better of two, by calls in flight.
#[derive(Default)]
pub(crate) struct TwoByLoad([u32; SERVERS]);

impl Policy for TwoByLoad {
    fn pick(&mut self, _: &[Server], _: u64, random: &mut Random) -> (usize, Option<Picked>) {
        let (a, b) = two(random);
        let server = if self.0[a] <= self.0[b] { a } else { b };
        self.0[server] += 1;
        (server, None)
    }

    fn done(&mut self, server: usize, _: Option<Picked>, _: u64, _: bool, _: u64) {
        self.0[server] -= 1;
    }
}

/// The better of two, by calls in flight and peak EWMA, as in tower 0.5 (`tower::load::PeakEwma`,
/// decay 10 s, first estimate 1 s).
pub(crate) struct TwoByPeak([Peak; SERVERS]);

#[derive(Clone, Copy)]
struct Peak {
    pending: u32,
    rtt: f64,
    updated: u64,
}

const TOWER_DECAY: f64 = 10e9;

impl Peak {
    fn update(&mut self, rtt: f64, now: u64) -> f64 {
        self.rtt = if self.rtt < rtt {
            rtt
        } else {
            let decay = (-((now - self.updated) as f64) / TOWER_DECAY).exp();
            self.rtt * decay + rtt * (1.0 - decay)
        };
        self.updated = now;
        self.rtt
    }
}

impl Default for TwoByPeak {
    fn default() -> Self {
        Self([Peak { pending: 0, rtt: 1e9, updated: 0 }; SERVERS])
    }
}

impl Policy for TwoByPeak {
    fn pick(&mut self, _: &[Server], now: u64, random: &mut Random) -> (usize, Option<Picked>) {
        let (a, b) = two(random);
        let mut cost = |server: usize| {
            let peak = &mut self.0[server];
            // Asked for its load, an estimate fades towards nothing.
            peak.update(0.0, now) * f64::from(peak.pending + 1)
        };
        let server = if cost(a) <= cost(b) { a } else { b };
        self.0[server].pending += 1;
        (server, None)
    }

    fn done(&mut self, server: usize, _: Option<Picked>, latency: u64, _: bool, now: u64) {
        self.0[server].pending -= 1;
        self.0[server].update(latency as f64, now);
    }
}

/// Knows what every server is at work on, and its speed. Not its future.
pub(crate) struct Oracle;

impl Policy for Oracle {
    fn pick(&mut self, servers: &[Server], _: u64, _: &mut Random) -> (usize, Option<Picked>) {
        let time = |server: &Server| {
            let waiting = (server.sent + 1).saturating_sub(SLOTS) as f64 / SLOTS as f64;
            let fails = if server.fails { f64::INFINITY } else { 0.0 };
            (1.0 + waiting) / server.speed + fails
        };
        let times: Vec<_> = servers.iter().map(time).collect();
        let least = (0..SERVERS).min_by(|a, b| times[*a].total_cmp(&times[*b]));
        (least.expect("servers"), None)
    }

    fn done(&mut self, _: usize, _: Option<Picked>, _: u64, _: bool, _: u64) {}
}
