//! What the driver can be told.

use std::str::FromStr;

use clap::Parser;

use super::matrix::{self, Pairing, Set};
use super::{Run, clients};

/// Runs the official MCP conformance suite, directly and through the gateway.
#[derive(Clone, Debug, Parser)]
#[command(name = "conformance")]
#[expect(clippy::exhaustive_structs, reason = "a test program's arguments")]
pub struct Args {
    /// Only this pairing, such as `gateway-stdio` or `gateway-http-legacy`, or `client`: only the
    /// client scenarios.
    #[arg(long)]
    pub only: Option<Only>,
    /// Only this protocol version, such as `2025-11-25`.
    #[arg(long)]
    pub set: Option<Set>,
    /// Only this scenario, such as `tools-list`.
    #[arg(long)]
    pub scenario: Option<String>,
}

impl Args {
    /// What is asked for. A pairing that is named runs with every set, in the matrix or not.
    pub(super) fn runs(&self) -> Vec<Run> {
        let server = |(pairing, set)| Run::Server(pairing, set);
        let clients = || clients::ALL.into_iter().map(Run::Clients);
        let runs: Vec<_> = match self.only {
            Some(Only::Client) => clients().collect(),
            Some(Only::Pairing(pairing)) => Set::ALL.map(|set| server((pairing, set))).into(),
            None => matrix::whole().into_iter().map(server).chain(clients()).collect(),
        };
        let wanted = |run: &Run| self.set.is_none_or(|only| only.version() == run.version());
        runs.into_iter().filter(wanted).collect()
    }
}

/// A part of all there is to run.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the suite's two sides")]
pub enum Only {
    /// The client scenarios.
    Client,
    /// The server scenarios, against this pairing.
    Pairing(Pairing),
}

impl FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "client" { Ok(Self::Client) } else { text.parse().map(Self::Pairing) }
    }
}
