//! MCP on the wire: JSON-RPC messages kept as raw bytes, the transports, one multiplexed connection.
//!
//! # The idea
//!
//! Whoever stands between MCP clients and servers (a gateway, a pool, a recorder) must route on a
//! few members of a message and change fewer: an id, a progress token, a name. Everything else is
//! not its business, and whatever it parses into types of its own it will lose or reorder: fields
//! of the next version, numbers beyond 64 bits, notifications that are overtaken by their answer.
//! So a [`Message`] here *is* the bytes that came in, with the places of its members noted, and a
//! change is a cut in those bytes. That is also the fastest thing to do.
//!
//! ```text
//!   caller A ── id 1, token t ──▶ ┌────────────┐ ── id 7, token 7 ──▶ ┌────────┐
//!   caller B ── id 1, token t ──▶ │ Connection │ ── id 8, token 8 ──▶ │ server │
//!                                 │            │                      └───┬────┘
//!   caller A ◀─ its own answer ── │  who waits │ ◀── in any order, late ──┘
//!   caller B ◀─ and progress ──── │  for what  │     twice, or never
//!                                 └─────┬──────┘
//!                                       ▼ what belongs to no call
//!                                     Inbox
//! ```
//!
//! # What holds
//!
//! - What a peer wrote reaches the other side as it was written, line breaks between tokens apart.
//! - What two parsers may read differently (duplicate members, half surrogate pairs) is refused.
//! - A caller sees its own answer and its own messages, in order, or an error. An id is never used
//!   twice, so what is late, doubled or made up finds nobody.
//! - Every buffer and every wait has a bound. A peer that does not read costs memory up to that
//!   bound and nobody's time; a caller that does not read loses its own call.
//! - An [`Exchange`] that is dropped before its answer is cancelled at the peer.
//!
//! # The pieces
//!
//! - [`Message`], [`Members`], [`Draft`]: a message, the members of an object, bytes to be changed.
//!   No I/O.
//! - [`Request`]: a message whose params have been looked at once; what routing needs.
//! - [`Connection`], [`Exchange`], [`Inbox`]: many calls over one stream
//!   ([`Connection::over_streams`]) or one HTTP endpoint (`Connection::over_http`).
//! - `http::sse_transport`: an endpoint of the older HTTP+SSE transport as two such streams.
//! - [`initialize`], [`discover`]: how a connection begins, in the two eras of the protocol.
//! - [`stateless`]: what a request of the stateless era must carry (`http::agreement`: and what its
//!   headers must repeat).
//! - [`serve`]: the other side, a server written in Rust.
//! - [`LineReader`], [`Outbox`], [`sse`], [`headers`]: the parts, for those who build another face.
//!
//! # Example
//!
//! Two callers with the same id, and a server that answers them in reverse:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_wire::{Connection, Limits, LineReader, Message, Options, Request, Timing};
//! use tokio::io::{AsyncWriteExt, duplex, split};
//!
//! let (near, far) = duplex(4096);
//! let (reader, writer) = split(near);
//! let (connection, _inbox) = Connection::over_streams(reader, writer, &Options::default());
//! let [first, second] = ["a", "b"].map(|tool| {
//!     let params = format!(r#"{{"name":"{tool}","n":1.0}}"#);
//!     let request = Request::read(Message::request("1", "tools/call", &params));
//!     connection.call(request.expect("params are an object"), Timing::default())
//! });
//!
//! let (reader, mut writer) = split(far);
//! let mut lines = LineReader::new(reader, 4096);
//! let mut answers = Vec::new();
//! for _ in 0..2 {
//!     let line = lines.next().await?.ok_or("the client has gone")?;
//!     let request = Message::parse(line, &Limits::default())?;
//!     answers.push(request.params().and_then(|params| {
//!         Some(format!("{}\n", Message::result(request.id()?, params).as_str()))
//!     }));
//! }
//! for answer in answers.into_iter().flatten().rev() {
//!     writer.write_all(answer.as_bytes()).await?;
//! }
//!
//! assert_eq!(first.reply().await?.result_json(), Some(r#"{"name":"a","n":1.0}"#));
//! assert_eq!(second.reply().await?.result_json(), Some(r#"{"name":"b","n":1.0}"#));
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! - `http` (on by default): `Connection::over_http`, the streamable HTTP transport, on hyper.
//! - `tls` (on by default): endpoints at `https://`, checked against the system's certificates.
//! - `ws`: `ws`, WebSocket in both roles, as streams for [`Connection::over_streams`].
//!
//! # What it does not do
//!
//! It starts no process, routes nothing, caches nothing and never sends a call twice: those are
//! other crates' work, and this one knows none of them. It has no types for tools, prompts or
//! capabilities. It follows no redirect, and takes no batches.

mod claim;
pub mod code;
mod connection;
mod draft;
mod duplex;
mod error;
mod event;
mod exchange;
mod handshake;
pub mod headers;
#[cfg(feature = "http")]
pub mod http;
mod limits;
mod lines;
mod mailbox;
mod members;
mod message;
pub mod meta;
mod outbox;
mod pending;
mod request;
mod scan;
pub mod serve;
pub mod sse;
pub mod stateless;
mod stats;
#[cfg(feature = "ws")]
pub mod ws;

pub use crate::connection::{Connection, Inbox, Options};
pub use crate::draft::Draft;
pub use crate::error::{CallError, ErrorObject, ParseError};
pub use crate::event::Event;
pub use crate::exchange::Exchange;
pub use crate::handshake::{
    Discovered, Era, HandshakeError, Initialized, LEGACY_VERSIONS, MODERN_VERSION, discover,
    initialize, stateless_meta,
};
pub use crate::limits::Limits;
pub use crate::lines::{LineError, LineReader};
pub use crate::members::{Members, MembersError, elements};
pub use crate::message::{Kind, Message, quoted, unquoted};
pub use crate::outbox::{Outbox, OutboxWriter, SendError};
pub use crate::request::{Request, Timing, subject_member};
pub use crate::stats::Stats;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
