//! See `tests/src/fuzzing/lines.rs`.
#![no_main]

#[path = "../../../src/fuzzing/lines.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
