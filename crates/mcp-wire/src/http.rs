//! The streamable HTTP transport, client side; and the older one that it replaced
//! ([`sse_transport`]).
//!
//! Every request is a POST; its answer is one JSON message, or a stream of events of which the
//! answer is the last. A session (up to 2025-11-25) has one more stream for what belongs to no
//! call. Connections to the server are kept alive and shared by all sessions of an [`Endpoint`].

pub mod agreement;
mod answer;
mod client;
mod cursor;
mod endpoint;
mod farewell;
mod listen;
mod pool;
mod probe;
mod response;
pub mod sse_transport;
mod stream;
#[cfg(feature = "tls")]
mod tls;

pub use self::endpoint::{Endpoint, EndpointError};

pub(crate) use self::answer::Waiting;
pub(crate) use self::client::Client;
