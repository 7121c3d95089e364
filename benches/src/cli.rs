//! The command line: the benchmark itself, and the roles in which it starts itself again.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark speaks")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::load::{Line, Others};
use crate::process::gateway_program;
use crate::session::{Era, Plan};
use crate::targets::{self, Transport};
use crate::upstream_trouble::Trouble;
use crate::work::Work;
use crate::{
    fleet, hop_copy, hop_stdio, isolation, report, serve, sessions, upstream_http, upstream_stdio,
    upstream_ticker, upstream_trouble,
};

/// Measures the gateway against the least that a hop can cost.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

/// What to measure and for how long.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Numbers of sessions, one table each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    sessions: Vec<usize>,
    /// Bytes of the echoed message, at least 16
    #[arg(long, default_value_t = 16)]
    payload: usize,
    /// Era of the protocol that the load program speaks
    #[arg(long, value_enum, default_value_t = Era::Legacy)]
    era: Era,
    /// Measure one transport only
    #[arg(long)]
    pub(crate) only: Option<Transport>,
    /// Measure the hops without a gateway
    #[arg(long)]
    pub(crate) floors: bool,
    /// Slices for each target, interleaved
    #[arg(long, default_value_t = 12)]
    slices: usize,
    /// Length of a slice
    #[arg(long, default_value_t = 1000)]
    slice_ms: u64,
    /// 5 slices of 300 ms
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serve the echo tool over streamable HTTP
    UpstreamHttp(Work),
    /// Serve the echo tool over standard input and output
    UpstreamStdio(Work),
    /// The same, and several notifications a second
    UpstreamTicker { per_second: u32 },
    /// The same, doing harm while FILE is there
    UpstreamTrouble { trouble: Trouble, file: PathBuf },
    /// Measure what one server's trouble costs the others
    Isolation,
    /// Measure what sessions cost: to open, to keep, to stream to
    Sessions,
    /// Measure what replicas bring, and what clients see when some of them are bad
    Fleet {
        /// A few seconds for each part: the figures are rough
        #[arg(long)]
        quick: bool,
    },
    /// Copy requests to an upstream
    HopCopy {
        upstream: SocketAddr,
        /// Threads of the runtime; 0 is the main thread alone
        #[arg(long, default_value_t = 0)]
        workers: usize,
    },
    /// Pass requests to one stdio child per session
    HopStdio {
        /// Threads of the runtime; 0 is the main thread alone
        #[arg(long, default_value_t = 0)]
        workers: usize,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// The program: exits with 1 if a single answer was wrong or something did not start.
pub fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let played = |result: std::io::Result<()>| result.map_err(|error| error.to_string());
    let result = match role {
        None => measure(&options),
        Some(Role::UpstreamHttp(work)) => played(upstream_http::run(&work)),
        Some(Role::UpstreamStdio(work)) => played(upstream_stdio::run(&work)),
        Some(Role::UpstreamTicker { per_second }) => played(upstream_ticker::run(per_second)),
        Some(Role::UpstreamTrouble { trouble, file }) => {
            played(upstream_trouble::run(trouble, &file))
        }
        Some(Role::Isolation) => isolation::run(),
        Some(Role::Sessions) => sessions::run(),
        Some(Role::Fleet { quick }) => fleet::run(quick),
        Some(Role::HopCopy { upstream, workers }) => played(hop_copy::run(upstream, workers)),
        Some(Role::HopStdio { workers, command }) => played(hop_stdio::run(command, workers)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    if !options.floors {
        gateway_program()?;
    }
    let mut verdicts = Vec::new();
    let mut result = Ok(());
    for count in &options.sessions {
        match measure_at(options, *count) {
            Ok(found) => verdicts.extend(found),
            Err(why) => {
                result = Err(why);
                break;
            }
        }
    }
    if !options.floors {
        verdicts.push(report::errors(usize::from(result.is_err())));
    }
    println!();
    for verdict in verdicts {
        println!("{verdict}");
    }
    result
}

/// One number of sessions, on processes of its own: a peak of memory belongs to one number.
fn measure_at(options: &Options, count: usize) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let targets = targets::start(options, dir.path())?;
    let runtime = serve::runtime(0).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    for target in &targets {
        let plan = Plan {
            address: target.process.address,
            path: target.process.path.clone(),
            era: options.era,
            payload: options.payload,
        };
        let line = Line::open(&runtime, target, &plan, count);
        lines.push(line.map_err(|why| format!("{target}: {why}"))?);
    }
    let (slices, slice) = match options.quick {
        true => (5, Duration::from_millis(300)),
        false => (options.slices, Duration::from_millis(options.slice_ms)),
    };
    let others = Others::since(&lines);
    for round in 0..=slices {
        for line in &mut lines {
            // The first round warms up: caches, allocators, connection pools.
            line.slice(&runtime, slice, round > 0)
                .map_err(|why| format!("{}: {why}", line.target))?;
        }
    }
    report::table(count, others.share(&lines), &lines);
    Ok(report::verdicts(count, &lines))
}
