//! A running process, as its owner holds it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::Pid;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use crate::cgroup::Cgroup;
use crate::keeper::{self, Keeper, Status};
use crate::leader::Leader;
use crate::means::Offer;
use crate::order::{Order, Rlimits};
use crate::{
    Cause, Enforced, Exit, Limits, Means, SpawnError, Spec, Tail, Usage, ledger, resolve, spawner,
    usage, watcher,
};

/// Starts the program that `spec` describes, on the current tokio runtime.
///
/// Its stdin, stdout and stderr are pipes; it leads a process group of its own. Cancel safe: when
/// the returned future is dropped, so is the process.
///
/// # Panics
///
/// Outside a tokio runtime, or on one without I/O and time.
pub async fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    spec.limits.validate()?;
    let wanted = spec.clone();
    // A file system may hang, and then it hangs a thread of its own.
    let prepared = tokio::task::spawn_blocking(move || prepare(&wanted)).await;
    let (program, cgroup) = prepared.map_err(io::Error::other)??;
    let command = command(spec, program, cgroup.as_ref());
    let leader = spawner::start(command, spec.is_held()).await;
    let leader = leader.map_err(|error| refused(spec, error))?;
    let record = match spec.ledger.clone() {
        Some(ledger) => {
            let pid = leader.pid();
            let record = tokio::task::spawn_blocking(move || ledger.record(pid)).await;
            record.map_err(io::Error::other)?
        }
        None => None,
    };
    Process::keep(spec, leader, cgroup, record).map_err(SpawnError::Io)
}

/// What the start of a process asks the file system for.
fn prepare(spec: &Spec) -> Result<(PathBuf, Option<Cgroup>), SpawnError> {
    let program = resolve(spec)?;
    // It is the shim that enters it. Without a group the limits are enforced by other means.
    let cgroups = spec.cgroups.as_ref().filter(|_| spec.is_held());
    Ok((program, cgroups.and_then(|cgroups| cgroups.create(&spec.limits).ok())))
}

fn command(spec: &Spec, program: PathBuf, cgroup: Option<&Cgroup>) -> Command {
    let mut command = match &spec.shim {
        Some(shim) => {
            let mut command = Command::new(&shim.path);
            let order = Order {
                parent: std::process::id(),
                grace: spec.term_grace,
                rlimits: Rlimits {
                    open_files: spec.limits.open_files,
                    file_bytes: spec.limits.file_bytes,
                    core: spec.limits.core,
                },
                cgroup: cgroup.map(|cgroup| cgroup.dir().to_owned()),
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

fn enforced(spec: &Spec, in_cgroup: bool) -> Vec<Enforced> {
    let cgroups = spec.cgroups.as_ref().filter(|_| in_cgroup);
    spec.limits.enforced(Offer {
        shim: spec.shim.is_some(),
        proc: cfg!(target_os = "linux"),
        controllers: cgroups.map(|cgroups| cgroups.controllers()).unwrap_or_default(),
    })
}

/// Those of the limits for whose sake the tree has to be read.
fn watched(limits: &Limits, enforced: &[Enforced]) -> Option<Limits> {
    let is = |limit, means| enforced.contains(&Enforced { limit, by: means });
    let watched = Limits {
        memory_bytes: limits.memory_bytes.filter(|_| is("memory_bytes", Means::Watched)),
        processes: limits.processes.filter(|_| is("processes", Means::Watched)),
        // The kernel refuses to open more, but who leaks does not notice.
        open_files: limits.open_files.filter(|_| is("open_files", Means::Rlimit)),
        ..Limits::default()
    };
    (watched != Limits::default()).then_some(watched)
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
    is_shim: bool,
    enforced: Vec<Enforced>,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Mutex<Option<ChildStdout>>,
    stderr: Tail,
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
}

impl Process {
    fn keep(
        spec: &Spec,
        mut leader: Leader,
        cgroup: Option<Cgroup>,
        record: Option<ledger::Entry>,
    ) -> io::Result<Self> {
        let pid = leader.pid().as_raw_pid().unsigned_abs();
        let is_shim = leader.is_shim();
        let enforced = enforced(spec, cgroup.is_some());
        let watched = watched(&spec.limits, &enforced);
        let watched = watched.map(|limits| watcher::watch(leader.pid(), is_shim, limits));
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
            limits: spec.limits,
            cgroup,
            record,
            watched: watched.transpose()?,
            stderr: tokio::spawn(keeper::fill(tail.clone(), stderr)),
        };
        tokio::spawn(keeper.run());
        let (stdin, stdout) = (Mutex::new(Some(stdin)), Mutex::new(Some(stdout)));
        let stderr = tail;
        let handle = Handle { pid, is_shim, enforced, stdin, stdout, stderr, stop, status };
        Ok(Self { handle: Arc::new(handle) })
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

    /// Why it was ended, once it has; `None` if it ended by itself.
    pub fn cause(&self) -> Option<Cause> {
        self.handle.status.borrow().cause
    }

    /// What enforces each limit of its [`Spec`].
    pub fn enforced(&self) -> &[Enforced] {
        &self.handle.enforced
    }

    /// What its tree uses right now. `None` once it has ended, and on systems without `/proc`.
    ///
    /// Reads several files of `/proc` for each process, which takes about 0.1 ms, and blocks for it.
    pub fn usage(&self) -> Option<Usage> {
        let pid = Pid::from_raw(i32::try_from(self.pid()).ok()?)?;
        let usage = usage::read(pid, self.handle.is_shim, true)?;
        // Read while the pid was its own.
        self.exit().is_none().then_some(usage)
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
