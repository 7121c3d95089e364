//! The door to a fleet of MCP servers.
//!
//! # The idea
//!
//! A [`Fleet`](mcp_manager::Fleet) takes requests to servers, and knows nothing of who asks. This
//! crate lets clients in: over streamable HTTP or WebSocket, in both eras of the protocol at one path,
//! or over stdio; and operators, over a port of their own.
//!
//! ```text
//!   client ──▶ listener ──▶ guard ──▶ endpoint ─┬─ stateless: headers agree? ─┬─▶ Fleet::dispatch
//!              bounded       Host,    /mcp       └─ session: which client?    ─┘        │
//!              patient       Origin   /mcp/SERVER                                       │
//!   client ◀── JSON, or a stream of events ◀────────────────────────────── Exchange ◀──┘
//! ```
//!
//! - [`Gateway`] listens for clients (`/mcp`, `/mcp/SERVER`) and for operators (`/healthz`,
//!   `/readyz`, `/status`). With [`Options::admin_token`] they change the fleet as well: whoever
//!   can read that file adds, removes, restarts and scales servers, and follows their logs.
//! - The same paths take WebSocket, if the feature `ws` is on, as it is by default: a connection is
//!   one client, and ends with it.
//! - [`serve_stdio`] serves one client over a pair of streams.
//! - A stream of a session that was cut can be resumed; with [`Options::state_dir`], sessions outlive
//!   the process.
//! - [`Gateway::stop`] lets calls in flight finish; the next life of the program can listen on the
//!   same sockets meanwhile ([`Listen::On`]).
//! - [`Options`] says what is let in, and how long the door is held open for it.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use mcp_gateway::{Gateway, Options};
//! use mcp_manager::{Definition, Fleet, Plan, demo};
//!
//! let mut plan = Plan::default();
//! plan.servers = demo::fleet().into_iter().map(Definition::from).collect();
//! let fleet = Arc::new(Fleet::new(plan)?);
//! fleet.start();
//!
//! let any_port = "127.0.0.1:0".parse()?;
//! let gateway = Gateway::start(Arc::clone(&fleet), any_port, any_port, Options::default()).await?;
//! println!("http://{}/mcp", gateway.address());
//! assert_ne!(gateway.address().port(), 0);
//!
//! gateway.stop().await;
//! fleet.stop().await;
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! No TLS, no CORS, no authentication of clients; operators show a token. It binds what it is told to; the program's default is
//! loopback.

mod activity;
mod admin;
mod body;
mod conversation;
mod endpoint;
mod gateway;
mod guard;
mod listener;
mod modern;
mod options;
mod patient;
mod replay;
mod reserve;
mod respond;
mod session;
mod shelf;
mod socket;
mod spares;
mod stdio;
mod stopping;
mod store;
mod stream;
mod tail;
#[cfg(feature = "ws")]
mod websocket;

pub use crate::admin::AdminToken;
pub use crate::gateway::{Gateway, StartError};
pub use crate::options::Options;
pub use crate::socket::{Listen, ListenError};
pub use crate::stdio::serve_stdio;
pub use crate::store::StateError;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
