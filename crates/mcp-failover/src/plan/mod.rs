//! Who serves when somebody fails.

pub(crate) mod config;
pub(crate) mod group;
pub(crate) mod history;
