//! `mcp-manager`: one endpoint in front of a fleet of MCP servers.

mod args;
mod call;
mod check;
mod config;
mod exit;
mod import;
mod list;
mod listening;
mod logs;
mod notify;
mod operate;
mod operator;
mod output;
mod reload;
mod session;
mod sockets;
mod source;
mod status;
mod token;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};
use crate::exit::{Error, Exit};
use crate::sockets::Sockets;

/// A proxied call makes some thirty small allocations and frees them on other threads, for which
/// this allocator needs a third less processor time than the system's (benchmark `gateway`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The hidden mode in which this program stands between itself and a server: see `mcp-supervisor`.
const SHIM: &str = "__shim";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == SHIM) {
        return mcp_supervisor::shim::main(words);
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help goes to stdout and is no error; a reader that has gone is none either.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    log_to_stderr();
    // Before there are threads: it changes the environment.
    let sockets = match args.command {
        Command::Up(_) => Sockets::take(),
        _ => Ok(Sockets::default()),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            return Exit::Unexpected.into();
        }
    };
    let exit = runtime.block_on(run(args, sockets));
    // A read of stdin cannot be interrupted, and nothing else is left to wait for.
    runtime.shutdown_background();
    exit.into()
}

/// Half of the processors: the servers of the fleet need the others, and fewer threads that are
/// busy pass less work back and forth than more that are idle (benchmark `gateway`).
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = match processors / 2 {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        workers => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    builder.enable_all().build()
}

async fn run(args: Args, sockets: Result<Sockets, Error>) -> Exit {
    let json = args.json;
    let done = match args.command {
        Command::Up(up) => match sockets {
            Ok(sockets) => up::run(up, json, sockets).await,
            Err(error) => Err(error),
        },
        Command::Check(check) => check::run(&check, json),
        Command::Config(command) => config::run(&command, json),
        Command::List(list) => list::run(list, json).await,
        Command::Call(call) => call::run(call, json).await,
        Command::Status(status) => status::run(&status, json).await,
        Command::Logs(logs) => logs::run(&logs, json).await,
        Command::Restart(several) => operate::several("restart", &several, json).await,
        Command::Start(several) => operate::several("start", &several, json).await,
        Command::Stop(several) => operate::several("stop", &several, json).await,
        Command::Scale(scale) => operate::scale(&scale, json).await,
        Command::Drain(one) => operate::replica("drain", &one, "", json).await,
        Command::Eject(eject) => {
            let body = format!("{{\"seconds\":{}}}", eject.seconds);
            operate::replica("eject", &eject.one, &body, json).await
        }
        Command::Restore(one) => operate::replica("restore", &one, "", json).await,
        Command::Failover(failover) => operate::failover(&failover, json).await,
        Command::Circuit(circuit) => operate::circuit(&circuit, json).await,
        Command::Add(add) => operate::add(&add, json).await,
        Command::Rm(rm) => operate::remove(&rm, json).await,
        Command::Reload(reload) => operate::reload(&reload, json).await,
        Command::Import(args) => import::run(&args, json),
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            output::report(&error, json);
            error.exit
        }
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MCP_MANAGER_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What it would say of a stderr that nobody reads, it would say on stderr, and panic.
        .log_internal_errors(false)
        .with_ansi(output::colours())
        .init();
}
