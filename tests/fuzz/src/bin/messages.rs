//! See `tests/src/fuzzing/messages.rs`.
#![no_main]

#[path = "../../../src/fuzzing/messages.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
