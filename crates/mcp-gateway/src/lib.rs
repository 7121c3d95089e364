//! The door to a fleet of MCP servers.

mod admin;
mod body;
mod endpoint;
mod gateway;
mod guard;
mod listener;
mod modern;
mod options;
mod respond;
mod session;
mod stdio;
mod stream;

pub use crate::gateway::Gateway;
pub use crate::options::Options;
pub use crate::stdio::serve_stdio;
