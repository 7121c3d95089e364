//! Which strategy serves best, beside those of others and an oracle, and what a choice costs.
//!
//! The worlds are simulated: twenty servers of four slots each, lognormal work of 10 ms in the mean, a
//! quarter of a millisecond on the wire each way, and one balancer, or ten that know nothing of each
//! other. Every figure is the mean of three seeds, and a seed is always the same run. The oracle knows
//! the speed and the queue of every server; not how long a call will take.
//!
//! The targets are of response times at p99: the default strategy's, of the oracle's and of tower's
//! where servers differ, of Prequal's in every scene.
//!
//! `cargo xtask bench balance [WORD]`: only the scenes with this word in their name, or `cost`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

mod keys;
mod policy;
mod prequal;
mod random;
mod scene;
mod selection;
mod sim;

use mcp_balance::Strategy;
use policy::{Oracle, Ours, Policy, RoundRobin, TwoByLoad, TwoByPeak};
use prequal::Prequal;
use scene::{SCENES, Scene, Trouble};
use sim::{Found, play};

/// Not those that the constants of the strategies were chosen with, which were 1 to 3.
const SEEDS: [u64; 3] = [101, 102, 103];
const BALANCERS: [usize; 2] = [1, 10];
const OF_ORACLE: f64 = 1.3;
const OF_TOWER: f64 = 0.75;
const OF_PREQUAL: f64 = 1.1;
const LOST_PERCENT: f64 = 0.01;

const ORACLE: &str = "oracle";
const TOWER: &str = "p2c peak EWMA";
const PREQUAL: &str = "Prequal";

/// Makes a balancer that is told from the others by this number.
type Make = fn(u64) -> Box<dyn Policy>;

const OTHERS: [(&str, Make); 5] = [
    (ORACLE, |_| Box::new(Oracle)),
    ("round robin", |_| Box::new(RoundRobin::default())),
    ("p2c least loaded", |_| Box::new(TwoByLoad::default())),
    (TOWER, |_| Box::new(TwoByPeak::default())),
    (PREQUAL, |_| Box::new(Prequal::default())),
];

/// Ours; those that are left out choose as one of these does where nothing is told and no key given.
const OURS: [(Strategy, Make); 7] = [
    (Strategy::LeastLoaded, |identity| Box::new(Ours::new(Strategy::LeastLoaded, identity))),
    (Strategy::LeastConnections, |identity| {
        Box::new(Ours::new(Strategy::LeastConnections, identity))
    }),
    (Strategy::ResponseTime, |identity| Box::new(Ours::new(Strategy::ResponseTime, identity))),
    (Strategy::WeightedResponseTime, |identity| {
        Box::new(Ours::new(Strategy::WeightedResponseTime, identity))
    }),
    (Strategy::PowerOfTwo, |identity| Box::new(Ours::new(Strategy::PowerOfTwo, identity))),
    (Strategy::Predictive, |identity| Box::new(Ours::new(Strategy::Predictive, identity))),
    (Strategy::Adaptive, |identity| Box::new(Ours::new(Strategy::Adaptive, identity))),
];

fn main() {
    // What cargo says to every benchmark is no scene.
    let word = std::env::args().skip(1).find(|word| !word.starts_with("--")).unwrap_or_default();
    let mut verdicts = Vec::new();
    if word.is_empty() || word == "cost" {
        selection::run(&mut verdicts);
        keys::run(&mut verdicts);
    }
    let mut worst = Worst::default();
    for scene in SCENES.iter().filter(|scene| scene.name.contains(&word)) {
        for balancers in BALANCERS {
            table(scene, balancers, &mut verdicts, &mut worst);
        }
    }
    if worst.scenes > 0 {
        verdicts.push(verdict("balance/worst-of-prequal", worst.of_prequal, "<=", OF_PREQUAL));
        let lost = worst.lost * 100.0;
        verdicts.push(verdict("balance/lost-percent", lost, "<=", LOST_PERCENT));
    }
    println!();
    verdicts.iter().for_each(|line| println!("{line}"));
}

/// Over all scenes.
#[derive(Default)]
struct Worst {
    scenes: usize,
    of_prequal: f64,
    lost: f64,
}

fn table(scene: &Scene, balancers: usize, verdicts: &mut Vec<String>, worst: &mut Worst) {
    let plural = if balancers == 1 { "" } else { "s" };
    println!("\n{}, {balancers} balancer{plural}", scene.name);
    println!("  {:<24} mean ms      p50      p99    p99.9     lost", "");
    let mut others = Vec::new();
    for (name, make) in OTHERS {
        let found = seeds(scene, balancers, make);
        others.push((name, found.p99));
        line(name, &found);
    }
    let mut default = Found::default();
    for (strategy, make) in OURS {
        let found = seeds(scene, balancers, make);
        line(strategy.name(), &found);
        if strategy == Strategy::default() {
            default = found;
        }
    }
    let of = |name: &str| {
        let p99 = others.iter().find(|(other, _)| *other == name).map_or(f64::NAN, |(_, p99)| *p99);
        default.p99 / p99
    };
    let (oracle, tower, prequal) = (of(ORACLE), of(TOWER), of(PREQUAL));
    println!("  p99 of oracle's {oracle:.2}, of tower's {tower:.2}, of Prequal's {prequal:.2}");
    worst.scenes += 1;
    worst.of_prequal = worst.of_prequal.max(prequal);
    if scene.trouble == Trouble::Fails {
        worst.lost = worst.lost.max(default.lost);
    }
    if scene.is_heterogeneous() {
        let name = format!("balance/{}-{balancers}", scene.name.replace(' ', "-"));
        verdicts.push(verdict(&format!("{name}-of-oracle"), oracle, "<=", OF_ORACLE));
        verdicts.push(verdict(&format!("{name}-of-tower"), tower, "<=", OF_TOWER));
    }
}

/// The mean over the seeds.
fn seeds(scene: &Scene, balancers: usize, make: Make) -> Found {
    let mut all = Found::default();
    for seed in SEEDS {
        let made = (1..=balancers as u64).map(make).collect();
        all.add(&play(scene, made, seed), 1.0 / SEEDS.len() as f64);
    }
    all
}

fn line(name: &str, found: &Found) {
    println!(
        "  {name:<24} {:>7.1} {:>8.1} {:>8.1} {:>8.1} {:>7.4}%",
        found.mean,
        found.p50,
        found.p99,
        found.p999,
        found.lost * 100.0
    );
}

/// One target, as `cargo xtask bench` reads it.
pub(crate) fn verdict(case: &str, value: f64, relation: &str, target: f64) -> String {
    let met = if relation == "<=" { value <= target } else { value >= target };
    let digits = if target < 0.1 { 4 } else { 2 };
    let word = if met { "ok" } else { "short" };
    format!("{case} {value:.digits$} {relation}{target:.2} {word}")
}
