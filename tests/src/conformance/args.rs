//! What the driver can be told.

use clap::Parser;

use super::matrix::{self, Pairing, Set};

/// Runs the official MCP conformance suite, directly and through the gateway.
#[derive(Clone, Debug, Parser)]
#[command(name = "conformance")]
#[expect(clippy::exhaustive_structs, reason = "a test program's arguments")]
pub struct Args {
    /// Only this pairing, such as `gateway-stdio` or `gateway-http-legacy`.
    #[arg(long)]
    pub only: Option<Pairing>,
    /// Only this protocol version, such as `2025-11-25`.
    #[arg(long)]
    pub set: Option<Set>,
    /// Only this scenario, such as `tools-list`.
    #[arg(long)]
    pub scenario: Option<String>,
}

impl Args {
    /// The part of the matrix that is asked for. A pairing that is named runs with every set.
    pub(super) fn runs(&self) -> Vec<(Pairing, Set)> {
        let runs = match self.only {
            Some(pairing) => Set::ALL.iter().map(|set| (pairing, *set)).collect(),
            None => matrix::whole(),
        };
        runs.into_iter().filter(|(_, set)| self.set.is_none_or(|only| only == *set)).collect()
    }
}
