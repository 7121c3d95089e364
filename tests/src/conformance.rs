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
//! The pairings `client-legacy` and `client-modern` are the other way round, see [`Errand`]: the suite is
//! the server, and a client of that era stands before the gateway.
//!
//! What fails behind the gateway and not directly is the gateway's. What may fail is written down in
//! `tests/conformance/expected-failures.yml`; an entry that no longer fails is an error too, so the
//! list only shrinks. What one era has and the other cannot have is in [`exclusions`].

mod args;
mod checks;
mod clients;
pub mod exclusions;
mod expected;
mod matrix;
mod reference;
mod servers;
mod suite;

pub use args::{Args, Only};
pub use matrix::{Door, Pairing, Set};
pub use reference::Errand;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::thread;

use checks::Tally;
use clients::Clients;
use suite::Report;

use crate::peers;

/// Most of a run is spent waiting: for the suite's interpreter to start, and for its pauses. So a
/// machine with two cores carries three runs at once.
const RUNS_AT_ONCE: usize = 3;

/// One run of the suite.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// Its server scenarios, against a pairing.
    Server(Pairing, Set),
    /// Client scenarios, through the gateway.
    Clients(Clients),
}

/// Runs what `args` select; true when nothing failed that was not expected to.
pub fn run(args: &Args) -> bool {
    let expected = expected::read(&peers::file("conformance/expected-failures.yml"));
    let todo = Mutex::new(args.runs().into_iter());
    let sum = Mutex::new((Tally::default(), true));
    let next = || todo.lock().expect("no run panics while it takes the next").next();
    thread::scope(|scope| {
        for _ in 0..RUNS_AT_ONCE {
            scope.spawn(|| {
                while let Some(run) = next() {
                    let expected = expected::of(&expected, &run.to_string());
                    let report = run.report(args.scenario.as_deref(), expected);
                    let mut sum = sum.lock().expect("no run panics while it counts");
                    sum.0 += report.tally;
                    sum.1 &= report.complaints.is_empty();
                    print(run, &report);
                }
            });
        }
    });
    let (total, clean) = sum.into_inner().expect("no run panicked");
    // The closing line: nothing else is in it, so that it can be added up.
    println!("{} passed, {} failed", total.passed, total.failed);
    clean
}

impl Run {
    fn report(self, scenario: Option<&str>, expected: BTreeSet<String>) -> Report {
        match self {
            Self::Server(pairing, set) => suite::run(pairing, set, scenario, expected),
            Self::Clients(clients) => suite::run_clients(clients, scenario, expected),
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Server(_, set) => set.version(),
            Self::Clients(clients) => clients.version,
        }
    }
}

/// Its name in reports, and in the list of expected failures.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(pairing, set) => write!(f, "{pairing}/{set}"),
            Self::Clients(clients) => write!(f, "client-{}/{}", clients.era, clients.version),
        }
    }
}

fn print(run: Run, report: &Report) {
    let Tally { passed, failed, expected } = report.tally;
    let seconds = report.took.as_secs_f64();
    let expected = if expected == 0 { String::new() } else { format!(" expected={expected}") };
    println!("conformance/{run} passed={passed} failed={failed}{expected} {seconds:.1}s");
    for line in &report.complaints {
        println!("  {line}");
    }
}
