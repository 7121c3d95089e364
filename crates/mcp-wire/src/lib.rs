//! MCP on the wire.

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
mod stats;

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
