//! A running process, as its owner holds it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use crate::keeper::{self, Keeper, Status};
use crate::leader::Leader;
use crate::order::Order;
use crate::{Exit, SpawnError, Spec, Tail, resolve, spawner};

/// Starts the program that `spec` describes, on the current tokio runtime.
///
/// Its stdin, stdout and stderr are pipes; it leads a process group of its own. Cancel safe: when
/// the returned future is dropped, so is the process.
///
/// # Panics
///
/// Outside a tokio runtime, or on one without I/O and time.
pub async fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    let wanted = spec.clone();
    // A file system may hang, and then it hangs a thread of its own.
    let resolved = tokio::task::spawn_blocking(move || resolve(&wanted)).await;
    let program = resolved.map_err(io::Error::other)??;
    let leader = spawner::start(command(spec, program), spec.shim.is_some()).await;
    let leader = leader.map_err(|error| refused(spec, error))?;
    Process::keep(spec, leader).map_err(SpawnError::Io)
}

fn command(spec: &Spec, program: PathBuf) -> Command {
    let mut command = match &spec.shim {
        Some(shim) => {
            let mut command = Command::new(&shim.path);
            let order = Order {
                parent: std::process::id(),
                grace: spec.term_grace,
                cwd: spec.cwd.clone(),
                program: program.into_os_string(),
                args: spec.args.clone(),
            };
            command.args(&shim.args).args(order.write());
            command
        }
        None => {
            let mut command = Command::new(program);
            command.args(&spec.args);
            if let Some(cwd) = &spec.cwd {
                command.current_dir(cwd);
            }
            command
        }
    };
    command.env_clear().envs::<_, &OsString, &OsString>(&spec.env).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the kernel's refusal means. The program itself was looked at before.
fn refused(spec: &Spec, error: io::Error) -> SpawnError {
    match (Errno::from_io_error(&error), &spec.shim) {
        (Some(Errno::TOOBIG), _) => SpawnError::ArgumentsTooLong,
        (Some(Errno::NOENT | Errno::ACCESS | Errno::NOEXEC | Errno::NOTDIR), Some(shim)) => {
            SpawnError::Shim { path: shim.path.clone(), source: error }
        }
        (Some(Errno::NOEXEC), None) => {
            SpawnError::UnknownFormat { path: PathBuf::from(&spec.program) }
        }
        _ => SpawnError::Io(error),
    }
}

/// A process that was started. Cloning it gives another handle to the same one.
///
/// When the last handle is dropped the tree is ended as by [`stop`](Self::stop), in the background;
/// when the runtime is dropped first, a shim ends it, and without a shim its group is killed.
#[derive(Clone, Debug)]
pub struct Process {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    pid: u32,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Mutex<Option<ChildStdout>>,
    stderr: Tail,
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
}

impl Process {
    fn keep(spec: &Spec, mut leader: Leader) -> io::Result<Self> {
        let pid = leader.pid().as_raw_pid().unsigned_abs();
        let missing = || io::Error::other("a pipe of the process is missing");
        let child = leader.child().ok_or_else(missing)?;
        let stdin = ChildStdin::from_std(child.stdin.take().ok_or_else(missing)?)?;
        let stdout = ChildStdout::from_std(child.stdout.take().ok_or_else(missing)?)?;
        let stderr = ChildStderr::from_std(child.stderr.take().ok_or_else(missing)?)?;

        let tail = Tail::new(spec.stderr_lines_max, spec.stderr_line_bytes_max);
        let (stop, stop_asked) = watch::channel(false);
        let (status_told, status) = watch::channel(Status::default());
        let keeper = Keeper {
            leader,
            stdin_grace: spec.stdin_grace,
            term_grace: spec.term_grace,
            stop: stop_asked,
            status: status_told,
            stderr: tokio::spawn(keeper::fill(tail.clone(), stderr)),
        };
        tokio::spawn(keeper.run());
        let (stdin, stdout) = (Mutex::new(Some(stdin)), Mutex::new(Some(stdout)));
        Ok(Self { handle: Arc::new(Handle { pid, stdin, stdout, stderr: tail, stop, status }) })
    }

    /// The pid of the leader of its process group: of the shim, where there is one.
    pub fn pid(&self) -> u32 {
        self.handle.pid
    }

    /// The writing end of its stdin, the first time. Dropping it asks the program to end.
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.handle.stdin.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The reading end of its stdout, the first time. What nobody reads blocks the program.
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.handle.stdout.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The last lines of its stderr, while it runs and after.
    pub fn stderr(&self) -> &Tail {
        &self.handle.stderr
    }

    /// How it ended, or `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.handle.status.borrow().exit
    }

    /// Waits until it has ended. Any number of callers may wait; cancel safe.
    ///
    /// With a shim this is the end of the tree: what the program leaves behind is given 50 ms
    /// between SIGTERM and SIGKILL. Without one, its group has been sent SIGKILL.
    pub async fn wait(&self) -> Exit {
        self.told(|status| status.exit.is_some()).await
    }

    /// Ends the tree: closes stdin, waits, sends SIGTERM, waits, sends SIGKILL.
    ///
    /// Returns when nothing is left of it, after `stdin_grace + term_grace` and at most 5 s
    /// more. A stdin that was [taken](Self::take_stdin) is the caller's to drop, or the first
    /// wait is in vain. Once begun it goes on, even when the returned future is dropped. Any
    /// number of callers may ask.
    pub async fn stop(&self) -> Exit {
        drop(self.take_stdin());
        self.handle.stop.send_replace(true);
        self.told(|status| status.is_over).await
    }

    async fn told(&self, what: impl FnMut(&Status) -> bool) -> Exit {
        let mut status = self.handle.status.clone();
        // It fails when the runtime is shut down, and the keeper with it.
        let told = status.wait_for(what).await.map(|status| *status);
        told.unwrap_or_else(|_| *self.handle.status.borrow()).exit.unwrap_or(Exit::Unknown)
    }
}
