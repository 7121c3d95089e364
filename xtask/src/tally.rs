//! How many tests passed and failed, read from the closing lines of those who ran them.

use std::fmt;
use std::ops::AddAssign;

/// Tests, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Whose closing lines to believe. Only one kind at a time: nextest shows the output of a test that
/// failed, and with it that test's own `test result:` line, which would be counted twice.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runner {
    /// `Summary [0.3s] 4 tests run: 3 passed (1 slow), 1 failed, 2 skipped`
    Nextest,
    /// `test result: ok. 3 passed; 1 failed; 0 ignored; …`, once per test binary
    Libtest,
    /// `3 passed, 1 failed`, as a whole line: our own drivers
    Plain,
}

impl Runner {
    /// The tests that this line counts, if it is a closing line.
    pub(crate) fn read(self, line: &str) -> Option<Tally> {
        let line = uncoloured(line);
        let line = line.trim();
        match self {
            Self::Nextest => {
                let (_, rest) = line.strip_prefix("Summary [")?.split_once(']')?;
                let (_, counts) = rest.split_once(" run: ")?;
                counted(&without_parentheses(counts), ',')
            }
            Self::Libtest => {
                let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
                counted(counts, ';')
            }
            Self::Plain => {
                let words = line.chars().all(|c| c.is_ascii_alphanumeric() || " ,".contains(c));
                let begins = line.starts_with(|c: char| c.is_ascii_digit());
                (words && begins && line.contains(" passed, ")).then(|| counted(line, ','))?
            }
        }
    }
}

/// Adds up `3 passed`, `1 failed`, `1 exec failed`, `2 timed out`; what else there is was not run.
fn counted(counts: &str, separator: char) -> Option<Tally> {
    let mut tally = Tally::default();
    for part in counts.split(separator) {
        let Some((number, what)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what.trim() {
            "passed" => tally.passed += number,
            "failed" | "exec failed" | "timed out" => tally.failed += number,
            _ => {}
        }
    }
    Some(tally)
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|c| {
            depth += u32::from(*c == '(');
            let keep = depth == 0;
            depth -= u32::from(*c == ')' && depth > 0);
            keep
        })
        .collect()
}

/// The text without the escape sequences that colour it.
fn uncoloured(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = rest.get(1..).unwrap_or_default();
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Option<Tally> {
        Some(Tally { passed, failed })
    }

    #[test]
    fn nextest() {
        let read = |line| Runner::Nextest.read(line);
        assert_eq!(
            read("     Summary [   0.345s] 12 tests run: 12 passed, 0 skipped"),
            tally(12, 0)
        );
        assert_eq!(
            read(
                "Summary [ 9.1s] 9 tests run: 6 passed (1 slow, 2 flaky), 1 failed, 2 timed out, 3 skipped"
            ),
            tally(6, 3)
        );
        assert_eq!(read("Summary [ 1s] 3/9 tests run: 1 passed, 2 exec failed"), tally(1, 2));
        assert_eq!(
            read(
                "\u{1b}[32;1m     Summary\u{1b}[0m [ 1s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped"
            ),
            tally(1, 0)
        );
        assert_eq!(read("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
    }

    #[test]
    fn libtest() {
        let read = |line| Runner::Libtest.read(line);
        let line = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(read(line), tally(3, 0));
        assert_eq!(read("test result: FAILED. 2 passed; 1 failed; 0 ignored"), tally(2, 1));
        assert_eq!(read("test a::b ... ok"), None);
    }

    #[test]
    fn our_own_drivers() {
        let read = |line| Runner::Plain.read(line);
        assert_eq!(read("30 passed, 2 failed"), tally(30, 2));
        assert_eq!(read("30 passed, 2 failed, 4 skipped"), tally(30, 2));
        assert_eq!(read("stdio: 30 passed, 2 failed"), None);
        assert_eq!(read("everything/2026 10 passed, 2 failed"), None);
        assert_eq!(read("3 passed checks"), None);
    }
}
