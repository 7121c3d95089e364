//! Real processes, real sockets, real peers: what the gateway is tested against, and the tests.
//!
//! The workspace's other tests are small and exact. The ones in this package start the gateway that
//! people run, put real servers behind it and real clients in front of it, and look at the bytes.
//!
//! ```text
//!   clients                        gateway                     servers
//!   conformance suite  ─┐                                  ┌─ conformance-fixture (rmcp)
//!   python, inspector,  ├──────►  mcp-manager up  ──────►  ├─ misbehave (one flag a fault)
//!   mcporter, rmcp,     │                                  └─ server-everything, -time, ...
//!   raw bytes          ─┘
//! ```
//!
//! Peers from other registries are pinned in `tests/peers` and installed by `cargo xtask setup`.
//!
//! - [`fixture`]: the server that the official conformance suite asks for.
//! - [`conformance`]: that suite, against the fixture, directly and through the gateway.
//! - [`misbehave`]: a server that is wrong on request. [`forgetful`]: one over HTTP that forgets its sessions.
//! - [`gateway`], [`face`]: a gateway on a configuration of its own, over HTTP and over stdio.
//! - [`servers`]: what stands in that configuration.
//! - [`clients`], [`tour`], [`typed`], [`raw`]: clients that others wrote, rmcp as a client, and bare bytes.
//! - [`relay`]: the network between them, which can be cut.
//! - [`peers`]: where every program is.
//! - [`fuzzing`]: what holds of any bytes whatever. [`soak`]: what holds of a fleet under a killer.
//! - [`process`]: child processes that end. [`census`]: whether they did. [`wait`]: until they do.

#![allow(clippy::print_stdout, reason = "its programs speak to people")]

pub mod census;
pub mod clients;
pub mod conformance;
pub mod face;
pub mod fixture;
pub mod forgetful;
pub mod fuzzing;
pub mod gateway;
pub mod lines;
pub mod misbehave;
pub mod operated;
pub mod peers;
pub mod process;
pub mod raw;
pub mod relay;
pub mod servers;
pub mod soak;
pub mod tour;
pub mod typed;
pub mod wait;
