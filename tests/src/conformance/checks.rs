//! What the suite found, and what it was expected to find.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

/// One check of one scenario, as the suite writes it down.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    id: String,
    status: String,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(skip)]
    scenario: String,
}

/// Every check below `dir`: one directory a run scenario, `server-<scenario>-<time>/checks.json`.
pub(super) fn read(dir: &Path) -> Vec<Check> {
    let runs = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut checks = Vec::new();
    for run in runs {
        let name = run.file_name().to_string_lossy().into_owned();
        let text = std::fs::read(run.path().join("checks.json")).unwrap_or_default();
        let found: Vec<Check> = serde_json::from_slice(&text).unwrap_or_default();
        let scenario = scenario_of(&name).to_owned();
        checks.extend(found.into_iter().map(|check| Check { scenario: scenario.clone(), ..check }));
    }
    checks
}

pub(super) fn tally(checks: &[Check]) -> Tally {
    let with = |status: &str| checks.iter().filter(|check| check.status == status).count();
    Tally { passed: with("SUCCESS"), failed: with("FAILURE") }
}

/// What is wrong with the `checks`, given the entries of an expected-failures file.
///
/// The suite itself looks only at the scenarios that it scores. The rest, tasks and header
/// validation among them, matter here as much; and so do its warnings.
pub(super) fn complaints(checks: &[Check], expected: &BTreeSet<String>) -> Vec<String> {
    let bad = |check: &&Check| matches!(check.status.as_str(), "FAILURE" | "WARNING");
    let full = |check: &Check| format!("{}:{}", check.scenario, check.id);
    let is_expected =
        |check: &Check| expected.contains(&check.scenario) || expected.contains(&full(check));
    let unexpected = checks.iter().filter(bad).filter(|check| !is_expected(check)).map(|check| {
        let why = check.error_message.as_deref().unwrap_or("no reason given");
        format!("{} {}: {why}", check.status, full(check))
    });
    let ran: BTreeSet<_> = checks.iter().map(|check| check.scenario.as_str()).collect();
    let fails = |entry: &str| {
        checks.iter().filter(bad).any(|check| check.scenario == entry || full(check) == entry)
    };
    let stale = expected.iter().filter(|entry| {
        let scenario = entry.split(':').next().unwrap_or(entry);
        ran.contains(scenario) && !fails(entry)
    });
    let stale = stale.map(|entry| format!("STALE {entry}: it passes, so remove it from the list"));
    unexpected.chain(stale).collect()
}

/// The entries under `server:` of an expected-failures file, which is a flat list.
pub(super) fn expected(file: &Path) -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let entries = text.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let bare = |entry: &str| {
        let entry = entry.split(" #").next().unwrap_or(entry);
        entry.trim().trim_matches(['"', '\'']).to_owned()
    };
    entries.map(bare).collect()
}

/// `server-tools-list-2026-11-21T02-34-23-074Z` is a run of `tools-list`.
fn scenario_of(directory: &str) -> &str {
    const TIME: usize = "-2026-11-21T02-34-23-074Z".len();
    let name = directory.strip_prefix("server-").unwrap_or(directory);
    name.get(..name.len().saturating_sub(TIME)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scenario: &str, id: &str, status: &str) -> Check {
        let (id, status) = (id.to_owned(), status.to_owned());
        Check { id, status, error_message: None, scenario: scenario.to_owned() }
    }

    #[test]
    fn names_the_scenario_of_a_run() {
        assert_eq!(
            scenario_of("server-server-stateless-2026-11-21T02-34-23-074Z"),
            "server-stateless"
        );
    }

    #[test]
    fn complains_of_what_nobody_expected_and_of_what_no_longer_fails() {
        let checks = [
            check("a", "one", "FAILURE"),
            check("a", "two", "SUCCESS"),
            check("b", "three", "WARNING"),
            check("c", "four", "SUCCESS"),
        ];
        let expected = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
        assert_eq!(complaints(&checks, &expected(&["a", "b:three"])), [""; 0]);
        assert_eq!(complaints(&checks, &expected(&["a:one"])).len(), 1, "b:three is unexpected");
        assert_eq!(complaints(&checks, &expected(&["a", "b", "c"])).len(), 1, "c is stale");
        assert_eq!(complaints(&checks, &expected(&["a", "b", "not-run"])), [""; 0]);
    }
}
