//! Turns probes and call results into a health state that does not flap.
//!
//! # The idea
//!
//! Whether something is well is asked in two ways: by a probe now and then, and by looking at what
//! becomes of the calls that are made anyway. Neither answer alone is to be believed. One probe that
//! got lost is no failure, one that got through is no recovery, and a server that answers calls is
//! alive whatever its probes say. So results are counted, and the state changes only when enough of
//! them agree.
//!
//! ```text
//!                     good                     failures or slow answers
//!      Unknown ─────────────────▶ Healthy ◀──────────────────────────────▶ Degraded
//!         │                          │ ▲          fewer than half as many      │
//!         │ N bad probes in a row    │ │ M good in a row                       │
//!         └───────────────────────▶ Unhealthy ◀────────────────────────────────┘
//! ```
//!
//! # What holds
//!
//! - No state is left because of a single result, except [`State::Unknown`] by a good one.
//! - A probe that is not understood ([`Outcome::Unsupported`]) is an answer, and so a sign of life.
//! - Failed calls degrade; only probes that fail in a row, with no call that succeeds between them,
//!   make unhealthy. A broken argument of one client takes no server away from the others.
//! - Memory is constant, whatever is told.
//!
//! # The layers
//!
//! - [`Health`] is the state machine, told the time and the results.
//! - [`PhiAccrual`] says how surprising a silence is, for those who hear heartbeats rather than ask.
//! - [`Prober`] (feature `tokio`, on by default) asks what its caller says to ask, never twice at a
//!   time, each interval a little different.
//! - [`Summary`] adds many up.
//!
//! # Example
//!
//! ```
//! # #![allow(clippy::disallowed_methods)]
//! use std::time::{Duration, Instant};
//!
//! use mcp_health::{Config, Health, Outcome, State};
//!
//! let mut now = Instant::now();
//! let mut health = Health::new(Config::default(), now)?;
//! health.probed(&Outcome::Good, Duration::from_millis(3), now);
//! assert_eq!(health.state(), State::Healthy);
//! for _ in 0..3 {
//!     assert_eq!(health.state(), State::Healthy, "three in a row it takes");
//!     now += Duration::from_secs(30);
//!     health.probed(&Outcome::Bad("no answer".into()), Duration::from_secs(5), now);
//! }
//! assert_eq!(health.state(), State::Unhealthy);
//! # Ok::<(), mcp_health::ConfigError>(())
//! ```
//!
//! # What it does not do
//!
//! It knows no protocol: what a probe is, its caller says. It restarts nothing and takes nothing out
//! of service; it says when to.

mod config;
mod health;
mod phi;
#[cfg(feature = "tokio")]
mod prober;
mod summary;
mod window;

pub use crate::config::{Config, ConfigError};
pub use crate::health::{Calls, Change, Health, Outcome, Report, State};
pub use crate::phi::{PhiAccrual, PhiConfig};
#[cfg(feature = "tokio")]
pub use crate::prober::{Check, Passive, Prober};
pub use crate::summary::Summary;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
