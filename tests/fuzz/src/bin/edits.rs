//! See `tests/src/fuzzing/edits.rs`.
#![no_main]

#[path = "../../../src/fuzzing/edits.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
