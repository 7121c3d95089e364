//! The tests: one build for all of them, then those of the crates, then those of the system.
//!
//! The system tests start `mcp-manager` and the programs of `tests/src/bin` from the folder that
//! they are built into themselves, so those have to be there first.

use std::process::Command;

use crate::shell::{cargo, command, output, run};
use crate::stream::count;
use crate::tally::{Runner, Tally};
use crate::workspace::target;

const SYSTEM: &str = "system-tests";
/// The same words for every build of code, so that every dependency is compiled once.
const ALL: &str = "--locked --workspace --all-features";

/// All that the suites run: test binaries, examples and programs.
pub(crate) fn build() -> Result<(), String> {
    run(cargo(&format!("build {ALL} --lib --bins --tests --examples")))
}

/// The tests of every crate, those of the system left out.
pub(crate) fn tests(tally: &mut Tally) -> Result<(), String> {
    if nextest() {
        return count(with_nextest(&format!("not package({SYSTEM})")), Runner::Nextest, tally);
    }
    let line = format!("test {ALL} --exclude {SYSTEM} --lib --bins --tests --no-fail-fast");
    count(cargo(&line), Runner::Libtest, tally)
}

pub(crate) fn doctests(tally: &mut Tally) -> Result<(), String> {
    count(cargo(&format!("test {ALL} --doc --no-fail-fast")), Runner::Libtest, tally)
}

/// `cargo xtask e2e`.
pub(crate) fn end_to_end(tally: &mut Tally) -> Result<(), String> {
    build()?;
    end_to_end_built(tally)
}

/// Both suites run, even when the first fails: they tell of different things.
pub(crate) fn end_to_end_built(tally: &mut Tally) -> Result<(), String> {
    let system = if nextest() {
        count(with_nextest(&format!("package({SYSTEM})")), Runner::Nextest, tally)
    } else {
        let line = format!("test {ALL} -p {SYSTEM} --lib --bins --tests --no-fail-fast");
        count(cargo(&line.replace(" --workspace", "")), Runner::Libtest, tally)
    };
    let conformance = count(driver(), Runner::Plain, tally);
    system.and(conformance)
}

/// `cargo xtask conformance`: the driver says what passed, pairing by pairing, and counts itself.
pub(crate) fn conformance_alone(arguments: &[String]) -> Result<(), String> {
    build()?;
    let mut driver = driver();
    driver.args(arguments);
    count(driver, Runner::Plain, &mut Tally::default())
}

/// `cargo xtask soak`.
pub(crate) fn soak(arguments: &[String]) -> Result<(), String> {
    build()?;
    let mut soak = command(target().join("debug/soak"), "");
    soak.args(arguments);
    run(soak)
}

fn with_nextest(tests: &str) -> Command {
    let config = "--config-file xtask/nextest.toml";
    let mut nextest = cargo(&format!("nextest run {ALL} {config} --no-fail-fast"));
    nextest.args(["-E", tests]);
    nextest
}

fn nextest() -> bool {
    output(cargo("nextest --version")).is_some()
}

/// Started as it was built: `cargo run -p` would choose other features, and compile for them.
fn driver() -> Command {
    command(target().join("debug/conformance"), "")
}
