//! A fleet of MCP servers behind one dispatcher.
//!
//! # The idea
//!
//! A user has a dozen MCP servers: programs that speak over stdio, endpoints over HTTP, of two eras
//! of the protocol. A client wants one. This crate runs the servers, offers their tools, prompts
//! and resources together under names that do not collide, and takes each request to the server
//! that it is for, as the bytes that the client wrote.
//!
//! ```text
//!   Config ──▶ Plan ──▶ Fleet ──has──▶ Server ──has──▶ connections, processes
//!                         │              ▲
//!   Request ──▶ Call ──▶ dispatch ───────┘ route · connect · cross · call
//!                │                                  │
//!                └ Client (a session), Scope        └──▶ Exchange: messages, then an answer
//! ```
//!
//! # The words
//!
//! - A [`Plan`] is what a fleet is made of: a [`Definition`] of each server, and settings. It
//!   comes from a file ([`config`]), or from Rust code ([`Custom`]).
//! - A [`Fleet`] runs the servers of a plan: [`start`](Fleet::start),
//!   [`dispatch`](Fleet::dispatch), [`stop`](Fleet::stop). They come, go and change while it runs:
//!   [`add`](Fleet::add), [`remove`](Fleet::remove), [`update`](Fleet::update),
//!   [`apply`](Fleet::apply). A [`Server`] tells how it is doing ([`State`]).
//! - A [`Client`] is one that has a session (MCP up to 2025-11-25). Its connections to the
//!   servers are its own: what one client tells a server never shows to another. Stateless
//!   requests (2026-07-28) need none.
//! - A [`Scope`] is what a client sees: [all servers](Fleet::everything) under one roof, or
//!   [one](Fleet::just) as it is.
//! - A [`Call`] is one request, its client, its scope. [`Fleet::dispatch`] makes an [`Exchange`]
//!   of it, which brings messages on the way and then the answer. Dropping it cancels the call at
//!   the server.
//! - A [`Failure`] is why there is no answer: one stable code each.
//!
//! # Example
//!
//! The feature `demo` has three servers to try this on:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_manager::{Call, Definition, Fleet, Plan, demo};
//! use mcp_wire::{MODERN_VERSION, Message, Request, stateless_meta};
//!
//! let mut plan = Plan::default();
//! plan.servers = demo::fleet().into_iter().map(Definition::from).collect();
//! let fleet = Fleet::new(plan)?;
//! fleet.start();
//!
//! let meta = stateless_meta(MODERN_VERSION, "{}", None);
//! let arguments = r#"{"expression":"6 * 7"}"#;
//! let params = format!(
//!     r#"{{"name":"calculator__evaluate","arguments":{arguments},"_meta":{{{meta}}}}}"#
//! );
//! let request = Request::read(Message::request("1", "tools/call", &params))?;
//! let call = Call { request, client: None, scope: fleet.everything() };
//! let answer = fleet.dispatch(call).await?.reply().await?;
//! println!("{}", answer.as_str());
//! assert!(answer.as_str().contains("42"));
//!
//! fleet.stop().await;
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! - `pool` (on by default): spare processes for the sessions of servers that are `pooled`; without
//!   it, each session starts its own.
//! - `demo` (on by default): [`demo`], a clock, a calculator and a notebook inside this process.
//! - `watch` (on by default): `reload::Reloader::follow`, which reloads when the file changes.
//! - `ws` (on by default): servers at `ws://` and `wss://`.
//!
//! # What keeps it running
//!
//! A server has one replica or several. Each is kept open by a supervisor of its own, and calls are
//! taken in turn to those that answer.
//!
//! ```text
//!   Server ──▶ LineUp, replaced as a whole       by update, restart, scale, the load
//!                ├ Opener      the definition    opens sessions of clients
//!                └ Replica 0.. Supervised        keeps a connection of ours open, with backoff
//! ```
//!
//! While no replica is ready a call waits for one that starts, and up to five seconds for one that
//! died; where starts fail it is told at once why, and when the next one is. What is new is started
//! before what is old is ended; the old ends with its calls, or after the drain timeout. A client's
//! session is then opened anew, and told what the one before was told.
//!
//! # What it does not do
//!
//! It listens nowhere: that is `mcp-gateway`. It does not cache, or balance beyond taking the
//! replicas in turn.

mod address;
mod again;
mod asked;
mod assess;
mod autoscale;
mod bridge;
mod care;
mod catalog;
mod chance;
mod checks;
mod client;
mod clients;
pub mod config;
mod connect;
mod definition;
mod demand;
#[cfg(feature = "demo")]
pub mod demo;
mod dispatch;
mod doubt;
mod duty;
mod ears;
mod exchange;
mod failure;
mod fallback;
mod feed;
mod fleet;
mod gate;
mod handles;
mod header_params;
mod hear;
mod hedge;
mod hello;
mod hold;
mod judge;
mod keep;
mod keeper;
mod lease;
mod line_up;
mod link;
mod listen;
mod lists;
mod live;
mod load;
mod logbook;
mod memory;
mod names;
mod opener;
mod operations;
mod outlet;
mod pace;
mod park;
mod profile;
mod questions;
mod redact;
pub mod reload;
mod renew;
mod replica;
mod roster;
mod rounds;
mod route;
mod scaling;
mod scope;
mod seal;
mod server;
mod shape;
mod slot;
#[cfg(feature = "pool")]
mod spares;
mod state;
mod stateless;
mod steer;
mod tcp;
mod treatment;
mod turnover;
mod upstream;
mod verdict;
mod waiting;

pub use mcp_breaker as breaker;
pub use mcp_bulkhead as bulkhead;
pub use mcp_failover as failover;
pub use mcp_health as health;
pub use mcp_router as router;
pub use mcp_supervisor as supervisor;

pub use crate::client::Client;
pub use crate::definition::{Custom, Definition, Source, Start, Streams};
pub use crate::dispatch::Call;
pub use crate::exchange::Exchange;
pub use crate::failure::Failure;
pub use crate::fleet::{Fleet, Plan};
pub use crate::header_params::HeaderParam;
pub use crate::hold::{Circuit, Hold};
pub use crate::lists::{COLLISIONS, MISSING};
pub use crate::logbook::{LogLine, Logbook};
pub use crate::memory::Memory;
pub use crate::operations::{Action, Changes, Report};
pub use crate::pace::CallStats;
pub use crate::scope::Scope;
pub use crate::server::Server;
pub use crate::state::{CircuitStatus, ReplicaStatus, State, ToolStatus, Totals};

#[cfg(feature = "pool")]
pub use mcp_pool::Stats as PoolStats;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
