//! A circuit breaker: stops calling what fails, asks now and then, and comes back.
//!
//! # The idea
//!
//! Whoever goes on calling a server that fails adds load where there is none to spare, and waits for an
//! answer that is known before. A breaker looks at how calls end. When too many end badly it refuses
//! them for a while, at no cost; then it lets a few through as probes, and those decide.
//!
//! ```text
//!            failures in a row, or a share of failed or slow calls
//!    Closed ──────────────────────────────────────────────────────▶ Open ◀─────────┐
//!      ▲                                                             │             │
//!      │                                         the cooldown is over│             │
//!      │         so many probes succeeded                            ▼             │
//!      └───────────────────────────────────────────────────────── HalfOpen ────────┘
//!                                                                          a probe failed
//! ```
//!
//! By hand it is forced open or forced closed, from any state, until it is forced otherwise or reset.
//!
//! # What holds
//!
//! - A success never opens it. It is judged after each call that failed or was slow.
//! - Never are more probes under way than [`Config::probes`]; one that is cancelled gives its place
//!   back, and one that is lost has it until [`Config::probe_timeout`].
//! - A call that was let through before the state last changed decides nothing.
//! - Each state and each refusal says [why](Cause): "14 of 20 calls failed, 50 % is the limit".
//! - Memory is constant: 4 KiB, and a byte for each call of a [window](Window) of calls.
//!
//! # The layers
//!
//! - [`Core`] is the state machine: told the time, the sums of the window and the ends of probes.
//! - [`Breaker`] is shared by threads. While it is closed, calls are counted in atomics and nothing is
//!   locked, and while it is open, it refuses without a lock. Whatever changes the state is decided by
//!   its `Core`, behind a lock.
//! - [`Permit`] is a call under way, [`Ticket`] one for those who keep the breaker beside it.
//! - `Breaker::call` (feature `tokio`, on by default) reads the clock for a future, and `BreakerLayer`
//!   (feature `tower`) for a service.
//!
//! # Example
//!
//! ```
//! # #![allow(clippy::disallowed_methods)]
//! use std::time::{Duration, Instant};
//!
//! use mcp_breaker::{Breaker, Config, Outcome, State};
//!
//! let mut now = Instant::now();
//! let breaker = Breaker::new(Config::default(), now)?;
//! for _ in 0..5 {
//!     let permit = breaker.permit(now)?;
//!     now += Duration::from_millis(20);
//!     permit.record(Outcome::Failure, now);
//! }
//! let refused = breaker.permit(now).unwrap_err();
//! assert_eq!(refused.cause.to_string(), "5 calls failed in a row");
//!
//! // So much later two calls succeed, one after the other, and it closes.
//! now += refused.retry_after;
//! for _ in 0..2 {
//!     breaker.permit(now)?.record(Outcome::Success, now);
//! }
//! assert_eq!(breaker.state(now).state, State::Closed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! It repeats nothing, sets no timeout and chooses no other server. It knows no protocol: what an error
//! says of the server, its caller says.

mod breaker;
#[cfg(feature = "tokio")]
mod call;
mod cause;
mod config;
mod core;
mod counts;
#[cfg(feature = "tower")]
mod layer;
mod permit;
mod random;
mod stats;
mod ticks;

pub use crate::breaker::Breaker;
#[cfg(feature = "tokio")]
pub use crate::call::CallError;
pub use crate::cause::Cause;
pub use crate::config::{Config, ConfigError, Window};
pub use crate::core::{Core, Outcome, Rejected, Ticket};
#[cfg(feature = "tower")]
pub use crate::layer::{BreakerFuture, BreakerLayer, BreakerService};
pub use crate::permit::{OwnedPermit, Permit};
pub use crate::stats::{Change, State, Stats, Tally, View};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
