//! The small process between a supervisor and its program, which ends the tree when either ends.
//!
//! Give your executable a hidden mode that calls [`main`] before it starts a runtime or a thread:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let mut args = std::env::args_os().skip(1).peekable();
//!     if args.next_if(|arg| arg == "__shim").is_some() {
//!         return mcp_supervisor::shim::main(args);
//!     }
//!     // ... the program proper, which spawns with `Shim::of_this_program(["__shim"])`.
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! On systems other than Linux, where nothing tells a process of its parent's death and orphans are
//! not handed to it, the shim sets limits and then steps aside: it becomes the program.

#[cfg(not(target_os = "linux"))]
mod aside;
#[cfg(target_os = "linux")]
mod hold;
mod rlimits;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
mod wake;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::EXEC_FAILED;
use crate::order::Order;
#[cfg(not(target_os = "linux"))]
use aside as role;
#[cfg(target_os = "linux")]
use hold as role;

/// The shim could not do its work; the program was not started.
const FAILED: u8 = 125;

/// Runs the program that `args` describe, those that [`spawn`](crate::spawn) puts after the ones of
/// [`Shim::args`](crate::Shim::args), and ends as it ends: with its code, or of its signal.
///
/// All of the tree is gone on return: what is left of it after the program, and everything when
/// the supervisor dies or this process is sent SIGTERM. That can take the grace that the supervisor
/// set, and up to one second more. Exits with 125, 126 or 127 when the program was not started,
/// and says why on stderr.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = Order::read(args) else {
        return report("shim: started by hand? It expects the arguments that `spawn` gives it");
    };
    match role::run(&order) {
        Ok(code) => code,
        Err(error) => report(&format!("shim: {error}")),
    }
}

/// Makes this process what the program is to be started in: its cgroup, its limits, its directory.
fn settle(order: &Order) -> Result<(), ExitCode> {
    if let Some(cgroup) = &order.cgroup {
        std::fs::write(cgroup.join("cgroup.procs"), "0").map_err(|error| {
            report(&format!("shim: cannot enter the cgroup {cgroup:?}: {error}"))
        })?;
    }
    rlimits::set(&order.rlimits);
    if let Some(cwd) = &order.cwd {
        std::env::set_current_dir(cwd).map_err(|error| {
            report(&format!("shim: cannot start in the directory {cwd:?}: {error}"))
        })?;
    }
    Ok(())
}

fn not_executed(order: &Order, error: &io::Error) -> ExitCode {
    report(&format!("{EXEC_FAILED}{:?}: {error}", order.program));
    let missing = error.kind() == io::ErrorKind::NotFound;
    ExitCode::from(if missing { 127 } else { 126 })
}

/// stderr may be a pipe that nobody reads any more; then there is nobody to tell.
fn report(line: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(FAILED)
}
