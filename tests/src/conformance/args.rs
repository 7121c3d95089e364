//! What the driver can be told.

use clap::{Parser, ValueEnum};

const SETS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Runs the official MCP conformance suite, directly and through the gateway.
#[derive(Clone, Debug, Parser)]
#[command(name = "conformance")]
#[expect(clippy::exhaustive_structs, reason = "a test program's arguments")]
pub struct Args {
    /// Only this pairing.
    #[arg(long, value_enum)]
    pub only: Option<Pairing>,
    /// Only this requirement set.
    #[arg(long, value_parser = SETS)]
    pub set: Option<String>,
    /// Only this scenario, such as `tools-list`.
    #[arg(long)]
    pub scenario: Option<String>,
}

/// What stands between the suite and the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(clippy::exhaustive_enums, reason = "the gateway's faces are few")]
pub enum Pairing {
    /// Nothing: what the fixture itself can do.
    DirectHttp,
    /// The gateway, with the fixture as its child.
    GatewayStdio,
    /// The gateway, with the fixture as a remote server.
    GatewayHttp,
}

impl Args {
    pub(super) fn pairings(&self) -> Vec<Pairing> {
        let all = [Pairing::DirectHttp, Pairing::GatewayStdio, Pairing::GatewayHttp];
        self.only.map_or(all.to_vec(), |only| vec![only])
    }

    pub(super) fn sets(&self) -> Vec<String> {
        self.set.clone().map_or(SETS.map(String::from).to_vec(), |set| vec![set])
    }
}

impl Pairing {
    /// As on the command line, and in the names of the lists of expected failures.
    pub fn name(self) -> &'static str {
        match self {
            Self::DirectHttp => "direct-http",
            Self::GatewayStdio => "gateway-stdio",
            Self::GatewayHttp => "gateway-http",
        }
    }
}
