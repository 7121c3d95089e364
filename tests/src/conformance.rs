//! The official conformance suite against the fixture, directly and through the gateway.
//!
//! ```text
//!   direct-http     suite ── http ── fixture
//!   gateway-stdio   suite ── http ── gateway ── stdio ── fixture
//!   gateway-http    suite ── http ── gateway ── http ─── fixture
//! ```
//!
//! What fails behind the gateway and not directly is the gateway's. What may fail is written down in
//! `tests/conformance/`; an entry that no longer fails is an error too, so the lists only shrink.

mod args;
mod checks;
mod pairing;
mod suite;

pub use args::{Args, Pairing};

use checks::Tally;

/// Runs what `args` select; true when nothing failed that was not expected to.
pub fn run(args: &Args) -> bool {
    let (mut total, mut clean) = (Tally::default(), true);
    for pairing in args.pairings() {
        for set in args.sets() {
            let title = format!("conformance/{}/{set}", pairing.name());
            let report = suite::run(pairing, &set, args.scenario.as_deref());
            println!(
                "{title} passed={} failed={} {:.1}s",
                report.tally.passed,
                report.tally.failed,
                report.took.as_secs_f64()
            );
            for line in &report.complaints {
                println!("  {line}");
            }
            total.passed += report.tally.passed;
            total.failed += report.tally.failed;
            clean &= report.complaints.is_empty();
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    clean
}
