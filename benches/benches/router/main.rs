//! What a decision costs by ten and by ten thousand rules, beside a scan through all of them and
//! beside `globset`; what a prediction costs, and how far it is off.
//!
//! The rules of the common case are what an operator of many servers might have: two fifths name a tool
//! and a server, a fifth a tool and a client, a fifth globs of tools, a tenth a server and a method, a
//! tenth a tool and an argument. Calls are such that a rule holds of each, any of them, and of one in
//! ten none. The other cases are those that the index is worst at.
//!
//! The scan has the same rules taken apart beforehand, globs as the common crate `globset` has them,
//! and none of our code. `globset` itself is asked for the first of ten thousand globs, and knows
//! nothing of servers or clients. All take turns, and every figure is the median of its rounds.
//! Each round has the same calls twice; *cold* is the first time, when what was measured before has
//! taken the cache for itself.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

mod predictions;
mod random;
mod rules;
mod scan;

fn main() {
    let mut verdicts = Vec::new();
    rules::run(&mut verdicts);
    predictions::run(&mut verdicts);
    println!();
    verdicts.iter().for_each(|line| println!("{line}"));
}

/// One target, as `cargo xtask bench` reads it.
pub(crate) fn verdict(case: &str, value: f64, relation: &str, target: f64) -> String {
    let met = if relation == "<=" { value <= target } else { value >= target };
    let word = if met { "ok" } else { "short" };
    format!("{case} {value:.3} {relation}{target:.3} {word}")
}

/// The median of each, measured in turns.
pub(crate) fn medians<const N: usize>(
    rounds: usize,
    mut measures: [&mut dyn FnMut() -> f64; N],
) -> [f64; N] {
    let mut all: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (measure, all) in measures.iter_mut().zip(&mut all) {
            all.push(measure());
        }
    }
    all.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    })
}
