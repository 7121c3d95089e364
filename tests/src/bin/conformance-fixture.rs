//! `conformance-fixture stdio` or `conformance-fixture http --port 0`: see `system_tests::fixture`.

use clap::Parser;
use system_tests::fixture::{self, Args};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    fixture::run(Args::parse()).await
}
