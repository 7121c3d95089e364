//! See `tests/src/fuzzing/events.rs`.
#![no_main]

#[path = "../../../src/fuzzing/events.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
