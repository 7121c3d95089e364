//! The inputs that a fuzzer found worth keeping, and those that once broke something.

#![allow(clippy::print_stderr, reason = "a failed test says which input it was")]

use std::fs;

use system_tests::fuzzing;
use system_tests::peers::file;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = file("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder).expect("a corpus").flatten().collect();
    inputs.sort_by_key(fs::DirEntry::file_name);
    assert!(inputs.len() > 10, "{} has a corpus", folder.display());
    for input in inputs {
        let bytes = fs::read(input.path()).expect("an input");
        // The test's output names the input that broke it.
        eprintln!("{}", input.path().display());
        run(&bytes);
    }
}

#[test]
fn agreement() {
    replay("agreement", fuzzing::agreement::run);
}

#[test]
fn messages() {
    replay("messages", fuzzing::messages::run);
}

#[test]
fn edits() {
    replay("edits", fuzzing::edits::run);
}

#[test]
fn events() {
    replay("events", fuzzing::events::run);
}

#[test]
fn lines() {
    replay("lines", fuzzing::lines::run);
}
