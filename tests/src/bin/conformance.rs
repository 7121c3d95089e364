//! `conformance [--only PAIRING|client] [--set VERSION] [--scenario NAME]`: see `system_tests::conformance`.

use std::process::ExitCode;

use clap::Parser;
use system_tests::conformance::{self, Args};
use system_tests::process;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = process::stop_all_on_signal() {
        eprintln!("signals are not handled: {error}");
    }
    if conformance::run(&args) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
