//! A discrete-event simulation: servers with a queue each, calls, and balancers between them. The
//! same seed is the same run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use mcp_balance::Picked;

use crate::policy::Policy;
use crate::random::Random;
use crate::scene::{Scene, Trouble};

pub(crate) const SERVERS: usize = 20;
/// What a server works on at a time.
pub(crate) const SLOTS: usize = 4;
/// The mean work of a call, in nanoseconds at speed 1; lognormal with sigma 1.
pub(crate) const WORK: f64 = 10e6;
/// From balancer to server, or back.
const WIRE: u64 = 250_000;
const SECOND: u64 = 1_000_000_000;

/// A server, as it really is.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) base: f64,
    pub(crate) speed: f64,
    pub(crate) fails: bool,
    /// Calls that were sent and are not answered, wherever they are.
    pub(crate) sent: usize,
    pub(crate) working: usize,
    queue: VecDeque<usize>,
    /// Its own measurements, for those who ask it: response times by the calls that were there.
    latency: [f64; 64],
}

impl Server {
    /// Calls that it has.
    pub(crate) fn in_flight(&self) -> usize {
        self.working + self.queue.len()
    }

    /// What it would say a call takes now.
    pub(crate) fn latency(&self) -> f64 {
        let here = self.in_flight().min(63);
        let known = |at: &usize| self.latency[*at] > 0.0;
        let near = (0..64).filter(known).min_by_key(|at| at.abs_diff(here));
        near.map_or(0.0, |at| self.latency[at])
    }
}

/// A call under way.
struct Call {
    balancer: usize,
    server: usize,
    work: f64,
    sent: u64,
    arrived: u64,
    ahead: usize,
    failed: bool,
    picked: Option<Picked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask,
    Arrive(usize),
    Done(usize),
    Answer(usize),
    ProbeAt(usize, usize),
    ProbeBack(usize, usize, usize, u64),
    Trouble(usize, bool),
}

/// What a run found, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// The share of all calls.
    pub(crate) lost: f64,
}

impl Found {
    /// Adds a share of another.
    pub(crate) fn add(&mut self, other: &Self, share: f64) {
        self.mean += other.mean * share;
        self.p50 += other.p50 * share;
        self.p99 += other.p99 * share;
        self.p999 += other.p999 * share;
        self.lost += other.lost * share;
    }
}

struct World<'a> {
    scene: &'a Scene,
    random: Random,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    servers: Vec<Server>,
    calls: Vec<Call>,
    free: Vec<usize>,
    latencies: Vec<f32>,
    lost: usize,
}

/// Plays a scene through these balancers.
pub(crate) fn play(scene: &Scene, mut balancers: Vec<Box<dyn Policy>>, seed: u64) -> Found {
    let count = scene.calls;
    let mut world = World::new(scene, seed);
    let capacity: f64 =
        world.servers.iter().map(|server| server.base).sum::<f64>() * SLOTS as f64 / WORK;
    let (mut asked, warm) = (0, count / 10);
    world.push(0, Event::Ask);
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        world.now = now;
        match event {
            Event::Ask => {
                asked += 1;
                if asked < count {
                    let pause = world.random.exponential(1.0 / (capacity * world.rate()));
                    world.push(pause as u64 + 1, Event::Ask);
                }
                world.ask(&mut balancers);
            }
            Event::Arrive(call) => world.arrive(call),
            Event::Done(call) => world.done(call),
            Event::Answer(call) => world.answer(call, &mut balancers, asked > warm),
            Event::ProbeAt(balancer, server) => {
                let of = &world.servers[server];
                let back = Event::ProbeBack(balancer, server, of.in_flight(), of.latency() as u64);
                world.push(WIRE, back);
            }
            Event::ProbeBack(balancer, server, in_flight, latency) => {
                balancers[balancer].probed(server, in_flight, latency as f64, now);
            }
            Event::Trouble(server, begins) => {
                if asked < count {
                    world.trouble(server, begins);
                }
            }
        }
    }
    world.found(count)
}

