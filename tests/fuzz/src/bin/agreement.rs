//! See `tests/src/fuzzing/agreement.rs`.
#![no_main]

#[path = "../../../src/fuzzing/agreement.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
