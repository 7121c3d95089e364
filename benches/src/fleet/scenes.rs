//! One of four replicas is bad: what clients see of it, with and without each feature.

use std::time::Duration;

use super::Bench;
use super::features::{Choice, Switches};
use super::stand::{SAFE, Service, Stand, UNSAFE, together};
use crate::arrivals::Tally;
use crate::fault_proxy::{FaultProxy, Weather};

const REPLICAS: usize = 4;
/// 400 calls a second: three of them have time to spare.
const SERVICE: Service = Service { work_ms: 10, at_a_time: 4 };
const PER_SECOND: f64 = 200.0;
/// What a call waits for at most, so that a black hole costs what it costs and no minutes.
const CALL_TIMEOUT: &str = "1s";
/// Counted from the moment at which the replica turns bad.
const BAD: Duration = Duration::from_secs(8);
/// Before that, so that connections are open and latencies are known.
const FINE: Duration = Duration::from_secs(1);
/// Calls that may be lost to a bad replica where every feature is on.
const FAILED_PERCENT_MAX: f64 = 0.1;
const SEED: u64 = 2;

/// What is the matter with it.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Steady(Weather),
    /// So long, and so long not.
    Flapping(Weather, Duration),
}

const SCENES: [(&str, Trouble); 7] = [
    ("calm", Trouble::Steady(Weather::Fine)),
    ("slow", Trouble::Steady(Weather::Late(Duration::from_millis(200)))),
    ("dead", Trouble::Steady(Weather::Down)),
    ("flapping", Trouble::Flapping(Weather::Down, Duration::from_millis(500))),
    ("reset", Trouble::Steady(Weather::Reset)),
    ("black hole", Trouble::Steady(Weather::Stalled)),
    ("garbage", Trouble::Steady(Weather::Garbage)),
];

/// One row of a scene.
#[derive(Debug)]
struct Row {
    choice: Choice,
    tool: &'static str,
}

pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let rows = rows(&bench.switches);
    let time = bench.time(BAD).as_secs();
    println!(
        "\none of {REPLICAS} replicas is bad: {PER_SECOND:.0} calls/s in an open loop for {time} s"
    );
    println!(
        "from then on; callTimeout {CALL_TIMEOUT}; a failed call took as long as its client waited"
    );
    println!(
        "{:<10} {:<22} {:>6} {:>8} {:>8} {:>8}  failed for",
        "replica", "with", "calls", "p50 ms", "p99 ms", "failed %"
    );
    let all = bench.switches.everything().block;
    for (scene, trouble) in SCENES {
        let tallies = play(bench, &rows, trouble)?;
        for (row, tally) in rows.iter().zip(&tallies) {
            print(scene, &row.choice.name, tally);
            if row.tool == SAFE && row.choice.block == all {
                let failed = 100.0 * (1.0 - tally.availability());
                let case = format!("{}-failed", scene.replace(' ', "-"));
                let target = format!("<={FAILED_PERCENT_MAX}%");
                bench.verdict(
                    &case,
                    &format!("{failed:.2}%"),
                    &target,
                    failed <= FAILED_PERCENT_MAX,
                );
            }
        }
    }
    Ok(())
}

/// Every choice with safe calls, and everything with calls that must not be made twice.
fn rows(switches: &Switches) -> Vec<Row> {
    let safe = |choice| Row { choice, tool: SAFE };
    let mut rows: Vec<_> = switches.choices().into_iter().map(safe).collect();
    let choice = switches.everything();
    let name = format!("{}, calls not safe", choice.name);
    rows.push(Row { choice: Choice { name, ..choice }, tool: UNSAFE });
    rows
}

/// All rows at the same time, each on processes of its own: the machine is the same for all.
fn play(bench: &mut Bench, rows: &[Row], trouble: Trouble) -> Result<Vec<Tally>, String> {
    let mut stands = Vec::new();
    for row in rows {
        let mut block = row.choice.block.clone();
        block.insert("callTimeout".to_owned(), CALL_TIMEOUT.into());
        stands.push(Stand::of_urls(bench, REPLICAS, SERVICE, &block)?);
    }
    let clients: Vec<_> =
        stands.iter().zip(rows).map(|(stand, row)| stand.clients(row.tool)).collect();
    let load = |time: Duration| {
        let clients = clients.clone().into_iter();
        clients.map(move |own| async move { own.open_loop(PER_SECOND, time, SEED).await })
    };
    let before = together(bench, load(FINE))?;
    if let Some(failed) = before.iter().find(|tally| tally.right < tally.calls()) {
        return Err(format!("calls failed in fine weather: {}", failed.reasons()));
    }
    for stand in &mut stands {
        if let Some(first) = stand.proxies.first_mut() {
            turn(first, trouble);
        }
    }
    let time = bench.time(BAD);
    together(bench, load(time))
}

fn turn(proxy: &mut FaultProxy, trouble: Trouble) {
    match trouble {
        Trouble::Steady(weather) => proxy.set(weather),
        Trouble::Flapping(weather, period) => proxy.flap(weather, period),
    }
}

fn print(scene: &str, with: &str, tally: &Tally) {
    println!(
        "{scene:<10} {with:<22} {:>6} {:>8.1} {:>8.1} {:>8.2}  {}",
        tally.calls(),
        tally.millis(0.5),
        tally.millis(0.99),
        (1.0 - tally.availability()) * 100.0,
        tally.reasons()
    );
}