impl<'a> World<'a> {
    fn new(scene: &'a Scene, seed: u64) -> Self {
        let server = |index: usize| {
            let base = scene.speeds[index % scene.speeds.len()];
            Server {
                base,
                speed: base,
                fails: false,
                sent: 0,
                working: 0,
                queue: VecDeque::new(),
                latency: [0.0; 64],
            }
        };
        let servers = (0..SERVERS).map(server).collect();
        let (events, calls, free, latencies) = Default::default();
        let random = Random::new(seed);
        let mut world = Self {
            scene,
            random,
            now: 0,
            events,
            order: 0,
            servers,
            calls,
            free,
            latencies,
            lost: 0,
        };
        match scene.trouble {
            Trouble::Slow => world.servers[0].speed = 0.1,
            Trouble::Fails => world.servers[0].fails = true,
            Trouble::Flapping => world.push(SECOND, Event::Trouble(0, true)),
            Trouble::Antagonists => {
                for server in 0..SERVERS {
                    let pause = world.random.exponential(5e9) as u64;
                    world.push(pause, Event::Trouble(server, true));
                }
            }
            Trouble::None | Trouble::Bursts => {}
        }
        world
    }

    fn push(&mut self, pause: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((self.now + pause, self.order, event)));
    }

    fn rate(&self) -> f64 {
        let bursts = self.scene.trouble == Trouble::Bursts;
        let factor = match self.now / (SECOND / 2) % 5 {
            _ if !bursts => 1.0,
            0 => 1.8,
            _ => 0.8,
        };
        self.scene.busy * factor
    }

    fn trouble(&mut self, server: usize, begins: bool) {
        let flaps = self.scene.trouble == Trouble::Flapping;
        let (slow, lasts, pause) = match flaps {
            true => (0.05, SECOND, SECOND),
            false => {
                let pause = self.random.exponential(5e9) as u64;
                (0.25, self.random.exponential(1e9) as u64, pause)
            }
        };
        let of = &mut self.servers[server];
        of.speed = if begins { of.base * slow } else { of.base };
        self.push(if begins { lasts } else { pause }, Event::Trouble(server, !begins));
    }

    fn ask(&mut self, balancers: &mut [Box<dyn Policy>]) {
        let balancer = self.random.below(balancers.len());
        let (server, picked) = balancers[balancer].pick(&self.servers, self.now, &mut self.random);
        for server in balancers[balancer].probes(&mut self.random) {
            self.push(WIRE, Event::ProbeAt(balancer, server));
        }
        self.servers[server].sent += 1;
        let call = Call {
            balancer,
            server,
            work: self.random.lognormal(WORK),
            sent: self.now,
            arrived: 0,
            ahead: 0,
            failed: false,
            picked,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.calls[at] = call;
                at
            }
            None => {
                self.calls.push(call);
                self.calls.len() - 1
            }
        };
        self.push(WIRE, Event::Arrive(at));
    }

    fn arrive(&mut self, at: usize) {
        let call = &mut self.calls[at];
        let server = &mut self.servers[call.server];
        call.arrived = self.now;
        call.ahead = server.in_flight().min(63);
        if server.fails {
            call.failed = true;
            self.push(WIRE, Event::Answer(at));
        } else if server.working < SLOTS {
            self.work(at);
        } else {
            server.queue.push_back(at);
        }
    }

    fn work(&mut self, at: usize) {
        let call = &self.calls[at];
        let server = &mut self.servers[call.server];
        server.working += 1;
        let time = call.work / server.speed;
        self.push(time as u64, Event::Done(at));
    }

    fn done(&mut self, at: usize) {
        let call = &self.calls[at];
        let server = &mut self.servers[call.server];
        let took = (self.now - call.arrived) as f64;
        let known = &mut server.latency[call.ahead];
        *known = if *known == 0.0 { took } else { *known + (took - *known) * 0.25 };
        server.working -= 1;
        let next = server.queue.pop_front();
        if let Some(next) = next {
            self.work(next);
        }
        self.push(WIRE, Event::Answer(at));
    }

    fn answer(&mut self, at: usize, balancers: &mut [Box<dyn Policy>], counts: bool) {
        let call = &mut self.calls[at];
        self.servers[call.server].sent -= 1;
        let latency = self.now - call.sent;
        let picked = call.picked.take();
        balancers[call.balancer].done(call.server, picked, latency, !call.failed, self.now);
        if call.failed {
            self.lost += 1;
        } else if counts {
            self.latencies.push(latency as f32 / 1e6);
        }
        self.free.push(at);
    }

    fn found(mut self, count: usize) -> Found {
        self.latencies.sort_by(f32::total_cmp);
        let at = |share: f64| {
            let index = (self.latencies.len() as f64 * share) as usize;
            f64::from(self.latencies[index.min(self.latencies.len() - 1)])
        };
        let sum: f64 = self.latencies.iter().map(|one| f64::from(*one)).sum();
        Found {
            mean: sum / self.latencies.len() as f64,
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            lost: self.lost as f64 / count as f64,
        }
    }
}
