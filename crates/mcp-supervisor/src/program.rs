//! A program under supervision: a process, and a check that it is ready.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time;

use crate::{Cause, Exit, Launch, Process, SpawnError, Spec, spawn};

/// How long a process has to end after its check has failed, for that to be the reason.
const EXIT_BOUND: Duration = Duration::from_millis(100);

/// How long a file system may keep what is not wanted any more from being started. What starts later
/// than this is ended in the background.
const SPAWN_BOUND: Duration = Duration::from_secs(10);

/// A program, and how to tell that it is ready.
///
/// The check gets a handle to the process that was just started, and may talk to it, connect to it
/// or read its last words. The start fails when the check says so, when the process ends first, and
/// when `start_timeout` has passed.
#[derive(Debug)]
pub struct Program<R> {
    spec: Spec,
    check: R,
    /// What is being started and is not ready yet. A task of its own: a fork cannot be taken back.
    starting: Mutex<Option<Starting>>,
}

type Starting = JoinHandle<Option<Process>>;

/// Why a [`Program`] did not start, or how it ended otherwise than with code 0.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It could not be started.
    #[error(transparent)]
    Spawn(Arc<SpawnError>),
    /// The check said why it is not ready.
    #[error("not ready: {reason}")]
    NotReady {
        /// As the check put it.
        reason: String,
    },
    /// It was not ready in time.
    #[error("not ready within {limit:?}")]
    Late {
        /// The time it had.
        limit: Duration,
    },
    /// It ended, before it was ready or after.
    #[error("ended with {exit}{}{}", why(*cause), said(last_line))]
    Ended {
        /// How.
        exit: Exit,
        /// The limit that it was ended for.
        cause: Option<Cause>,
        /// The last line that it wrote to stderr.
        last_line: Option<String>,
    },
}

fn why(cause: Option<Cause>) -> String {
    cause.filter(|cause| cause.is_limit()).map(|cause| format!(" ({cause})")).unwrap_or_default()
}

fn said(last_line: &Option<String>) -> String {
    last_line.as_ref().map(|line| format!(": {line}")).unwrap_or_default()
}

impl<R, F> Program<R>
where
    R: Fn(Process) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    /// The program that `spec` describes, ready when `check` says so.
    pub fn new(spec: Spec, check: R) -> Self {
        Self { spec, check, starting: Mutex::new(None) }
    }
}

impl<R> Program<R> {
    async fn spawn(&self) -> Result<Process, SpawnError> {
        let (tell, told) = oneshot::channel();
        let spec = self.spec.clone();
        self.starting(Some(tokio::spawn(async move {
            let spawned = spawn(&spec).await;
            let process = spawned.as_ref().ok().cloned();
            // Nobody may be listening any more; `abandon` gets it then.
            let _ = tell.send(spawned);
            process
        })));
        told.await.map_err(|_| io::Error::other("the task that starts it is gone"))?
    }

    fn starting(&self, next: Option<Starting>) -> Option<Starting> {
        let mut starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *starting, next)
    }
}

impl<R, F> Launch for Program<R>
where
    R: Fn(Process) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    type Running = Process;
    type Error = ProgramError;

    async fn launch(&self) -> Result<Arc<Process>, ProgramError> {
        let spawned = self.spawn().await;
        let process = spawned.map_err(|error| ProgramError::Spawn(Arc::new(error)))?;
        let ready = tokio::select! {
            biased;
            ready = (self.check)(process.clone()) => ready,
            exit = process.wait() => return Err(ended(&process, exit)),
        };
        if let Err(reason) = ready {
            // A process that dies closes its pipes first; that it died is the better reason.
            let exit = time::timeout(EXIT_BOUND, process.wait()).await;
            return Err(match exit {
                Ok(exit) => ended(&process, exit),
                Err(_) => ProgramError::NotReady { reason },
            });
        }
        self.starting(None);
        Ok(Arc::new(process))
    }

    async fn abandon(&self) {
        let Some(starting) = self.starting(None) else { return };
        if let Ok(Ok(Some(process))) = time::timeout(SPAWN_BOUND, starting).await {
            process.stop().await;
        }
    }

    async fn ended(&self, process: &Arc<Process>) -> Result<(), ProgramError> {
        let exit = process.wait().await;
        if exit.success() { Ok(()) } else { Err(ended(process, exit)) }
    }

    async fn end(&self, process: Arc<Process>) {
        process.stop().await;
    }

    fn late(&self, limit: Duration) -> ProgramError {
        ProgramError::Late { limit }
    }
}

fn ended(process: &Process, exit: Exit) -> ProgramError {
    let (cause, last_line) = (process.cause(), process.stderr().lines().pop());
    ProgramError::Ended { exit, cause, last_line }
}
