//! What to start, and how long to wait for it to end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::Limits;

/// A command, and the bounds under which it is run.
///
/// Plain data. There is no shell anywhere: `program` is a file, and each of `args` arrives as it
/// stands here.
///
/// ```
/// let mut spec = mcp_supervisor::Spec::new("cat");
/// spec.env.insert("LANG".into(), "C.UTF-8".into());
/// spec.term_grace = std::time::Duration::from_secs(5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spec {
    /// A name to look up in the `PATH` of [`env`](Self::env), or, if it has a slash in it, a path
    /// relative to [`cwd`](Self::cwd).
    pub program: OsString,

    /// The arguments, without the program's own name.
    pub args: Vec<OsString>,

    /// The whole environment of the program: nothing is inherited. [`Spec::new`] puts the caller's
    /// `PATH` in, and nothing else; without a `PATH`, `/usr/local/bin:/usr/bin:/bin` is searched.
    pub env: BTreeMap<OsString, OsString>,

    /// The directory to start in. Default: the caller's.
    pub cwd: Option<PathBuf>,

    /// How long the program may take to end by itself once its stdin is closed. Default: 2 s.
    ///
    /// Spent in full by a program that does not read its stdin, each time it is stopped.
    pub stdin_grace: Duration,

    /// How long the tree may take to end after SIGTERM, before SIGKILL. Default: 2 s.
    ///
    /// Also the time that a shim gives the tree when the supervisor has died.
    pub term_grace: Duration,

    /// How many of the last lines of stderr are kept. Default: 200.
    ///
    /// With `stderr_line_bytes_max` this bounds the memory of one tail: 800 KiB by default.
    pub stderr_lines_max: usize,

    /// How much of one line of stderr is kept; the rest is cut, with a mark. Default: 4 KiB.
    pub stderr_line_bytes_max: usize,

    /// What stands between the supervisor and the program. Default: nothing, and then descendants
    /// that leave the process group, or outlive the supervisor, are not found.
    pub shim: Option<Shim>,

    /// What the tree may use. Default: no limits, and no core dumps.
    pub limits: Limits,

    /// Where to make a cgroup for the tree. Default: nowhere, and then limits are enforced by other
    /// means, some of them by none.
    #[cfg(feature = "tokio")]
    pub cgroups: Option<crate::Cgroups>,

    /// Where to write down that the process is running, until it is over. Default: nowhere.
    #[cfg(feature = "tokio")]
    pub ledger: Option<crate::Ledger>,
}

impl Spec {
    /// `program`, without arguments, in an environment that holds the caller's `PATH` only.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: std::env::var_os("PATH").map(|path| ("PATH".into(), path)).into_iter().collect(),
            cwd: None,
            stdin_grace: Duration::from_secs(2),
            term_grace: Duration::from_secs(2),
            stderr_lines_max: 200,
            stderr_line_bytes_max: 4 * 1024,
            shim: None,
            limits: Limits::default(),
            #[cfg(feature = "tokio")]
            cgroups: None,
            #[cfg(feature = "tokio")]
            ledger: None,
        }
    }

    /// A shim holds the tree together, and lives as long as it does.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_held(&self) -> bool {
        self.shim.is_some() && cfg!(target_os = "linux")
    }
}

/// An executable that calls `shim::main`, and what makes it do so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shim {
    /// The executable. It runs in the program's environment.
    pub path: PathBuf,

    /// The arguments before those of the shim itself, such as the name of a hidden mode.
    pub args: Vec<OsString>,
}

impl Shim {
    /// The executable at `path`, such as this crate's `mcp-supervisor-shim`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Vec::new() }
    }

    /// The executable that is running now, told by `args` to be a shim.
    ///
    /// On Linux it is named `/proc/self/exe`, so that the shim has the caller's version even when the
    /// file was replaced or removed meanwhile. Elsewhere it is the file.
    pub fn of_this_program(args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        let itself = PathBuf::from("/proc/self/exe");
        let path = match cfg!(target_os = "linux") {
            true => itself,
            false => std::env::current_exe().unwrap_or(itself),
        };
        Self { path, args }
    }
}
