//! `conformance-client ERA URL`, started by the conformance suite: see
//! `system_tests::conformance::Errand`.

use std::env::var;

use clap::Parser;
use system_tests::conformance::Errand;
use system_tests::fixture::Era;
use system_tests::process;

/// A client of the conformance suite's server, behind a gateway.
#[derive(Debug, Parser)]
struct Args {
    /// The era in which the client speaks to the gateway.
    #[arg(value_enum)]
    era: Era,
    /// The suite's server.
    server: String,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    process::stop_all_on_signal()?;
    let context = var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let errand = Errand {
        scenario: var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default(),
        context: serde_json::from_str(&context).unwrap_or_default(),
        server: args.server,
        era: args.era,
    };
    errand.run().await;
    Ok(())
}
