//! The inputs that a fuzzer found worth keeping, and those that once broke something.

use std::fs;

use system_tests::fuzzing;
use system_tests::peers::file;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = file("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).collect();
    inputs.sort_by_key(fs::DirEntry::file_name);
    assert!(inputs.len() > 10, "{} has a corpus", folder.display());
    for input in inputs {
        println!("{}", input.path().display());
        run(&fs::read(input.path()).unwrap());
    }
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
