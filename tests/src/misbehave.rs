//! A stdio server with a flag for every way in which servers misbehave.
//!
//! Written by hand on raw JSON lines, so that it can be wrong in ways that a library does not allow.
//! Without flags it is a correct server of the legacy era with these tools:
//!
//! | tool | arguments | answers |
//! |---|---|---|
//! | `echo` | `message` | `Echo: <message>` |
//! | `slow` | `ms` | `Slept <ms> ms` after that time; nothing once it was cancelled |
//! | `burst` | `count` | `Sent <count>`, right after that many progress notifications |
//! | `steps` | `count`, `ms`, and if need be `bytes` | `Took <count> steps`: as many progress notifications, each of `bytes`, and so many ms after each |
//! | `raw` | | [`RAW_RESULT`], byte for byte |
//! | `pid` | | the process id, as text |
//! | `die` | `code`, or `abort` | nothing: the process ends |
//!
//! What is not a good answer carries the word [`WRONG`]: no client may ever see it.

mod answers;
mod args;
mod frames;
mod output;
mod server;

pub use answers::{RAW_RESULT, WEIRD_ERROR, WEIRD_RESULT, WRONG};
pub use args::Args;

/// Serves stdin until it ends, or until a flag or a tool has it end differently.
pub fn run(args: &Args) {
    server::run(args);
}
