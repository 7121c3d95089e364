//! Which calls are made again, when, and how many of them.

pub(crate) mod attempts;
pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod call;
#[cfg(feature = "tokio")]
pub(crate) mod flights;
pub(crate) mod gave_up;
pub(crate) mod latencies;
pub(crate) mod policy;
#[cfg(feature = "tokio")]
pub(crate) mod run;
pub(crate) mod stats;
#[cfg(feature = "tower")]
mod tower;
