//! A replica dies in the middle of calls: how long until they are answered by another.

use std::time::{Duration, Instant};

use super::Bench;
use super::kills::{kill_child, killable};
use super::stand::{SAFE, Service, Stand};
use crate::answer::Outcome;
use crate::arrivals::Tally;
use crate::clock::{now, wait};
use crate::fault_proxy::Weather;
use crate::histogram::Histogram;
use crate::proc;
use crate::random::Random;

const REPLICAS: usize = 4;
const WORK: Duration = Duration::from_millis(100);
const SERVICE: Service = Service { work_ms: 100, at_a_time: 64 };
/// Calls in each round: several at each replica.
const CALLS: usize = 16;
const ROUNDS: usize = 24;
/// Processes that there must be before another is killed.
const LEFT_MIN: usize = 3;
const STARTED_WITHIN: Duration = Duration::from_secs(10);
const P99_MAX: Duration = Duration::from_secs(1);
/// What a call counts that failed instead: far more than it may take.
const FAILED: Duration = Duration::from_secs(60);
const SEED: u64 = 4;

/// The calls that were hit: from the blow to their answer, the second replica's work included.
#[derive(Debug)]
struct Hits {
    name: &'static str,
    blows: usize,
    times: Histogram,
    failed: usize,
}

impl Hits {
    fn new(name: &'static str) -> Self {
        Self { name, blows: 0, times: Histogram::new(), failed: 0 }
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let hits = [children(bench)?, urls(bench)?];
    println!(
        "\none of {REPLICAS} replicas dies in the middle of {CALLS} calls of {WORK:?}; those that it had, \
         from then to their answer"
    );
    println!(
        "{:<10} {:>6} {:>6} {:>6} {:>8} {:>8}",
        "replicas", "deaths", "calls", "failed", "p50 ms", "p99 ms"
    );
    for Hits { name, blows, times, failed } in hits {
        let millis = |share| times.quantile(share).as_secs_f64() * 1e3;
        let (p50, p99) = (millis(0.5), times.quantile(0.99));
        println!(
            "{name:<10} {blows:>6} {:>6} {failed:>6} {p50:>8.1} {:>8.1}",
            times.count(),
            millis(0.99)
        );
        // Whoever hit nobody has shown nothing.
        let met = p99 < P99_MAX && times.count() > 0;
        let (value, target) =
            (format!("{} ms", p99.as_millis()), format!("<{} ms", P99_MAX.as_millis()));
        bench.verdict(&format!("failover-p99-{name}"), &value, &target, met);
    }
    Ok(())
}

fn rounds(bench: &Bench) -> usize {
    if bench.quick { ROUNDS / 4 } else { ROUNDS }
}

/// Processes that the manager has started are killed.
fn children(bench: &mut Bench) -> Result<Hits, String> {
    let block = killable(&bench.switches.block(|_| true));
    let stand = Stand::of_children(bench, REPLICAS, SERVICE, &block)?;
    let (mut hits, mut random) = (Hits::new("children"), Random::seeded(SEED));
    for _ in 0..rounds(bench) {
        let start = now();
        while proc::own_below(stand.manager.pid()).len() < LEFT_MIN {
            if now() - start > STARTED_WITHIN {
                return Err("the replicas that were killed are not started again".to_owned());
            }
            wait(Duration::from_millis(10));
        }
        round(bench, &stand, &mut hits, || kill_child(&stand.manager, &mut random))?;
    }
    Ok(hits)
}

/// The connections to one URL end, and new ones are refused.
fn urls(bench: &mut Bench) -> Result<Hits, String> {
    let block = bench.switches.block(|_| true);
    let mut stand = Stand::of_urls(bench, REPLICAS, SERVICE, &block)?;
    let (mut hits, mut random) = (Hits::new("urls"), Random::seeded(SEED));
    // Taken out, so that they can change while the clients of the rest call.
    let mut proxies = std::mem::take(&mut stand.proxies);
    for _ in 0..rounds(bench) {
        let chosen = random.below(proxies.len());
        round(bench, &stand, &mut hits, || {
            proxies[chosen].set(Weather::Down);
            true
        })?;
        proxies[chosen].set(Weather::Fine);
        // Long enough for it to be believed again.
        wait(4 * WORK);
    }
    Ok(hits)
}

/// Calls, strikes in the middle of the calls, and looks at those that it hit.
fn round(
    bench: &mut Bench,
    stand: &Stand,
    hits: &mut Hits,
    strike: impl FnOnce() -> bool,
) -> Result<(), String> {
    let clients = stand.clients(SAFE);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let clients = clients.clone();
            bench.runtime.spawn(async move { (clients.call_since(now()).await, now()) })
        })
        .collect();
    wait(WORK / 2);
    let struck: Instant = now();
    hits.blows += usize::from(strike());
    for call in calls {
        let (outcome, end) = bench.runtime.block_on(call).map_err(|error| error.to_string())?;
        let took = end.saturating_duration_since(struck);
        if outcome != Outcome::Right {
            hits.failed += 1;
            hits.times.record(FAILED);
        } else if took >= WORK {
            // The others were half done, and took half as long.
            hits.times.record(took);
        }
    }
    let tally: Tally = clients.take();
    bench.note(&tally);
    Ok(())
}
