//! One run of the suite.

#![expect(clippy::disallowed_methods, reason = "the report says how long a run took")]

use std::time::{Duration, Instant};

use super::Pairing;
use super::checks::{self, Tally};
use super::pairing::Servers;
use crate::peers;
use crate::process::{self, Finished};

/// Three times what a run takes on a machine with two busy cores.
const RUN_MAX: Duration = Duration::from_secs(240);

/// What one run came to.
pub(super) struct Report {
    pub(super) tally: Tally,
    /// Everything that is not as it should be; empty when the run is clean.
    pub(super) complaints: Vec<String>,
    pub(super) took: Duration,
}

pub(super) fn run(pairing: Pairing, set: &str, scenario: Option<&str>) -> Report {
    let out = tempfile::tempdir().expect("a temporary directory");
    let list = format!("conformance/expected-failures-{}-{set}.yml", pairing.name());
    let list = peers::file(&list);
    let servers = Servers::start(pairing);
    let started = Instant::now();

    let mut command = peers::conformance_suite();
    command.args(["server", "--url", &servers.url, "--output-dir"]).arg(out.path());
    command.arg("--expected-failures").arg(&list);
    match scenario {
        // A requirement set cannot be narrowed; a single scenario can be run at its version.
        Some(scenario) => command.args(["--scenario", scenario, "--spec-version", set, "--force"]),
        None => command.args(["--requirements", set]),
    };
    let finished = process::run(command, b"", RUN_MAX);
    let took = started.elapsed();

    let checks = checks::read(out.path());
    let tally = checks::tally(&checks);
    let mut complaints = checks::complaints(&checks, &checks::expected(&list));
    complaints.extend(of_the_run_itself(&finished, tally, !complaints.is_empty()));
    Report { tally, complaints, took }
}

/// A scenario that broke before it could write its checks shows only in what the suite prints.
fn of_the_run_itself(finished: &Finished, tally: Tally, explained: bool) -> Vec<String> {
    let mut complaints = Vec::new();
    let total = finished.stdout.lines().find_map(|line| line.strip_prefix("Total: "));
    let counted = format!("{} passed, {} failed", tally.passed, tally.failed);
    if let Some(total) = total.filter(|total| **total != counted) {
        complaints.push(format!("the suite counts {total}, its files {counted}"));
    }
    if tally.passed + tally.failed == 0 {
        complaints.push("no check was run".to_owned());
    }
    if !finished.success() && !explained {
        complaints.push(match finished.status {
            Some(status) => format!("the suite ended with {status}"),
            None => format!("the suite did not end within {} s", RUN_MAX.as_secs()),
        });
    }
    if !complaints.is_empty() {
        let said = [finished.stdout.as_str(), finished.stderr.as_str()].join("\n");
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(30)..].iter();
        complaints.extend(last.map(|line| format!("  | {line}")));
    }
    complaints
}
