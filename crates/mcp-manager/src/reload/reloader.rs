//! One reload at a time: the file is read, the difference is applied, and what came of it is kept.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
#[cfg(feature = "watch")]
use std::time::Duration;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::file::ConfigFile;
#[cfg(feature = "watch")]
use super::look::Look;
use crate::config::{Config, ConfigError, Note, ProcessLookup, Severity};
use crate::fleet::{Fleet, Plan};
use crate::operations::Changes;

/// A file that changed less than this ago can change again without showing: its times are those of
/// the kernel's clock tick.
#[cfg(feature = "watch")]
const RACY: Duration = Duration::from_millis(100);

/// Makes a fleet be what its file says. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct Reloader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fleet: Arc<Fleet>,
    file: ConfigFile,
    queue: Mutex<Queue>,
    served: watch::Sender<Served>,
    status: RwLock<ReloadStatus>,
    outcomes: watch::Sender<Option<Outcome>>,
    /// The servers of the last good file. Others that the fleet has are none of our business.
    names: Mutex<HashSet<String>>,
    /// What there was when the file was last read, as far as that can be relied on.
    #[cfg(feature = "watch")]
    read: Mutex<Option<Look>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// How often a reload was asked for.
    asked: u64,
    /// Whether somebody sees to it.
    working: bool,
}

#[derive(Debug, Default)]
struct Served {
    /// The last reload began after it was asked for so often: all of those have been served.
    asked: u64,
    outcome: Option<Outcome>,
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
    /// It did not come to its end.
    #[error("the reload was interrupted")]
    Interrupted,
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
            queue: Mutex::default(),
            served: watch::Sender::default(),
            status: RwLock::new(status),
            outcomes: watch::Sender::new(None),
            names: Mutex::new(names),
            #[cfg(feature = "watch")]
            read: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Reads the file, and makes the fleet be what it says: resolves when changed servers are ready
    /// and removed ones have ended. If the file cannot be used, nothing changes.
    ///
    /// Whoever asks while another reload runs waits for one more, together with all others who do.
    /// A reload that has begun goes on when nobody waits for it.
    pub async fn reload(&self) -> Outcome {
        let mut served = self.inner.served.subscribe();
        let ticket = self.request();
        let served = served.wait_for(|served| served.asked >= ticket).await;
        // The sender is ours, so waiting cannot fail.
        let outcome = served.ok().and_then(|served| served.outcome.clone());
        outcome.unwrap_or(Err(ReloadError::Interrupted))
    }

    /// Asks for the same and does not wait for it. Needs a runtime. The number of the request.
    pub fn request(&self) -> u64 {
        let mut queue = lock(&self.inner.queue);
        queue.asked += 1;
        if !queue.working {
            queue.working = true;
            tokio::spawn(Arc::clone(&self.inner).work());
        }
        queue.asked
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

    /// Whether the file was read when it was as in `look`.
    #[cfg(feature = "watch")]
    pub(super) fn has_read(&self, look: Look) -> bool {
        *lock(&self.inner.read) == Some(look)
    }
}

impl Inner {
    /// Reloads until all who asked are served.
    async fn work(self: Arc<Self>) {
        loop {
            let asked = {
                let mut queue = lock(&self.queue);
                if queue.asked == self.served.borrow().asked {
                    queue.working = false;
                    return;
                }
                queue.asked
            };
            let inner = Arc::clone(&self);
            // On its own, so that a panic in it is the end of one reload and not of all.
            let run = tokio::spawn(async move { inner.run().await }).await;
            let outcome = run.unwrap_or(Err(ReloadError::Interrupted));
            self.keep(&outcome);
            self.outcomes.send_replace(Some(outcome.clone()));
            self.served.send_replace(Served { asked, outcome: Some(outcome) });
        }
    }

    async fn run(self: &Arc<Self>) -> Outcome {
        let inner = Arc::clone(self);
        let read = spawn_blocking(move || inner.read()).await;
        let config = read.unwrap_or(Err(ReloadError::Interrupted))?;
        Ok(self.apply(config).await)
    }

    /// Blocks.
    fn read(&self) -> Result<Config, ReloadError> {
        let path = self.file.path();
        #[cfg(feature = "watch")]
        {
            // Before the contents: what changes in between is seen later.
            let look = Look::at(path);
            *lock(&self.read) = look.is_older_than(RACY, now()).then_some(look);
        }
        Ok(Config::load(path, &ProcessLookup)?)
    }

    async fn apply(&self, config: Config) -> Reloaded {
        let needs_restart = self.fleet.settings().fixed_differences(&config.settings);
        let warnings = config.notes.iter().filter(|note| note.severity == Severity::Warning);
        let warnings = warnings.cloned().collect();
        let plan = Plan::from(config);
        let names = plan.servers.iter().map(|server| server.name.clone()).collect();
        let before = std::mem::replace(&mut *lock(&self.names), names);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
