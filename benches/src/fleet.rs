//! What replicas bring, and what clients see of a fleet of which some replicas are bad.
//!
//! ```text
//!   load ----> mcp-manager up ----> fault proxy ----> upstream-http      one of each per replica
//!   (this process)            ----> upstream-stdio                       or children of the manager
//! ```
//!
//! The servers sleep for the time of a call and work on so many at once: few processors can be many
//! servers then, and a server has a capacity that others can add to. What is to be compared runs at
//! the same time wherever it leaves processors idle, or in turns; arrivals are the same for all.

#![allow(clippy::print_stdout, reason = "a benchmark speaks")]

mod failover;
mod features;
mod kills;
mod rejection;
mod replicas;
mod scenes;
mod stand;

use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::arrivals::Tally;
use crate::serve;
use features::Switches;

/// Threads for the load program and the proxies.
const WORKERS: usize = 2;

/// What all parts share.
#[derive(Debug)]
struct Bench {
    runtime: Runtime,
    dir: TempDir,
    quick: bool,
    switches: Switches,
    /// Managers started: each has files of its own.
    started: usize,
    wrong: u64,
    verdicts: Vec<String>,
}

/// Measures all parts and prints the verdicts; a wrong answer is a failure.
pub(crate) fn run(quick: bool) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let runtime = serve::runtime(WORKERS).map_err(|error| error.to_string())?;
    let switches = Switches::probe(dir.path())?;
    let mut bench =
        Bench { runtime, dir, quick, switches, started: 0, wrong: 0, verdicts: Vec::new() };
    let parts = [replicas::run, scenes::run, kills::run, failover::run, rejection::run];
    // What was found before a part that could not be measured is told nevertheless.
    let result = parts.into_iter().try_for_each(|part| part(&mut bench));
    let wrong = bench.wrong;
    bench.verdict("wrong-answers", &wrong.to_string(), "=0", wrong == 0);
    println!();
    bench.verdicts.iter().for_each(|verdict| println!("{verdict}"));
    result?;
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} wrong answers")) }
}

impl Bench {
    fn time(&self, usual: Duration) -> Duration {
        if self.quick { usual / 4 } else { usual }
    }

    fn verdict(&mut self, case: &str, value: &str, target: &str, met: bool) {
        let word = if met { "ok" } else { "short" };
        self.verdicts.push(format!("fleet/{case} {value} {target} {word}"));
    }

    /// Every answer was looked at: what was wrong is told at once, and held against the run.
    fn note(&mut self, tally: &Tally) {
        if let Some((why, count)) = &tally.wrong {
            println!("{count} wrong answers: {why}");
            self.wrong += count;
        }
    }
}
