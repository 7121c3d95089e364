//! What a choice costs, in nanoseconds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mcp_balance::{Ask, Balancer, Config, Hashing, Outcome, Spec, Strategy};

use crate::random::Random;
use crate::verdict;

const ROUNDS: usize = 31;
const CHOICES: u32 = 20_000;
const AT_32_NS: f64 = 10.0;
/// Calls that are in flight while choices are timed, so that costs differ.
const IN_FLIGHT: usize = 64;

pub(crate) fn run(verdicts: &mut Vec<String>) {
    println!("a choice, ns (and with its guard, to the end of the call)");
    for count in [2, 10, 32, 128, 1_000] {
        let (choice, call) = least_loaded(count);
        println!("  least-loaded of {count:<5} {choice:>7.1} {call:>7.1}");
        if count == 32 {
            verdicts.push(verdict("balance/choice-of-32-ns", choice, "<=", AT_32_NS));
        }
    }
    for strategy in Strategy::ALL {
        let choice = median_of(|| time(&set(*strategy, Hashing::Maglev, 32), 1));
        println!("  {strategy:<24} of 32 {choice:>7.1}");
    }
}

/// A set that has had calls, and has some in flight.
fn set(strategy: Strategy, hashing: Hashing, count: usize) -> (Balancer, Instant) {
    let start = Instant::now();
    let mut config = Config::default();
    (config.strategy, config.hashing) = (strategy, hashing);
    let specs = (0..count).map(|index| Spec::new(format!("server-{index}")));
    let empty = Balancer::new(config, start).expect("a configuration");
    let balancer = empty.changed(specs, start).expect("a set");
    let (mut random, mut now) = (Random::new(count as u64), start);
    let mut calls = Vec::new();
    for _ in 0..count * 20 {
        now += Duration::from_micros(100);
        calls.push(balancer.pick(&Ask::new(random.bits()), now).expect("an endpoint"));
        if calls.len() > IN_FLIGHT {
            calls.swap_remove(random.below(IN_FLIGHT)).finish(Outcome::Success, now);
        }
    }
    // They stay in flight: a call that is never heard of again is what this makes of them.
    calls.into_iter().for_each(std::mem::forget);
    (balancer, now)
}

fn least_loaded(count: usize) -> (f64, f64) {
    let set = set(Strategy::LeastLoaded, Hashing::Maglev, count);
    (median_of(|| time(&set, 1)), median_of(|| time_calls(&set)))
}

fn time((balancer, now): &(Balancer, Instant), seed: u64) -> f64 {
    // Random bits are told: to make them is not the balancer's work.
    let mut random = Random::new(seed);
    let asks: Vec<_> = (0..CHOICES).map(|_| Ask::new(random.bits())).collect();
    let start = Instant::now();
    for ask in &asks {
        black_box(balancer.choose(ask, *now));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CHOICES)
}

fn time_calls((balancer, now): &(Balancer, Instant)) -> f64 {
    let mut random = Random::new(1);
    let start = Instant::now();
    for _ in 0..CHOICES {
        let picked = balancer.pick(&Ask::new(random.bits()), *now).expect("an endpoint");
        picked.finish(Outcome::Success, *now + Duration::from_millis(1));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CHOICES)
}

fn median_of(mut measure: impl FnMut() -> f64) -> f64 {
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| measure()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
