//! Why a process could not be started, in terms that someone can act on.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// What [`spawn`](crate::spawn) and [`resolve`](crate::resolve) can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// No such file, neither where the path points nor in any directory of `PATH`.
    #[error("{program:?} not found, looked in {}", listed(searched))]
    NotFound {
        /// As it was given.
        program: OsString,
        /// The directories of `PATH`, in order, or the one path that was given.
        searched: Vec<PathBuf>,
    },
    /// It exists, but is no file that this user may execute.
    #[error("{path:?} is not an executable file")]
    NotExecutable {
        /// Where it is.
        path: PathBuf,
    },
    /// Its first line, `#!`, names an interpreter that cannot be executed.
    #[error("{path:?} asks for the interpreter {interpreter:?}, which cannot be executed")]
    BadInterpreter {
        /// The script.
        path: PathBuf,
        /// As the script names it; a carriage return at its end means Windows line ends.
        interpreter: PathBuf,
    },
    /// Executable by its mode, but nothing the kernel knows how to run.
    #[error("{path:?} is neither a program of this machine nor a script that begins with #!")]
    UnknownFormat {
        /// Where it is.
        path: PathBuf,
    },
    /// The working directory cannot be entered.
    #[error("cannot start in the directory {path:?}")]
    WorkingDirectory {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Arguments and environment together, or one of them alone, exceed what the kernel takes.
    #[error("the arguments and the environment are too long")]
    ArgumentsTooLong,
    /// The shim itself cannot be executed.
    #[error("cannot execute the shim {path:?}")]
    Shim {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Anything else, such as a limit on processes or on open files.
    #[error("cannot start the process")]
    Io(#[from] io::Error),
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "an empty PATH".to_owned() } else { paths.join(", ") }
}
