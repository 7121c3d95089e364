//! Chooses which of several replicas gets a call, by what became of the calls before.

mod balancer;
mod bandit;
mod board;
mod choose;
mod config;
mod cost;
mod ejection;
mod endpoint;
mod gauge;
mod hashing;
mod picked;
mod response;
mod scan;
mod set;
mod shared;
mod stats;
mod sticky;
mod strategy;

pub use crate::balancer::{Ask, Balancer, SetError};
pub use crate::config::{Config, ConfigError, Ejection, Hashing};
pub use crate::endpoint::{Spec, State};
pub use crate::hashing::hash_key;
pub use crate::picked::{Outcome, Picked};
pub use crate::stats::{EndpointStats, Stats};
pub use crate::strategy::{Strategy, UnknownStrategy};
