//! Who serves when somebody fails, and which calls are made again.
//!
//! # The idea
//!
//! When one of several servers fails, two questions arise. Who is called from now on: that is a *plan*, which
//! knows who is preferred, who stands by, and when things go back to how they were. And what becomes of
//! the calls that have failed: some may be made again elsewhere, others might be carried out twice, and
//! all of them together must not be what brings down the servers that are left.
//!
//! ```text
//!   up, down, drained ──▶ Group ──▶ who serves, history          call ──▶ Attempts ──▶ send · wait · give up
//!                         │ plan: active-active, active-passive,              │  safety, deadline, backoff
//!                         │ n+1, cross-datacenter                             └─▶ Budget: repeats of all calls
//!                         └ hold-down, failback, force
//! ```
//!
//! # What holds
//!
//! - While somebody is up, somebody serves; and never more than the plan says.
//! - A call that is not safe to repeat reaches at most one server once.
//! - Retries and hedges are never more than a share of the calls, and so many a second.
//! - No attempt begins that could not be answered before the call's deadline.
//! - A call that is answered at once takes no lock and allocates nothing.
//!
//! # The parts
//!
//! - [`Group`] decides who serves ([`Plan`]); it is told who is up, and remembers what it changed
//!   ([`Change`], [`GroupStats`]).
//! - [`Attempts`] decides what is done for one call, by a [`Policy`]; `Retry` does it (feature `tokio`).
//! - [`Budget`] is shared by all calls to one server. With feature `tower` it is one of tower's, too.
//! - [`Latencies`] knows which calls are late, for hedges.
//!
//! Nothing here reads a clock or has chance of its own, but for `Retry`.
//!
//! # Example
//!
//! ```
//! # #![allow(clippy::disallowed_methods)]
//! use std::time::Instant;
//!
//! use mcp_failover::{Group, GroupConfig, Health, Plan};
//!
//! let now = Instant::now();
//! let mut group = Group::new(GroupConfig::new(3, Plan::ActivePassive), now)?;
//! for member in 0..3 {
//!     group.tell(member, Health::Up, now);
//! }
//! assert_eq!(group.active(), [0]);
//! group.tell(0, Health::Down, now);
//! assert_eq!(group.active(), [1]);
//! # Ok::<(), mcp_failover::ConfigError>(())
//! ```
//!
//! # What it does not do
//!
//! It finds nothing out: whoever asks for health tells it. It keeps no state of servers, and fences nobody:
//! two groups on two machines do not agree. That takes consensus, and is to come.

mod config_error;
mod plan;
mod retry;

pub use crate::config_error::ConfigError;
pub use crate::plan::config::{Failback, GroupConfig, Member, Plan};
pub use crate::plan::group::{CannotForce, Group, Health};
pub use crate::plan::history::{Change, GroupStats, Why};
pub use crate::retry::attempts::{Attempts, Expected, Step};
pub use crate::retry::backoff::Backoff;
pub use crate::retry::budget::{Budget, BudgetConfig};
pub use crate::retry::call::{Attempt, Call, Failure, Kind, Safety, Sent, Verdict};
pub use crate::retry::gave_up::{GaveUp, Reason};
pub use crate::retry::latencies::Latencies;
pub use crate::retry::policy::{Hedge, Policy};
#[cfg(feature = "tokio")]
pub use crate::retry::run::Retry;
pub use crate::retry::stats::RetryStats;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
