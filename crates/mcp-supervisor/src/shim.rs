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

mod rlimits;
mod tree;
mod wake;

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use rustix::process::{
    DumpableBehavior, Pid, Signal, getpgrp, getpid, getppid, set_child_subreaper,
    set_dumpable_behavior, set_parent_process_death_signal, setpgid,
};

use crate::EXEC_FAILED;
use crate::order::Order;
use tree::Tree;
use wake::Wake;

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
    match run(&order) {
        Ok(code) => code,
        Err(error) => report(&format!("shim: {error}")),
    }
}

fn run(order: &Order) -> io::Result<ExitCode> {
    // Handlers first, so that the signals below are noted rather than obeyed.
    let wake = Wake::new()?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let parent = Pid::from_raw(order.parent.cast_signed());
    if getppid() != parent {
        return Ok(ExitCode::from(FAILED)); // It died before it could be watched.
    }
    set_child_subreaper(Some(getpid()))?;
    // SIGTERM goes to the group as a whole, which must hold nobody else.
    if getpgrp() != getpid() {
        setpgid(None, None)?;
    }
    take_name(&order.program);
    if let Some(cgroup) = &order.cgroup
        && let Err(error) = crate::cgroup::enter(cgroup)
    {
        return Ok(report(&format!("shim: cannot enter the cgroup {cgroup:?}: {error}")));
    }
    rlimits::set(&order.rlimits);
    if let Some(cwd) = &order.cwd
        && let Err(error) = std::env::set_current_dir(cwd)
    {
        return Ok(report(&format!("shim: cannot start in the directory {cwd:?}: {error}")));
    }
    let child = match Command::new(&order.program).args(&order.args).spawn() {
        Ok(child) => Pid::from_child(&child),
        Err(error) => {
            report(&format!("{EXEC_FAILED}{:?}: {error}", order.program));
            let missing = error.kind() == io::ErrorKind::NotFound;
            return Ok(ExitCode::from(if missing { 127 } else { 126 }));
        }
    };
    // The pipes must end when the program closes them. stderr stays, for a last word.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    drop(null);

    let (status, left) = Tree::new(child, order).keep(&wake);
    if left > 0 {
        report(&format!("shim: {left} processes could not be killed"));
    }
    if getppid() != parent {
        // Nobody is left to kill what a sweep did not: the group goes at once, this one with it.
        let _ = rustix::process::kill_current_process_group(Signal::KILL);
    }
    Ok(end_like(status))
}

/// Shows up as what it stands for, and not as the supervisor, whom someone may kill by name.
fn take_name(program: &std::ffi::OsStr) {
    let program = Path::new(program).file_name().unwrap_or_default();
    if let Ok(name) = CString::new([b"shim:", program.as_bytes()].concat()) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// Returns the code of `status`, or dies of its signal.
fn end_like(status: Option<ExitStatus>) -> ExitCode {
    let Some(status) = status else { return ExitCode::from(FAILED) };
    if let Some(signal) = status.signal() {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable); // The core dump is not ours.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        // For the signals that have no name, whose action is still the default.
        let _ = signal_hook::low_level::raise(signal);
    }
    // A code is one byte. 128 and above is what shells return for a signal.
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}

/// stderr may be a pipe that nobody reads any more; then there is nobody to tell.
fn report(line: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(FAILED)
}
