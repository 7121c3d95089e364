//! A replica's process is killed every second: how many of the safe calls fail.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Bench;
use super::features::Block;
use super::stand::{SAFE, Service, Stand, together};
use crate::clock::{now, wait};
use crate::fault_proxy::Weather;
use crate::proc;
use crate::process::Started;
use crate::random::Random;

const REPLICAS: usize = 4;
const SERVICE: Service = Service { work_ms: 10, at_a_time: 4 };
const PER_SECOND: f64 = 300.0;
const UNDER_FIRE: Duration = Duration::from_secs(24);
const PERIOD: Duration = Duration::from_secs(1);
/// How long whoever looks after the processes behind the URLs takes to start one again.
const RESTARTED_AFTER: Duration = Duration::from_millis(500);
const AVAILABLE_PERCENT: f64 = 99.9;
const SEED: u64 = 3;

pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let block = bench.switches.block(|_| true);
    let children = Stand::of_children(bench, REPLICAS, SERVICE, &killable(&block))?;
    let mut urls = Stand::of_urls(bench, REPLICAS, SERVICE, &block)?;
    let time = bench.time(UNDER_FIRE);
    let loads = [children.clients(SAFE), urls.clients(SAFE)].map(|clients| {
        let load = async move { clients.open_loop(PER_SECOND, time, SEED).await };
        bench.runtime.spawn(load)
    });
    let killed = kill_on(&children, &mut urls, time)?;
    let loads = loads.map(|load| async move { load.await.unwrap_or_default() });
    let tallies = together(bench, loads)?;
    println!(
        "\none of {REPLICAS} processes is killed every second; {PER_SECOND:.0} safe calls/s in an open \
         loop,\nall features of this program on"
    );
    println!(
        "{:<10} {:>6} {:>6} {:>6} {:>8} {:>8} {:>10}  failed for",
        "replicas", "kills", "calls", "failed", "p50 ms", "p99 ms", "right %"
    );
    for ((name, killed), tally) in ["children", "urls"].into_iter().zip(killed).zip(&tallies) {
        let available = tally.availability() * 100.0;
        println!(
            "{name:<10} {killed:>6} {:>6} {:>6} {:>8.1} {:>8.1} {available:>10.3}  {}",
            tally.calls(),
            tally.calls() - tally.right,
            tally.millis(0.5),
            tally.millis(0.99),
            tally.reasons()
        );
        // Without calls or kills nothing was shown.
        let met = available > AVAILABLE_PERCENT && killed > 0 && tally.calls() > 0;
        let (value, target) = (format!("{available:.3}%"), format!(">{AVAILABLE_PERCENT}%"));
        bench.verdict(&format!("availability-{name}"), &value, &target, met);
    }
    Ok(())
}

/// What a server says that is killed all the time and is to be started again nevertheless.
pub(super) fn killable(block: &Block) -> Block {
    let mut block = block.clone();
    block.insert("restartsMax".to_owned(), 1000.into());
    block.insert("restartPauseMax".to_owned(), "1s".into());
    block
}

/// Kills one of each every second, for so long; gives back how many.
fn kill_on(children: &Stand, urls: &mut Stand, time: Duration) -> Result<[usize; 2], String> {
    let (mut random, mut killed) = (Random::seeded(SEED), [0; 2]);
    let until = now() + time;
    while now() + PERIOD <= until {
        wait(PERIOD - RESTARTED_AFTER);
        killed[0] += usize::from(kill_child(&children.manager, &mut random));
        let chosen = random.below(urls.upstreams.len());
        killed[1] += 1;
        urls.upstreams[chosen].kill();
        // Where no process is, nobody listens.
        urls.proxies[chosen].set(Weather::Down);
        wait(RESTARTED_AFTER);
        let again = SERVICE.start()?;
        urls.proxies[chosen].lead_to(again.address);
        urls.proxies[chosen].set(Weather::Fine);
        urls.upstreams[chosen] = again;
    }
    Ok(killed)
}

/// Kills one of the replicas that this manager has started; says whether there was one.
pub(super) fn kill_child(manager: &Started, random: &mut Random) -> bool {
    let replicas = proc::own_below(manager.pid());
    let chosen =
        replicas.get(random.below(replicas.len())).and_then(|pid| i32::try_from(*pid).ok());
    let chosen = chosen.and_then(Pid::from_raw);
    chosen.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}
