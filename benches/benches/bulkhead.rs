//! What a limit costs a call, what it does under overload, and who has how much of it.
//!
//! *Permit*: taken and given back while there is room, beside `try_acquire` of tokio's semaphore, in turns; on one
//! thread and on two that share it. *Overload*: calls that are a timer of 10 ms, on a server that does eight at a
//! time and gets slower with more; ten times as many as it can do, with a limit and without. *Fairness*: five
//! tenants, of which one makes a hundred times the calls of the others.
//!
//! `cargo xtask bench bulkhead`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use mcp_bulkhead::{Adaptive, Ask, Bulkhead, Config, Rates, Sample};
use tokio::sync::Semaphore;
use tokio::time::sleep;

const ROUNDS: usize = 15;
const CALLS: u32 = 1_000_000;
const OF_TOKIO: f64 = 0.5;
const GOODPUT_MIN: f64 = 0.9;
const REFUSED_WITHIN: Duration = Duration::from_millis(10);
const JAIN_MIN: f64 = 0.99;

fn main() {
    let mut verdicts = Vec::new();
    permits(&mut verdicts);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(overload(&mut verdicts));
    runtime.block_on(fairness(&mut verdicts));
    println!();
    verdicts.iter().for_each(|line| println!("{line}"));
}

fn verdict(case: &str, value: &str, target: &str, met: bool) -> String {
    format!("bulkhead/{case} {value} {target} {}", if met { "ok" } else { "short" })
}

fn bulkhead(limit: usize, queued_max: usize) -> Bulkhead {
    let mut config = Config::default();
    (config.limit, config.queued_max) = (limit, queued_max);
    Bulkhead::new(config).expect("a configuration")
}

type Work = Box<dyn Fn(u32) + Sync>;

fn permits(verdicts: &mut Vec<String>) {
    let (ours, semaphore, owned) = (bulkhead(64, 0), Semaphore::new(64), Arc::new(bulkhead(64, 0)));
    let rates = Rates::new(NonZeroU32::MAX, Duration::from_secs(1), Instant::now());
    let now = Instant::now();
    let works: [(&str, Work); 4] = [
        (
            "mcp-bulkhead",
            Box::new(move |calls| {
                for _ in 0..calls {
                    drop(std::hint::black_box(ours.try_permit()));
                }
            }),
        ),
        (
            "tokio try_acquire",
            Box::new(move |calls| {
                for _ in 0..calls {
                    drop(std::hint::black_box(semaphore.try_acquire()));
                }
            }),
        ),
        (
            "  owned permits",
            Box::new(move |calls| {
                for _ in 0..calls {
                    drop(std::hint::black_box(owned.try_permit_owned()));
                }
            }),
        ),
        (
            "  a rate of one key",
            Box::new(move |calls| {
                for _ in 0..calls {
                    let _ = std::hint::black_box(rates.check(1, now));
                }
            }),
        ),
    ];
    println!("a permit and its return  1 thread, ns  2 threads, M/s");
    let mut medians = Vec::new();
    let mut times = vec![(Vec::new(), Vec::new()); works.len()];
    for _ in 0..ROUNDS {
        for ((_, work), (one, two)) in works.iter().zip(&mut times) {
            one.push(timed(1, work));
            two.push(timed(2, work));
        }
    }
    for ((name, _), (one, two)) in works.iter().zip(&mut times) {
        let (one, two) = (median(one), median(two));
        println!("{name:<23} {one:>14.1} {:>15.1}", 2.0 * 1e3 / two);
        medians.push((one, two));
    }
    let (one, two) = (medians[0].0 / medians[1].0, medians[0].1 / medians[1].1);
    let target = format!("<={OF_TOKIO:.2}");
    verdicts.push(verdict("permit-of-tokio", &format!("{one:.2}"), &target, one <= OF_TOKIO));
    verdicts.push(verdict("two-threads-of-tokio", &format!("{two:.2}"), "<=1.00", two <= 1.0));
}

/// Nanoseconds a call on each of so many threads.
fn timed(threads: usize, work: &Work) -> f64 {
    let barrier = Barrier::new(threads);
    let one = || {
        barrier.wait();
        let begun = Instant::now();
        work(CALLS);
        begun.elapsed()
    };
    let longest = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().filter_map(|one| one.join().ok()).max()
    });
    longest.unwrap_or_default().as_nanos() as f64 / f64::from(CALLS)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server that does eight calls at a time in 10 ms, and all the slower the more it has.
#[derive(Default)]
struct Server {
    in_flight: AtomicUsize,
}

const SLOTS: usize = 8;
const WORK: Duration = Duration::from_millis(10);
/// Nobody waits for an answer for longer.
const PATIENCE: Duration = Duration::from_millis(500);
const LOAD_TIME: Duration = Duration::from_secs(3);

