//! What a breaker costs a call, beside those of others.
//!
//! Three things are timed: calls that succeed through a closed breaker on one thread, the same on two
//! threads that share it, and calls that an open one refuses. Every breaker has its turn in each round,
//! and the figures are medians of the rounds.
//!
//! Ours is told the time by its caller, who measures how long a call takes anyway. Of the others, those
//! that need a clock read one themselves: recloser only to refuse, failsafe with a window for every
//! success, tower-resilience for every call. The targets are of ours as it is used, with the time told;
//! the lines "and a clock" add two reads for a call, one for a refusal.
//!
//! `cargo xtask bench breaker`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

mod peers;

use std::hint::black_box;
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use mcp_breaker::{Breaker, Config, Outcome, Window};
use peers::Peer;

const ROUNDS: usize = 7;
const CALLS: u32 = 1_000_000;
const OF_TIME: f64 = 0.6;
const OF_THROUGHPUT: f64 = 3.0;

fn main() {
    let mut verdicts = Vec::new();
    table("success, ns", "closed", &closed(), &mut verdicts);
    table("refusal, ns", "rejection", &open(), &mut verdicts);
    println!();
    verdicts.iter().for_each(|line| println!("{line}"));
}

/// The first is ours, and the second what it is measured by.
fn closed() -> Vec<Peer> {
    let ours = |window| {
        let mut config = Config::default();
        config.window = window;
        Breaker::new(config, Instant::now()).expect("a configuration")
    };
    let of_time = || ours(Window::Time(Duration::from_secs(30)));
    let (permits, tickets, clocked) = (of_time(), of_time(), of_time());
    let counted = ours(Window::Calls(100));
    vec![
        Peer::new("mcp-breaker, 30 s", move |calls| successes(&permits, calls)),
        peers::recloser(false),
        Peer::new("  by tickets", move |calls| {
            for [began, ended] in times(calls) {
                let ticket = tickets.admit(began).expect("it is closed");
                tickets.record(ticket, Outcome::Success, ended - began, ended);
            }
        }),
        Peer::new("  last 100 calls", move |calls| successes(&counted, calls)),
        Peer::new("  30 s, and a clock", move |calls| {
            for _ in 0..calls {
                let permit = clocked.permit(Instant::now()).expect("it is closed");
                permit.record(Outcome::Success, Instant::now());
            }
        }),
        peers::failsafe_in_a_row(false),
        peers::failsafe_window(),
        peers::tower_resilience(false),
    ]
}

fn successes(breaker: &Breaker, calls: u32) {
    for [began, ended] in times(calls) {
        let permit = breaker.permit(began).expect("it is closed");
        permit.record(Outcome::Success, ended);
    }
}

/// When so many calls begin and end, one every 20 ns and each a millisecond long.
fn times(calls: u32) -> impl Iterator<Item = [Instant; 2]> {
    static TIMES: LazyLock<Vec<[Instant; 2]>> = LazyLock::new(|| {
        let start = Instant::now();
        let began = (0..CALLS).map(|call| start + Duration::from_nanos(20) * call);
        began.map(|began| [began, began + Duration::from_millis(1)]).collect()
    });
    TIMES[..calls as usize].iter().copied()
}

fn open() -> Vec<Peer> {
    let ours = || {
        let now = Instant::now();
        let mut config = Config::default();
        (config.cooldown, config.cooldown_max) = (peers::LONG, peers::LONG);
        let breaker = Breaker::new(config, now).expect("a configuration");
        for _ in 0..5 {
            breaker.permit(now).expect("it is closed").record(Outcome::Failure, now);
        }
        breaker
    };
    let refused = |breaker: &Breaker, now| {
        let refused = breaker.permit(now).expect_err("it is open");
        black_box(refused.retry_after);
    };
    let (told, clocked) = (ours(), ours());
    vec![
        Peer::new("mcp-breaker", move |calls| {
            times(calls).for_each(|[began, _]| refused(&told, began));
        }),
        peers::recloser(true),
        Peer::new("  and a clock", move |calls| {
            (0..calls).for_each(|_| refused(&clocked, Instant::now()));
        }),
        peers::failsafe_in_a_row(true),
        peers::tower_resilience(true),
        Peer::new("nothing but the times", move |calls| {
            times(calls).for_each(|times| _ = black_box(times));
        }),
    ]
}

fn table(title: &str, case: &str, peers: &[Peer], verdicts: &mut Vec<String>) {
    let (mut one, mut two) = (vec![Vec::new(); peers.len()], vec![Vec::new(); peers.len()]);
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (at, peer) in peers.iter().enumerate() {
            let (alone, together) = (one_thread(peer), two_threads(peer));
            if round > 0 {
                one[at].push(alone);
                two[at].push(together);
            }
        }
    }
    println!("\n{title:<28} one thread   two threads, million a second");
    let (one, two): (Vec<_>, Vec<_>) =
        (one.into_iter().map(median).collect(), two.into_iter().map(median).collect());
    for ((peer, alone), together) in peers.iter().zip(&one).zip(&two) {
        println!("  {:<26} {alone:>10.1}   {together:>11.1}", peer.name);
    }
    verdicts.push(verdict(&format!("breaker/{case}-of-recloser"), one[0] / one[1], "<=", OF_TIME));
    let throughput = two[0] / two[1];
    verdicts.push(verdict(&format!("breaker/{case}-two-threads"), throughput, ">=", OF_THROUGHPUT));
}

/// Nanoseconds a call.
fn one_thread(peer: &Peer) -> f64 {
    let start = Instant::now();
    peer.run(CALLS);
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// Million calls a second.
fn two_threads(peer: &Peer) -> f64 {
    let barrier = Barrier::new(2);
    let alone = || {
        barrier.wait();
        let start = Instant::now();
        peer.run(CALLS);
        (start, Instant::now())
    };
    let ((began, ended), (other_began, other_ended)) = std::thread::scope(|scope| {
        let other = scope.spawn(alone);
        (alone(), other.join().expect("a thread"))
    });
    let took = ended.max(other_ended) - began.min(other_began);
    f64::from(2 * CALLS) / 1e6 / took.as_secs_f64()
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// One target, as `cargo xtask bench` reads it.
fn verdict(case: &str, value: f64, relation: &str, target: f64) -> String {
    let met = if relation == "<=" { value <= target } else { value >= target };
    let word = if met { "ok" } else { "short" };
    format!("{case} {value:.2} {relation}{target:.2} {word}")
}
