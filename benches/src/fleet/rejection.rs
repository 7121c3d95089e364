//! An open breaker: how much sooner than a timeout it says no.

use std::time::Duration;

use super::Bench;
use super::stand::{SAFE, Service, Stand};
use crate::answer::Outcome;
use crate::clock::now;
use crate::fault_proxy::Weather;
use crate::histogram::Histogram;

const SERVICE: Service = Service { work_ms: 1, at_a_time: 64 };
/// What the manager under test is told, and what is really waited for here.
const CALL_TIMEOUT: Duration = Duration::from_millis(300);
/// What a rejection is compared with. Nobody waits for it: see [`CALL_TIMEOUT`].
const COMPARED_WITH: Duration = Duration::from_secs(30);
const TIMES_MIN: f64 = 30_000.0;
/// A failure that came so soon did not wait for the server.
const AT_ONCE: Duration = Duration::from_millis(50);
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// Calls at once while the breaker is to find out.
const CALLERS: usize = 16;
const REJECTIONS: usize = 2000;
const MEASURED_WITHIN: Duration = Duration::from_secs(3);
const CASE: &str = "open-breaker";

pub(super) fn run(bench: &mut Bench) -> Result<(), String> {
    let target = format!(">={TIMES_MIN:.0}");
    if !bench.switches.has("breaker") {
        println!("\nan open breaker: left out, this program has none");
        bench.verdict(CASE, "none", &target, false);
        return Ok(());
    }
    let mut block = bench.switches.block(|name| name == "breaker");
    block.insert("callTimeout".to_owned(), format!("{}ms", CALL_TIMEOUT.as_millis()).into());
    let mut stand = Stand::of_urls(bench, 1, SERVICE, &block)?;
    stand.proxies.iter_mut().for_each(|proxy| proxy.set(Weather::Stalled));
    let Some(waited) = until_open(bench, &stand)? else {
        println!("\nan open breaker: it did not open within {OPEN_WITHIN:?}");
        bench.verdict(CASE, "not open", &target, false);
        return Ok(());
    };
    let clients = stand.clients(SAFE);
    let (mut rejected, mut why) = (Histogram::new(), String::new());
    let start = now();
    while rejected.count() < REJECTIONS as u64 && now() - start < MEASURED_WITHIN {
        let asked = now();
        let outcome = bench.runtime.block_on(clients.call_since(asked));
        let took = now() - asked;
        match outcome {
            // One that is let through to see how the server is waits as before.
            Outcome::Failed(code) if took < AT_ONCE => {
                rejected.record(took);
                why = code;
            }
            Outcome::Right => return Err("a black hole has answered".to_owned()),
            _ => {}
        }
    }
    bench.note(&clients.take());
    let micros = |share| rejected.quantile(share).as_secs_f64() * 1e6;
    let times = COMPARED_WITH.as_secs_f64() * 1e6 / micros(0.5).max(f64::MIN_POSITIVE);
    println!("\nan open breaker before a black hole, callTimeout {CALL_TIMEOUT:?}");
    println!("measured: a call that waited took {:.0} ms", waited.as_secs_f64() * 1e3);
    println!("measured: {} rejections, {why}", rejected.count());
    println!("measured: they took p50 {:.0} us, p99 {:.0} us", micros(0.5), micros(0.99));
    println!("computed: {COMPARED_WITH:?} would have been {times:.0} times the p50");
    bench.verdict(
        CASE,
        &format!("{times:.0}"),
        &target,
        times >= TIMES_MIN && rejected.count() > 0,
    );
    Ok(())
}

/// Calls until a call fails at once; gives back how long one took that waited. `None` if none does.
fn until_open(bench: &mut Bench, stand: &Stand) -> Result<Option<Duration>, String> {
    let clients = stand.clients(SAFE);
    let start = now();
    let mut waited = Duration::ZERO;
    while now() - start < OPEN_WITHIN {
        let calls: Vec<_> = (0..CALLERS)
            .map(|_| {
                let clients = clients.clone();
                bench.runtime.spawn(async move {
                    let asked = now();
                    let outcome = clients.call_since(asked).await;
                    (outcome, now() - asked)
                })
            })
            .collect();
        let mut rejected = false;
        for call in calls {
            let (outcome, took) =
                bench.runtime.block_on(call).map_err(|error| error.to_string())?;
            rejected |= matches!(outcome, Outcome::Failed(_)) && took < AT_ONCE;
            waited = waited.max(took);
        }
        if rejected {
            return Ok(Some(waited));
        }
    }
    Ok(None)
}
