//! Chooses which of several replicas gets a call, by what became of the calls before.
//!
//! # The idea
//!
//! To deal calls out in turn is fair to servers and unfair to callers: one replica that is slow, busy
//! or broken gets as many as the others, and the tail of all response times is its own. Whoever sends
//! calls can know better, without asking anyone: it sees how many it has under way at each replica,
//! how long they took, and which failed. A call goes where the next one is likely to cost the least.
//!
//! ```text
//!                     pick                                  finish, or drop
//!   ask ──▶ least word of the board ──▶ in flight ──▶ answer ──▶ response time, outcome
//!                     ▲                     │                            │
//!                     └──── its word is written anew ◀───────────────────┘
//!                           cost = (in flight + 1) × what a call takes alone
//!                                  × doubt × price of the zone ÷ weight
//! ```
//!
//! # What holds
//!
//! - What is excluded is picked only if there is nothing else, what cannot be called or is not able
//!   never.
//! - Never are more ejected than the cap allows, and never all.
//! - Nobody starves: what was slow, failed or was ejected is tried again.
//! - A call that is dropped is not in flight any more, and neither is one whose set was changed.
//! - A choice waits for no lock and allocates nothing. Up to 128 endpoints all are compared; of more,
//!   some that are taken at random.
//! - Memory is bounded by the endpoints and by `sticky_keys_max`.
//!
//! # The parts
//!
//! - [`Balancer`] is a set of endpoints. It is changed by copying: [`Balancer::changed`] makes the next
//!   one, which knows what this one knew, and an index always belongs to the set it came from.
//! - [`Picked`] is a call in flight; [`Picked::finish`] says what became of it.
//! - [`Strategy`] is how it is chosen; all of them heed states, ejection, slow starts, zones, subsets
//!   and sticky keys.
//! - [`Stats`] is what became of the calls.
//!
//! # Example
//!
//! ```
//! # #![allow(clippy::disallowed_methods)]
//! use std::time::{Duration, Instant};
//!
//! use mcp_balance::{Ask, Balancer, Config, Outcome, Spec};
//!
//! let mut now = Instant::now();
//! let empty = Balancer::new(Config::default(), now)?;
//! let balancer = empty.changed(["left", "right"].map(Spec::new), now)?;
//!
//! let first = balancer.pick(&Ask::new(7), now).ok_or("nobody to call")?;
//! let second = balancer.pick(&Ask::new(8), now).ok_or("nobody to call")?;
//! assert_ne!(first.index(), second.index());
//! now += Duration::from_millis(20);
//! first.finish(Outcome::Success, now);
//! drop(second); // given up: it says nothing
//!
//! let stats = balancer.stats(now);
//! assert_eq!(stats.endpoints[0].in_flight + stats.endpoints[1].in_flight, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! It opens no connection, probes nobody, retries nothing and reads no clock: it is told the time and
//! random bits. A call that runs into its deadline is to be finished as a failure; dropped, it would
//! say nothing.

mod balancer;
mod bandit;
mod board;
mod choose;
mod config;
mod cost;
mod ejection;
mod endpoint;
mod gauge;
mod hashing;
mod picked;
mod response;
mod scan;
mod set;
mod shared;
mod stats;
mod sticky;
mod strategy;

pub use crate::balancer::{Ask, Balancer, SetError};
pub use crate::config::{Config, ConfigError, Ejection, Hashing};
pub use crate::endpoint::{Spec, State};
pub use crate::hashing::hash_key;
pub use crate::picked::{Outcome, Picked};
pub use crate::stats::{EndpointStats, Stats};
pub use crate::strategy::{Strategy, UnknownStrategy};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
