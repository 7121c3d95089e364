//! The official conformance suite against the fixture, directly and through the gateway.
//!
//! ```text
//!   direct-http     suite ── http ── fixture
//!   gateway-stdio   suite ── http ── gateway ── stdio ── fixture
//!   gateway-http    suite ── http ── gateway ── http ─── fixture
//! ```
//!
//! A name that ends with `-legacy` or `-modern` is the same with a fixture of that era alone: a set of
//! the other era then goes through the gateway's bridges.
//!
//! What fails behind the gateway and not directly is the gateway's. What may fail is written down in
//! `tests/conformance/expected-failures.yml`; an entry that no longer fails is an error too, so the
//! list only shrinks. What one era has and the other cannot have is in [`exclusions`].

mod args;
mod checks;
pub mod exclusions;
mod expected;
mod matrix;
mod servers;
mod suite;

pub use args::Args;
pub use matrix::{Door, Pairing, Set};

use std::sync::Mutex;
use std::thread;

use checks::Tally;
use suite::Report;

use crate::peers;

/// Most of a run is spent waiting: for the suite's interpreter to start, and for its pauses. So a
/// machine with two cores carries three runs at once.
const RUNS_AT_ONCE: usize = 3;

/// Runs what `args` select; true when nothing failed that was not expected to.
pub fn run(args: &Args) -> bool {
    let expected = expected::read(&peers::file("conformance/expected-failures.yml"));
    let todo = Mutex::new(args.runs().into_iter());
    let sum = Mutex::new((Tally::default(), true));
    let next = || todo.lock().expect("no run panics while it takes the next").next();
    thread::scope(|scope| {
        for _ in 0..RUNS_AT_ONCE {
            scope.spawn(|| {
                while let Some((pairing, set)) = next() {
                    let title = format!("{pairing}/{set}");
                    let expected = expected::of(&expected, &title);
                    let report = suite::run(pairing, set, args.scenario.as_deref(), &expected);
                    let mut sum = sum.lock().expect("no run panics while it counts");
                    sum.0 += report.tally;
                    sum.1 &= report.complaints.is_empty();
                    print(&title, &report);
                }
            });
        }
    });
    let (total, clean) = sum.into_inner().expect("no run panicked");
    // The closing line: nothing else is in it, so that it can be added up.
    println!("{} passed, {} failed", total.passed, total.failed);
    clean
}

fn print(title: &str, report: &Report) {
    let Tally { passed, failed, expected } = report.tally;
    let seconds = report.took.as_secs_f64();
    let expected = if expected == 0 { String::new() } else { format!(" expected={expected}") };
    println!("conformance/{title} passed={passed} failed={failed}{expected} {seconds:.1}s");
    for line in &report.complaints {
        println!("  {line}");
    }
}
