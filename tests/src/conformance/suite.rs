//! One run of the suite.

#![expect(clippy::disallowed_methods, reason = "the report says how long a run took")]

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::checks::{self, Allowed, Tally};
use super::clients::Clients;
use super::servers::Servers;
use super::{Pairing, Set, exclusions};
use crate::peers;
use crate::process::{self, Finished};

/// Many times what a run takes: a scenario that hangs is given up by the suite after 30 s.
const RUN_MAX: Duration = Duration::from_secs(240);
/// What the suite says of a client that failed or took too long.
const BROKEN_OFF: [&str; 2] = ["CLIENT EXITED WITH ERROR", "CLIENT TIMED OUT"];
/// As many lines of what the suite said are shown when it did not do what it should.
const SAID_MAX: usize = 30;

/// What one run came to.
pub(super) struct Report {
    pub(super) tally: Tally,
    /// Everything that is not as it should be; empty when the run is clean.
    pub(super) complaints: Vec<String>,
    pub(super) took: Duration,
}

/// The suite as client of `pairing`.
pub(super) fn run(
    pairing: Pairing,
    set: Set,
    scenario: Option<&str>,
    expected: BTreeSet<String>,
) -> Report {
    let servers = Servers::start(pairing);
    let mut command = peers::conformance_suite();
    command.args(["server", "--url", &servers.url]);
    let version = set.version();
    match scenario {
        // A requirement set cannot be narrowed; a single scenario can be run at its version.
        Some(name) => command.args(["--scenario", name, "--spec-version", version, "--force"]),
        None if set.frozen => command.args(["--requirements", version]),
        None => command.args(["--suite", "all", "--spec-version", version]),
    };
    let excluded = exclusions::of(pairing, set).into_iter().map(str::to_owned).collect();
    let out = tempfile::tempdir().expect("a temporary directory");
    let started = Instant::now();
    let finished = process::run(into(command, &out), b"", RUN_MAX);
    let took = started.elapsed();
    let checks = checks::read(out.path());
    let (tally, mut complaints) = checks::judge(&checks, &Allowed { expected, excluded });
    complaints.extend(of_the_run_itself(&finished, checks::counted(&checks)));
    Report { tally, complaints, took }
}

/// The suite as server of `clients`, one scenario after the other.
pub(super) fn run_clients(
    clients: Clients,
    scenario: Option<&str>,
    expected: BTreeSet<String>,
) -> Report {
    let program = peers::own("conformance-client");
    let program = format!("{} {}", program.display(), clients.era);
    let out = tempfile::tempdir().expect("a temporary directory");
    let started = Instant::now();
    let mut broken_off = Vec::new();
    for name in clients.scenarios.iter().filter(|name| scenario.is_none_or(|only| **name == only)) {
        let mut command = peers::conformance_suite();
        command.args(["client", "--command", &program, "--scenario", name]);
        command.args(["--spec-version", clients.version, "--force"]);
        let finished = process::run(into(command, &out), b"", RUN_MAX);
        let says = |text: &&str| finished.stderr.contains(text);
        if finished.status.is_none() || BROKEN_OFF.iter().any(says) {
            let mut said = finished.stderr.lines().skip_while(|line| !line.contains("panicked"));
            let said = said.nth(1).unwrap_or("it did not say why");
            broken_off.push(checks::broken_off(name, said));
        }
    }
    let took = started.elapsed();
    let checks = [checks::read(out.path()), broken_off].concat();
    let allowed = Allowed { expected, excluded: BTreeSet::new() };
    let (tally, mut complaints) = checks::judge(&checks, &allowed);
    if tally == Tally::default() && scenario.is_none() {
        complaints.push("no check was run".to_owned());
    }
    Report { tally, complaints, took }
}

fn into(mut command: Command, out: &TempDir) -> Command {
    command.arg("--output-dir").arg(out.path());
    command
}

/// A scenario that broke before it could write its checks shows only in what the suite prints.
fn of_the_run_itself(finished: &Finished, (passed, failed): (usize, usize)) -> Vec<String> {
    let mut complaints = Vec::new();
    let total = finished.stdout.lines().find_map(|line| line.strip_prefix("Total: "));
    let counted = format!("{passed} passed, {failed} failed");
    if let Some(total) = total.filter(|total| !total.starts_with(&counted)) {
        complaints.push(format!("the suite counts {total}, its files {counted}"));
    }
    if passed + failed == 0 {
        complaints.push("no check was run".to_owned());
    }
    match finished.status.map(|status| status.code()) {
        // 1 says that a check failed: each of them is judged here.
        Some(Some(0)) => {}
        Some(Some(1)) if failed > 0 => {}
        Some(_) => complaints.push(format!("the suite ended with {:?}", finished.status)),
        None => complaints.push(format!("the suite did not end in {} s", RUN_MAX.as_secs())),
    }
    if !complaints.is_empty() {
        let said = [finished.stdout.as_str(), finished.stderr.as_str()].join("\n");
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(SAID_MAX)..].iter();
        complaints.extend(last.map(|line| format!("  | {line}")));
    }
    complaints
}
