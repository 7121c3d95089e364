//! A fleet of MCP servers behind one dispatcher.

mod asked;
mod bridge;
mod catalog;
mod client;
pub mod config;
mod definition;
#[cfg(feature = "demo")]
pub mod demo;
mod dispatch;
mod exchange;
mod failure;
mod fleet;
mod hello;
mod listen;
mod lists;
mod live;
mod names;
mod outlet;
mod route;
mod scope;
mod server;
mod slot;
mod upstream;

pub use crate::catalog::HeaderParam;
pub use crate::client::Client;
pub use crate::definition::{Custom, Definition, Source, Start, Streams};
pub use crate::dispatch::Call;
pub use crate::exchange::Exchange;
pub use crate::failure::Failure;
pub use crate::fleet::{Fleet, Plan};
pub use crate::lists::{COLLISIONS, MISSING};
pub use crate::scope::Scope;
pub use crate::server::{Server, State};
