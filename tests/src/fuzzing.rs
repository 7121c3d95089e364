//! What must hold of any bytes whatever: each function panics where it does not.
//!
//! `cargo xtask fuzz` searches for such bytes, with coverage to guide it; `tests/fuzz_corpus.rs`
//! tries those again that were worth keeping. Each file stands for itself, because the fuzzer's own
//! workspace takes it in by its path.

pub mod agreement;
pub mod edits;
pub mod events;
pub mod lines;
pub mod messages;
