//! How a command ends: the exit codes, and the error that goes with one.

use std::process::ExitCode;

use mcp_manager::Failure;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Unexpected = 1,
    /// Wrong usage, or a configuration that cannot be used.
    Usage = 2,
    /// The server or the manager cannot be reached, or does not answer in time.
    Unreachable = 4,
    /// The tool failed, or there is no such tool.
    Tool = 5,
    /// Ended at once by a second SIGINT or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What goes to stderr when a command fails.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    pub(crate) exit: Exit,
    /// Stable, for programs: see `docs/errors.md`.
    pub(crate) code: &'static str,
    /// What is wrong, where, and how to mend it.
    pub(crate) message: String,
}

impl Error {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let exit = match failure {
            Failure::Config { .. } => Exit::Usage,
            Failure::NotFound { .. }
            | Failure::ServerNotFound { .. }
            | Failure::Denied { .. }
            | Failure::Params { .. } => Exit::Tool,
            Failure::Connection { .. }
            | Failure::Command { .. }
            | Failure::NotStarted { .. }
            | Failure::Stopped { .. }
            | Failure::Unavailable { .. }
            | Failure::Exhausted { .. }
            | Failure::CircuitOpen { .. }
            | Failure::Busy { .. }
            | Failure::RateLimited { .. }
            | Failure::Timeout { .. }
            | Failure::NoServers => Exit::Unreachable,
            _ => Exit::Unexpected,
        };
        Self::new(exit, failure.code(), failure.to_string())
    }
}
