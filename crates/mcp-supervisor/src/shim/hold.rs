//! The shim between the two, from its first step to its last.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use rustix::process::{
    DumpableBehavior, Pid, Signal, getpgrp, getpid, getppid, set_child_subreaper,
    set_dumpable_behavior, set_parent_process_death_signal, setpgid,
};

use super::tree::Tree;
use super::wake::Wake;
use super::{FAILED, not_executed, report, settle};
use crate::order::Order;

pub(super) fn run(order: &Order) -> io::Result<ExitCode> {
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
    if let Err(refused) = settle(order) {
        return Ok(refused);
    }
    let child = match Command::new(&order.program).args(&order.args).spawn() {
        Ok(child) => Pid::from_child(&child),
        Err(error) => return Ok(not_executed(order, &error)),
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
