//! A keyed pool of connections with fair waiting, warm spares and exact lifetimes.
//!
//! # The idea
//!
//! Making a connection costs: a handshake at least, a process that takes a second to start at worst.
//! A pool makes it once and lends it many times. What is hard about a pool is everything else: that
//! it never opens more than it may, that whoever waits is served in the order of arrival, that a
//! caller who gives up takes nothing with it, and that what is old, idle or broken goes without
//! anyone having to ask.
//!
//! ```text
//!                      acquire                   drop
//!              idle ────────────▶ lent ────────────────────▶ idle, or to who waits longest
//!               ▲ │                │ └─ discard, broken, old ──▶ closed
//!   connected ──┘ └─▶ checked      └─ detach ──▶ yours
//!               │       │
//!               └───────┴─ old, idle for too long, unhealthy, evicted ──▶ closed
//! ```
//!
//! # What holds
//!
//! - Never are more connections open than `max_open`, of one key never more than `pool_size` and
//!   `max_overflow`: from before one is made until its end is over.
//! - Those who wait for one key are served strictly in the order of arrival. A place that comes free
//!   goes to whoever wants one longest, of whatever key; for it the longest idle of any key is
//!   closed, and a key with nothing open is not kept out by one that is busy.
//! - A caller that is cancelled leaves no trace. What it caused to be made, or was about to get,
//!   goes to the next.
//! - A lifetime or an idle time ends at its moment, because one timer sleeps until the earliest of
//!   them. A checkout reads no clock for it, and a return reads it once.
//! - Whatever is awaited has a bound: `Config` names it.
//!
//! # The layers
//!
//! - [`Ledger`] is the pool as a state machine: told the time and random bits, it says in [`Orders`]
//!   what to connect, check, close and wake. It does no I/O and starts no task.
//! - [`Pool`], [`KeyedPool`] and [`Lease`] (feature `tokio`, on by default) put it behind a lock, and
//!   do its orders in tasks.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_pool::{Config, Manage, Pool};
//!
//! struct Greetings;
//!
//! impl Manage for Greetings {
//!     type Key = &'static str;
//!     type Connection = String;
//!     type Error = std::io::Error;
//!
//!     async fn connect(&self, name: &&'static str) -> Result<String, std::io::Error> {
//!         Ok(format!("hello {name}"))
//!     }
//! }
//!
//! let pool = Pool::new(Greetings, Config::default())?;
//! let world = pool.key(&"world")?;
//! for _ in 0..3 {
//!     assert_eq!(*world.acquire().await?, "hello world");
//! }
//! assert_eq!(world.stats().created, 1);
//! pool.close(std::time::Duration::from_secs(5)).await?;
//! # Ok(()) }
//! ```
//!
//! # Spares
//!
//! With `min_idle`, connections are made before anyone asks. A caller that needs one for itself
//! alone [detaches](Lease::detach) it, and the pool makes the next in the background: what would
//! have been a cold start is a checkout. Attempts that fail, and spares that break unused, are
//! followed by pauses that double.
//!
//! # What it does not do
//!
//! It does not retry a connect that a caller waits for, share one connection between callers, or
//! choose between keys. The timer runs as a task: when the runtime is held up for longer than that,
//! so is the end of a lifetime.

mod book;
mod config;
mod error;
mod held;
mod ledger;
mod manage;
mod moment;
mod orders;
mod queue;
mod stats;
mod times;

#[cfg(feature = "tokio")]
mod driver;
#[cfg(feature = "tokio")]
mod keyed;
#[cfg(feature = "tokio")]
mod lease;
#[cfg(feature = "tokio")]
mod pool;
#[cfg(feature = "tokio")]
mod shared;
#[cfg(feature = "tokio")]
mod waiting;

pub use crate::book::Grant;
pub use crate::config::Config;
pub use crate::error::{AcquireError, CloseError, ConfigError};
pub use crate::held::Held;
pub use crate::ledger::{ConnectFailure, Fate, Ledger, Slot, Ticket};
pub use crate::manage::Manage;
pub use crate::orders::{Order, Orders};
pub use crate::stats::{Cause, Closed, Stats};
#[cfg(feature = "tokio")]
pub use crate::{keyed::KeyedPool, lease::Lease, pool::Pool};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
