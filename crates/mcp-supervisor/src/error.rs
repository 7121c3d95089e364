//! Why a process could not be started, in terms that someone can act on.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::LimitsError;

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
    /// A limit that nothing could run under.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// Anything else, such as a limit on processes or on open files.
    #[error("cannot start the process")]
    Io(#[from] io::Error),
}

/// What a [`SpawnError`] comes down to, for those who answer to it: a code, a hint, another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnErrorKind {
    /// There is no such program.
    NotFound,
    /// It may not be executed, or the kernel does not know how to.
    NotExecutable,
    /// It is a script whose interpreter is missing.
    BadInterpreter,
    /// The working directory is missing or closed to this user.
    BadDirectory,
    /// Arguments and environment are too long.
    TooLong,
    /// A limit of the [`Spec`](crate::Spec) is nonsense.
    BadLimits,
    /// The machine, or this user, is out of processes, descriptors or memory. The only kind that a
    /// later attempt may see gone.
    OutOfResources,
    /// The supervisor's own shim is at fault.
    Shim,
    /// None of these.
    Other,
}

impl SpawnError {
    /// What it comes down to. A variant keeps its kind; an `Io` has that of its error number.
    pub fn kind(&self) -> SpawnErrorKind {
        match self {
            Self::NotFound { .. } => SpawnErrorKind::NotFound,
            Self::NotExecutable { .. } | Self::UnknownFormat { .. } => {
                SpawnErrorKind::NotExecutable
            }
            Self::BadInterpreter { .. } => SpawnErrorKind::BadInterpreter,
            Self::WorkingDirectory { .. } => SpawnErrorKind::BadDirectory,
            Self::ArgumentsTooLong => SpawnErrorKind::TooLong,
            Self::Limits(_) => SpawnErrorKind::BadLimits,
            Self::Shim { source, .. } if is_shortage(source) => SpawnErrorKind::OutOfResources,
            Self::Shim { .. } => SpawnErrorKind::Shim,
            Self::Io(error) if is_shortage(error) => SpawnErrorKind::OutOfResources,
            Self::Io(_) => SpawnErrorKind::Other,
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOSPC];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "an empty PATH".to_owned() } else { paths.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_from_a_mistake() {
        let io = |errno: Errno| SpawnError::Io(errno.into()).kind();
        for shortage in [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert_eq!(io(shortage), SpawnErrorKind::OutOfResources, "{shortage}");
        }
        assert_eq!(io(Errno::PERM), SpawnErrorKind::Other);
        assert_eq!(SpawnError::Io(io::Error::other("x")).kind(), SpawnErrorKind::Other);
        assert_eq!(SpawnError::ArgumentsTooLong.kind(), SpawnErrorKind::TooLong);
    }
}