impl Server {
    async fn work(&self) {
        let in_flight = self.in_flight.fetch_add(1, Relaxed) + 1;
        // Switching between too many costs more than their share.
        let crowd = (in_flight as f64 / SLOTS as f64).max(1.0).powf(1.3);
        sleep(WORK.mul_f64(crowd)).await;
        self.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What came of calls that arrive at a rate: answered a second within the patience of their callers, and
/// the time that refusals took at the 99th percentile.
async fn under(load: f64, bulkhead: Option<Arc<Bulkhead>>) -> (f64, Duration) {
    let server = Arc::new(Server::default());
    let rate = load * SLOTS as f64 / WORK.as_secs_f64();
    let (begun, mut calls, mut sent) = (Instant::now(), tokio::task::JoinSet::new(), 0.0);
    while begun.elapsed() < LOAD_TIME {
        while sent < begun.elapsed().as_secs_f64() * rate {
            sent += 1.0;
            let (server, bulkhead) = (Arc::clone(&server), bulkhead.clone());
            calls.spawn(async move {
                let came = Instant::now();
                let Some(bulkhead) = bulkhead else {
                    let done = tokio::time::timeout(PATIENCE, server.work()).await.is_ok();
                    return (done, None);
                };
                match bulkhead.permit_owned(Ask::default()).await {
                    Ok(permit) => {
                        let began = Instant::now();
                        server.work().await;
                        permit.finish(Sample::Answered, began.elapsed());
                        (came.elapsed() <= PATIENCE, None)
                    }
                    Err(_) => (false, Some(came.elapsed())),
                }
            });
        }
        sleep(Duration::from_millis(1)).await;
    }
    let outcomes = calls.join_all().await;
    let good = outcomes.iter().filter(|(done, _)| *done).count();
    let mut refused: Vec<Duration> = outcomes.into_iter().filter_map(|(_, took)| took).collect();
    refused.sort();
    let late = refused.get(refused.len() * 99 / 100).copied().unwrap_or_default();
    (good as f64 / LOAD_TIME.as_secs_f64(), late)
}

async fn overload(verdicts: &mut Vec<String>) {
    let fixed = || Some(Arc::new(bulkhead(SLOTS, 16)));
    let adaptive = || {
        let mut config = Config::default();
        (config.limit, config.queued_max) = (64, 16);
        config.adaptive = Some(Adaptive::default());
        Some(Arc::new(Bulkhead::new(config).expect("a configuration")))
    };
    let (peak, _) = under(1.0, fixed()).await;
    println!("\nserved a second; {:.0} can be done", SLOTS as f64 / WORK.as_secs_f64());
    println!("load   no limit      limit   adaptive  refused after, p99");
    let mut last = (0.0, Duration::ZERO, 0.0);
    for load in [1.0, 3.0, 10.0] {
        let (none, _) = under(load, None).await;
        let (limited, refused) = under(load, fixed()).await;
        let (found, _) = under(load, adaptive()).await;
        println!("{load:>4} {none:>10.0} {limited:>10.0} {found:>10.0}  {refused:?}");
        last = (limited / peak, refused, found / peak);
    }
    let (share, refused, found) = last;
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    verdicts.push(verdict("goodput-at-10x", &percent(share), ">=90%", share >= GOODPUT_MIN));
    let soon = refused < REFUSED_WITHIN;
    verdicts.push(verdict(
        "refused-within",
        &format!("{} us", refused.as_micros()),
        "<10 ms",
        soon,
    ));
    verdicts.push(verdict("adaptive-at-10x", &percent(found), ">=80%", found >= 0.8));
}

async fn fairness(verdicts: &mut Vec<String>) {
    const TENANTS: usize = 5;
    let bulkhead = Arc::new(bulkhead(4, 64));
    let done: Arc<[AtomicUsize; TENANTS]> = Arc::default();
    let end = Instant::now() + LOAD_TIME;
    let mut calls = tokio::task::JoinSet::new();
    for tenant in 0..TENANTS {
        for _ in 0..if tenant == 0 { 400 } else { 4 } {
            let (bulkhead, done) = (Arc::clone(&bulkhead), Arc::clone(&done));
            calls.spawn(async move {
                while Instant::now() < end {
                    match bulkhead.permit(Ask::of(tenant as u64)).await {
                        Ok(_permit) => {
                            sleep(Duration::from_millis(2)).await;
                            done[tenant].fetch_add(1, Relaxed);
                        }
                        Err(_) => sleep(Duration::from_millis(5)).await,
                    }
                }
            });
        }
    }
    calls.join_all().await;
    let done: Vec<f64> = done.iter().map(|done| done.load(Relaxed) as f64).collect();
    println!("\ncalls done, the first tenant with 400 at a time and the others with 4: {done:?}");
    let (sum, squares): (f64, f64) =
        done.iter().fold((0.0, 0.0), |(sum, squares), done| (sum + done, squares + done * done));
    let jain = sum * sum / (TENANTS as f64 * squares);
    verdicts.push(verdict("fairness", &format!("{jain:.4}"), ">=0.99", jain >= JAIN_MIN));
}
