//! What the gateway costs, measured against the least that a hop can cost.
//!
//! A gateway's calls per second mean nothing without the machine they were measured on. Here every
//! figure stands beside that of a *floor* taken in the same run: a hop that does what any hop must
//! and nothing else. Slices of one second alternate between all targets, so that whatever else the
//! machine does falls on all of them.
//!
//! ```text
//!                +--> upstream-http                          direct
//!   load --------+--> hop-copy ------> upstream-http         floor over HTTP
//!   (this        +--> mcp-manager up > upstream-http         the gateway over HTTP
//!    process)    +--> hop-stdio -----> upstream-stdio ...    floor over stdio, a child a session
//!                +--> mcp-manager up > upstream-stdio ...    the gateway over stdio
//! ```
//!
//! The load program is a closed loop: N sessions, each on a connection of its own, each sending its
//! next call when the last one is answered. Every answer is checked for its id and its text, and
//! the first wrong one ends the run. Each hop runs once on one thread and once on two; the faster
//! is the floor.
//!
//! `cargo run --release -p benches --bin gateway -- --help` says what can be chosen; `--floors`
//! measures without a gateway.

mod answer;
mod arrivals;
mod body;
mod child;
mod cli;
mod clock;
mod echo;
mod fault_proxy;
mod fleet;
mod histogram;
mod hop_copy;
mod hop_stdio;
mod isolation;
mod load;
pub mod messages;
mod pool;
mod proc;
mod process;
mod random;
mod report;
mod serve;
mod session;
mod sessions;
mod targets;
mod upstream_http;
mod upstream_stdio;
mod upstream_ticker;
mod upstream_trouble;
mod work;

pub use cli::main;
