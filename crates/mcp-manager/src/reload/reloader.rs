//! One reload at a time: the file is read, the difference is applied, and what came of it is kept.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use super::file::ConfigFile;
use crate::config::{Config, ConfigError, Note, ProcessLookup, Severity};
use crate::fleet::{Fleet, Plan};
use crate::operations::Changes;

/// Makes a fleet be what its file says. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct Reloader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fleet: Arc<Fleet>,
    file: ConfigFile,
    /// How often a reload was asked for.
    asked: AtomicU64,
    /// Whoever holds it reloads.
    turn: Mutex<Turn>,
    status: RwLock<ReloadStatus>,
    outcomes: watch::Sender<Option<Outcome>>,
}

#[derive(Debug)]
struct Turn {
    /// The last reload began after it was asked for so often: all of those have been served.
    served: u64,
    outcome: Option<Outcome>,
    /// The servers of the last good file. Others that the fleet has are none of our business.
    names: HashSet<String>,
}

/// What came of a reload.
pub type Outcome = Result<Reloaded, ReloadError>;

/// What a file that was read again has changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reloaded {
    /// What became of the servers. Those in `failed` stay as they were, and the next reload tries
    /// again.
    pub changes: Arc<Changes>,
    /// Keys of the root's `manager` block that say something else than at the start, and have no
    /// effect before the next one.
    pub needs_restart: Vec<&'static str>,
    /// What else is odd about the file.
    pub warnings: Vec<Note>,
    /// The number of good files so far; that of the start is 1.
    pub generation: u64,
}

/// Why a reload has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The manager is ending.
    #[error("the manager is stopping")]
    Stopping,
}

/// What is known of the file and of the last reload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadStatus {
    /// The file, as it was given.
    pub path: PathBuf,
    /// When the file that is in force was read.
    pub loaded_at: SystemTime,
    /// Whether the fleet is what the file said when it was last read.
    pub ok: bool,
    /// If not, why.
    pub error: Option<String>,
    /// The number of good files so far; that of the start is 1.
    pub generation: u64,
    /// See [`Reloaded::needs_restart`].
    pub needs_restart: Vec<&'static str>,
}

impl Reloaded {
    /// Whether everything is as it was.
    pub fn is_idle(&self) -> bool {
        let Changes { added, removed, changed, failed, .. } = &*self.changes;
        added.is_empty() && removed.is_empty() && changed.is_empty() && failed.is_empty()
    }
}

impl Reloader {
    /// Reloads `fleet`, all of whose servers come from `file` so far.
    pub fn new(fleet: Arc<Fleet>, file: ConfigFile) -> Self {
        let names = fleet.servers().iter().map(|server| server.name().to_owned()).collect();
        let status = ReloadStatus {
            path: file.path().to_owned(),
            loaded_at: now(),
            ok: true,
            error: None,
            generation: 1,
            needs_restart: Vec::new(),
        };
        let inner = Inner {
            fleet,
            file,
            asked: AtomicU64::new(0),
            turn: Mutex::new(Turn { served: 0, outcome: None, names }),
            status: RwLock::new(status),
            outcomes: watch::Sender::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Reads the file, and makes the fleet be what it says: resolves when changed servers are ready
    /// and removed ones have ended. If the file cannot be used, nothing changes.
    ///
    /// Whoever asks while another reload runs waits for one more, together with all others who do.
    /// A reload that has begun goes on when nobody waits for it.
    pub async fn reload(&self) -> Outcome {
        let inner = Arc::clone(&self.inner);
        let ticket = inner.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let work = async move {
            let mut turn = inner.turn.lock().await;
            if turn.served >= ticket
                && let Some(outcome) = &turn.outcome
            {
                return outcome.clone();
            }
            turn.served = inner.asked.load(Ordering::SeqCst);
            let outcome = inner.run(&mut turn.names).await;
            turn.outcome = Some(outcome.clone());
            outcome
        };
        // A task that is gone without a result means that the runtime is shutting down.
        tokio::spawn(work).await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// What is known of the file and of the last reload.
    pub fn status(&self) -> ReloadStatus {
        self.inner.status.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came of the last reload, and of each one from now on. Whoever looks too rarely sees the
    /// latest.
    pub fn outcomes(&self) -> watch::Receiver<Option<Outcome>> {
        self.inner.outcomes.subscribe()
    }

    #[cfg(feature = "watch")]
    pub(super) fn file(&self) -> &ConfigFile {
        &self.inner.file
    }
}

impl Inner {
    /// `names`: see [`Turn`].
    async fn run(&self, names: &mut HashSet<String>) -> Outcome {
        let path = self.file.path().to_owned();
        let read = spawn_blocking(move || Config::load(&path, &ProcessLookup)).await;
        let outcome = match read {
            Err(_) => Err(ReloadError::Stopping),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(config)) => Ok(self.apply(config, names).await),
        };
        self.keep(&outcome);
        self.outcomes.send_replace(Some(outcome.clone()));
        outcome
    }

    async fn apply(&self, config: Config, names: &mut HashSet<String>) -> Reloaded {
        let needs_restart = self.fleet.settings().fixed_differences(&config.settings);
        let warnings = config.notes.iter().filter(|note| note.severity == Severity::Warning);
        let warnings = warnings.cloned().collect();
        let plan = Plan::from(config);
        let before = std::mem::take(names);
        names.extend(plan.servers.iter().map(|server| server.name.clone()));
        let changes = self.fleet.apply_to(plan, |name| before.contains(name)).await;
        let generation = self.status.read().unwrap_or_else(PoisonError::into_inner).generation + 1;
        Reloaded { changes: Arc::new(changes), needs_restart, warnings, generation }
    }

    fn keep(&self, outcome: &Outcome) {
        let path = self.file.path().display();
        match outcome {
            Ok(reloaded) => {
                for (server, failure) in &reloaded.changes.failed {
                    tracing::error!(%server, code = failure.code(), %failure, "server not reloaded");
                }
                for note in &reloaded.warnings {
                    tracing::warn!("{note}");
                }
                if !reloaded.needs_restart.is_empty() {
                    let keys = reloaded.needs_restart.join(", ");
                    tracing::warn!(%path, %keys, "settings that need a restart have changed");
                }
            }
            Err(error) => {
                tracing::error!(%path, "configuration not reloaded, the last good one stays: {error}");
            }
        }
        let mut status = self.status.write().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(reloaded) => {
                let failed = reloaded.changes.failed.iter();
                let failed: Vec<_> =
                    failed.map(|(name, failure)| format!("{name}: {failure}")).collect();
                status.loaded_at = now();
                status.generation = reloaded.generation;
                status.ok = failed.is_empty();
                status.error = (!failed.is_empty()).then(|| failed.join("\n"));
                status.needs_restart.clone_from(&reloaded.needs_restart);
            }
            Err(error) => {
                status.ok = false;
                status.error = Some(error.to_string());
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "people are told when a file was read")]
fn now() -> SystemTime {
    SystemTime::now()
}
