//! What more replicas bring: throughput, and shorter waits at the same load.

use std::time::Duration;

use super::Bench;
use super::features::Block;
use super::stand::{SAFE, Service, Stand, together};
use crate::clock::now;
use crate::report::median;

/// 200 calls a second.
const SERVICE: Service = Service { work_ms: 20, at_a_time: 4 };
/// How many there are, and how many times the throughput of one that is to be.
const SIZES: [(usize, f64); 4] = [(1, 1.0), (2, 1.8), (4, 3.5), (8, 6.5)];
/// Twice what the largest works on at once: none is ever without work.
const CLIENTS: usize = 64;
const SLICE: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

/// The load at which waits are compared, as a share of what one can do.
const LOAD: f64 = 0.9;
const EQUAL_LOAD: Duration = Duration::from_secs(16);
const SEED: u64 = 1;
/// Quantiles, and by how many percent they are to be lower with four than with one.
const LOWER: [(&str, f64, f64); 3] =
    [("p50", 0.50, 20.0), ("p95", 0.95, 40.0), ("p99", 0.99, 60.0)];

/// With the program's own defaults.
pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let mut stands = Vec::new();
    for (replicas, _) in SIZES {
        stands.push(Stand::of_urls(bench, replicas, SERVICE, &Block::new())?);
    }
    let one = throughput(bench, &stands)?;
    let (single, four) = (&stands[0], &stands[2]);
    waits(bench, single, four, one * LOAD)
}

/// Prints the table and gives back what one replica does in a second.
fn throughput(bench: &mut Bench, stands: &[Stand]) -> Result<f64, String> {
    let clients: Vec<_> = stands.iter().map(|stand| stand.clients(SAFE)).collect();
    let mut rates = vec![Vec::new(); stands.len()];
    for round in 0..=ROUNDS {
        for (clients, rates) in clients.iter().zip(&mut rates) {
            let clients = clients.clone();
            let time = bench.time(SLICE);
            let load = async move { clients.closed_loop(CLIENTS, time).await };
            let start = now();
            let right: u64 = together(bench, [load])?.iter().map(|tally| tally.right).sum();
            // To the last answer: the replicas have work until shortly before it. The first round
            // warms up.
            if round > 0 {
                rates.push(right as f64 / (now() - start).as_secs_f64());
            }
        }
    }
    println!(
        "\nthroughput, {CLIENTS} clients in a closed loop, {} ms a call, {} at a time",
        SERVICE.work_ms, SERVICE.at_a_time
    );
    println!("{:>8} {:>8} {:>12} {:>8}", "replicas", "calls/s", "times of one", "target");
    for ((replicas, target), own) in SIZES.into_iter().zip(&rates) {
        // Slice by slice: what disturbed the machine is outvoted.
        let times = median(own.iter().zip(&rates[0]).map(|(own, one)| own / one));
        let calls = median(own.iter().copied());
        println!("{replicas:>8} {calls:>8.0} {times:>12.2} {target:>8.1}");
        if replicas > 1 {
            let case = format!("throughput-{replicas}");
            bench.verdict(&case, &format!("{times:.2}"), &format!(">={target}"), times >= target);
        }
    }
    Ok(median(rates[0].iter().copied()))
}

/// The same arrivals at one and at four, at the same time.
fn waits(bench: &mut Bench, one: &Stand, four: &Stand, per_second: f64) -> Result<(), String> {
    let time = bench.time(EQUAL_LOAD);
    let loads = [one, four].map(|stand| {
        let clients = stand.clients(SAFE);
        async move { clients.open_loop(per_second, time, SEED).await }
    });
    let tallies = together(bench, loads)?;
    println!(
        "\n{per_second:.0} calls/s in an open loop, {:.0} % of what one replica can do",
        LOAD * 100.0
    );
    println!(
        "{:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "replicas", "calls", "failed", "p50 ms", "p95 ms", "p99 ms"
    );
    for (replicas, tally) in [1, 4].into_iter().zip(&tallies) {
        let [p50, p95, p99] = LOWER.map(|(_, share, _)| tally.millis(share));
        let failed = tally.calls() - tally.right;
        println!("{replicas:>8} {:>8} {failed:>8} {p50:>8.1} {p95:>8.1} {p99:>8.1}", tally.calls());
    }
    for (name, share, target) in LOWER {
        let lower = (1.0 - tallies[1].millis(share) / tallies[0].millis(share)) * 100.0;
        let (value, target_text) = (format!("{lower:.0}% lower"), format!(">={target:.0}%"));
        bench.verdict(&format!("{name}-of-4"), &value, &target_text, lower >= target);
    }
    Ok(())
}
