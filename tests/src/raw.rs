//! A client that sees bytes: for everything that a typed client would repair or hide.
//!
//! [`exchange`] sends any bytes and hands back the answer as it came. [`Client`] adds as much MCP as
//! a test needs to get to the point, and keeps every message as text; [`Socket`] does the same over
//! WebSocket.

mod client;
mod http;
mod websocket;

pub use client::{Answer, Client, Era, MODERN, body, initialize, until_answer};
pub use http::{Reply, begin, exchange, get, post, request};
pub use websocket::Socket;
