//! Which strategy serves best, and what a choice costs.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

mod keys;
mod policy;
mod prequal;
mod random;
mod scene;
mod selection;
mod sim;

use std::collections::BTreeMap;

use mcp_balance::Strategy;
use policy::{Oracle, Ours, Policy, RoundRobin, TwoByLoad, TwoByPeak};
use prequal::Prequal;
use scene::{SCENES, Scene};
use sim::{Found, play};

const SEEDS: [u64; 3] = [1, 2, 3];

type Make = (&'static str, fn(u64) -> Box<dyn Policy>);

const POLICIES: &[Make] = &[
    ("oracle", |_| Box::new(Oracle)),
    ("round robin", |_| Box::new(RoundRobin::default())),
    ("p2c least loaded", |_| Box::new(TwoByLoad::default())),
    ("p2c peak EWMA", |_| Box::new(TwoByPeak::default())),
    ("Prequal", |_| Box::new(Prequal::default())),
    ("ours", |identity| Box::new(Ours::new(Strategy::LeastLoaded, identity))),
    ("least-connections", |identity| Box::new(Ours::new(Strategy::LeastConnections, identity))),
    ("response-time", |identity| Box::new(Ours::new(Strategy::ResponseTime, identity))),
    ("power-of-two", |identity| Box::new(Ours::new(Strategy::PowerOfTwo, identity))),
    ("weighted-rt", |identity| Box::new(Ours::new(Strategy::WeightedResponseTime, identity))),
    ("predictive", |identity| Box::new(Ours::new(Strategy::Predictive, identity))),
    ("adaptive", |identity| Box::new(Ours::new(Strategy::Adaptive, identity))),
];

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    if only.is_empty() || only == "cost" { selection::run(); keys::run(); }
    for scene in SCENES.iter().filter(|scene| scene.name.contains(&only) || only == "--bench") {
        for balancers in [1, 10] {
            table(scene, balancers);
        }
    }
}

fn table(scene: &Scene, balancers: usize) {
    println!("{}, {balancers} balancers (ms): mean p50 p99 p99.9, lost", scene.name);
    let mut found = BTreeMap::new();
    for (name, make) in POLICIES {
        let runs: Vec<_> = SEEDS
            .iter()
            .map(|seed| {
                let made = (0..balancers as u64).map(|identity| make(identity + 1)).collect();
                play(scene, made, scene.calls, *seed)
            })
            .collect();
        let mean = |of: fn(&Found) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        let all = Found {
            mean: mean(|one| one.mean),
            p50: mean(|one| one.p50),
            p99: mean(|one| one.p99),
            p999: mean(|one| one.p999),
            lost: mean(|one| one.lost),
        };
        println!(
            "  {name:<20} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>9.4} %",
            all.mean,
            all.p50,
            all.p99,
            all.p999,
            all.lost * 100.0
        );
        found.insert(*name, all);
    }
    let p99 = |name: &str| found[name].p99;
    println!(
        "  -> of oracle {:.2}, of tower {:.2}, of Prequal {:.2}",
        p99("ours") / p99("oracle"),
        p99("ours") / p99("p2c peak EWMA"),
        p99("ours") / p99("Prequal")
    );
}

/// One target, as `cargo xtask bench` reads it.
pub(crate) fn verdict(case: &str, value: f64, relation: &str, target: f64) {
    let met = if relation == "<=" { value <= target } else { value >= target };
    println!("{case} {value:.2} {relation}{target:.2} {}", if met { "ok" } else { "short" });
}
