//! Limits how many calls are under way, who waits for how long, and how many one caller makes.
//!
//! # The idea
//!
//! A server that is given more calls than it can do at a time does not do more of them: it does each of
//! them later, until nobody waits for the answers any more. A bulkhead lets in as many as the server can
//! do, has a few wait, and refuses the others at once. Who waits is served fairly, so that one caller with
//! a hundred times as many calls as the others has its own share and not theirs.
//!
//! ```text
//!             room                          ┌─────────────┐
//!   ask ──────────────────────────────────▶ │  under way  │──▶ finish, or drop
//!    │  none                        turn    └─────────────┘
//!    └──────▶ queue: fair between tenants ────▲      │ what it took
//!             by priority and age in each             ▼
//!               │ full · waited too long · stale    limit (adaptive)
//!               ▼
//!            rejected
//! ```
//!
//! # What holds
//!
//! - Never are more calls under way than the limit was when they began, whatever is dropped and when.
//! - A permit that is free and somebody who waits never stay together.
//! - Nobody starves: a priority is a head start of a fixed time, and tenants take turns.
//! - While there is room a permit is one exchange of one word, without a lock.
//! - Nothing grows with the number of callers: who waits is bounded, and callers beyond ten thousand share
//!   one rate.
//!
//! # The parts
//!
//! - [`Bulkhead`]: the limit and the queue. [`Bulkhead::try_permit`] needs no runtime,
//!   `Bulkhead::permit` waits (feature `tokio`).
//! - [`Permit`], [`OwnedPermit`]: a call under way; what it says at its end ([`Sample`]) moves a limit that
//!   is [`Adaptive`].
//! - `Rates`: so many calls of each caller in a time (feature `rates`).
//! - `BulkheadLayer`: a `tower` service behind a bulkhead (feature `tower`).
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_bulkhead::{Ask, Bulkhead, Config};
//!
//! let mut config = Config::default();
//! config.limit = 2;
//! let bulkhead = Bulkhead::new(config)?;
//! let (one, _two) = (bulkhead.try_permit()?, bulkhead.try_permit()?);
//! assert!(bulkhead.try_permit().is_err());
//!
//! // Whoever can wait has the next one that is free.
//! let waiting = bulkhead.permit(Ask::of(7).with_priority(9));
//! drop(one);
//! let _permit = waiting.await?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! # What it does not do
//!
//! It sets no deadline for a call and repeats nothing. It knows one process: limits of several are added.

#[cfg(feature = "tokio")]
mod acquire;
mod bulkhead;
mod config;
mod error;
mod gradient;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "tokio")]
mod line;
mod permit;
#[cfg(feature = "tokio")]
mod queue;
#[cfg(feature = "rates")]
mod rates;
mod stats;
#[cfg(feature = "tokio")]
mod ticket;
mod word;

pub use crate::bulkhead::{Bulkhead, Sample};
pub use crate::config::{Adaptive, Config, ConfigError};
pub use crate::error::Rejected;
#[cfg(feature = "tower")]
pub use crate::layer::{BulkheadFuture, BulkheadLayer, BulkheadService, CallError};
pub use crate::permit::{OwnedPermit, Permit};
#[cfg(feature = "tokio")]
pub use crate::queue::Ask;
#[cfg(feature = "rates")]
pub use crate::rates::Rates;
pub use crate::stats::Stats;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
