//! What the suite found, and what it was expected to find.

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::path::Path;

use serde::Deserialize;

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    /// Without those that were expected to fail.
    pub(super) failed: usize,
    /// Failed, and known to.
    pub(super) expected: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.expected += other.expected;
    }
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

/// A client that broke off: what it had done until then may satisfy every check all the same.
pub(super) fn broken_off(scenario: &str, why: &str) -> Check {
    Check {
        id: "client-ended-well".to_owned(),
        status: "FAILURE".to_owned(),
        error_message: Some(why.to_owned()),
        scenario: scenario.to_owned(),
    }
}

/// How many checks succeeded and how many failed, as the suite itself counts.
pub(super) fn counted(checks: &[Check]) -> (usize, usize) {
    let with = |status: &str| checks.iter().filter(|check| check.status == status).count();
    (with("SUCCESS"), with("FAILURE"))
}

/// What may fail in one run, as `scenario` or `scenario:check-id`.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// Known to fail, until it is repaired.
    pub(super) expected: BTreeSet<String>,
    /// Without meaning in this run.
    pub(super) excluded: BTreeSet<String>,
}

/// Counts the `checks`, and says what is wrong with them.
///
/// The suite itself looks only at the scenarios that it scores. The rest, tasks and header
/// validation among them, matter here as much; and so do its warnings.
pub(super) fn judge(checks: &[Check], allowed: &Allowed) -> (Tally, Vec<String>) {
    let named = |list: &BTreeSet<String>, check: &Check| {
        list.contains(&check.scenario) || list.contains(&check.name())
    };
    let (mut tally, mut complaints) = (Tally::default(), Vec::new());
    for check in checks.iter().filter(|check| !named(&allowed.excluded, check)) {
        if check.status == "SUCCESS" {
            tally.passed += 1;
        } else if check.failed() && named(&allowed.expected, check) {
            tally.expected += 1;
        } else if check.failed() {
            tally.failed += 1;
            let why = check.error_message.as_deref().unwrap_or("no reason given");
            complaints.push(format!("{} {}: {why}", check.status, check.name()));
        }
    }
    let stale = |entry: &&String| {
        let scenario = entry.split(':').next().unwrap_or(entry);
        let ran = checks.iter().any(|check| check.scenario == scenario);
        let fails = |check: &&Check| check.scenario == **entry || check.name() == **entry;
        ran && !checks.iter().filter(fails).any(Check::failed)
    };
    complaints.extend(
        allowed
            .expected
            .iter()
            .filter(stale)
            .map(|entry| format!("STALE {entry}: it does not fail, so take it off the list")),
    );
    (tally, complaints)
}

impl Check {
    fn name(&self) -> String {
        format!("{}:{}", self.scenario, self.id)
    }

    fn failed(&self) -> bool {
        matches!(self.status.as_str(), "FAILURE" | "WARNING")
    }
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
        let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
        let judge = |expected: &[&str], excluded: &[&str]| {
            let allowed = Allowed { expected: list(expected), excluded: list(excluded) };
            let (tally, complaints) = judge(&checks, &allowed);
            (tally.passed, tally.failed, tally.expected, complaints.len())
        };
        assert_eq!(judge(&["a", "b:three"], &[]), (2, 0, 2, 0));
        assert_eq!(judge(&["a:one"], &[]), (2, 1, 1, 1), "b:three is unexpected");
        assert_eq!(judge(&["a", "b", "c"], &[]), (2, 0, 2, 1), "c is stale");
        assert_eq!(judge(&["a", "b", "not-run"], &[]), (2, 0, 2, 0));
        assert_eq!(judge(&["b"], &["a"]), (1, 0, 1, 0), "what is excluded is not counted");
        assert_eq!(judge(&["b"], &["a:one"]), (2, 0, 1, 0), "nor is one check alone");
    }
}
