//! `soak [--minutes N] [--seed N]`: see `system_tests::soak`.

#![allow(clippy::print_stdout, reason = "its report is its answer")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use system_tests::process;
use system_tests::soak::{self, Options};

/// A fleet of real servers under a killer, while clients call.
#[derive(Debug, Parser)]
struct Args {
    /// How long the killer is at work
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Where its random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = process::stop_all_on_signal() {
        eprintln!("signals are not handled: {error}");
    }
    let time = Duration::from_secs_f64((args.minutes * 60.0).clamp(1.0, 86_400.0));
    let report = soak::run(&Options { time, seed: args.seed });
    let told = &report.told;
    println!("{} calls, {} processes killed", told.calls, report.kills);
    println!(
        "availability {:.3} %, slowest right answer {:?}",
        told.availability() * 100.0,
        told.slowest
    );
    for (code, count) in &told.errors {
        println!("  told {code}: {count}");
    }
    for example in &told.examples {
        println!("  wrong: {example}");
    }
    let (memory, files) = (report.memory, report.files);
    println!(
        "memory {:.1} -> {:.1} MiB, descriptors {} -> {}",
        memory.0, memory.1, files.0, files.1
    );
    let (lines, met) = report.verdicts();
    for line in lines {
        println!("{line}");
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
