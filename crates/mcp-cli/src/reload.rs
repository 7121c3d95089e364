//! Reloads while `up` runs: when the file changes, and on SIGHUP.

use std::fs::File;
use std::sync::Arc;

use mcp_manager::Fleet;
use mcp_manager::config::ConfigError;
use mcp_manager::reload::{Outcome, ReloadError, Reloaded, Reloader};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::exit::{Error, Exit};
use crate::output::printable;
use crate::up::Herald;

/// What reloads, for as long as it is kept.
pub(crate) struct Reloads {
    tasks: JoinSet<()>,
    hang_ups: Option<Signal>,
    /// SIGHUP did not mean the file.
    hung_up: Arc<Notify>,
}

impl Reloads {
    /// From now on, SIGHUP does not end the program by itself.
    pub(crate) fn new() -> Result<Self, Error> {
        let hang_ups = signal(SignalKind::hangup()).map_err(|error| {
            Error::new(Exit::Unexpected, "SIGNALS", format!("cannot watch signals: {error}"))
        })?;
        Ok(Self { tasks: JoinSet::new(), hang_ups: Some(hang_ups), hung_up: Arc::default() })
    }

    /// Begins to listen to signals, and to follow the file if `watch`. Without a file, SIGHUP means
    /// what it means to other programs.
    pub(crate) fn begin(
        &mut self,
        herald: Herald,
        fleet: &Arc<Fleet>,
        reloader: Option<Reloader>,
        watch: bool,
    ) {
        if let Some(reloader) = &reloader {
            let (mut outcomes, fleet) = (reloader.outcomes(), Arc::clone(fleet));
            self.tasks.spawn(async move {
                while outcomes.changed().await.is_ok() {
                    let outcome = outcomes.borrow_and_update().clone();
                    if let Some(outcome) = outcome {
                        herald.reloaded(&fleet, &outcome);
                    }
                }
            });
        }
        if let Some(reloader) = reloader.clone().filter(|_| watch) {
            self.tasks.spawn(async move { reloader.follow().await });
        }
        if let Some(hang_ups) = self.hang_ups.take() {
            self.tasks.spawn(obey(hang_ups, reloader, Arc::clone(&self.hung_up)));
        }
    }

    /// Resolves when the terminal is gone, or SIGHUP came and there is no file to reload.
    pub(crate) async fn hung_up(&self) {
        self.hung_up.notified().await;
    }

    /// From now on nothing is reloaded.
    pub(crate) fn end(mut self) {
        self.tasks.abort_all();
    }
}

/// SIGHUP also says that the terminal was closed. Whoever started the manager there means to end it:
/// else it would go on, with all of its servers, where nobody sees it.
async fn obey(mut hang_ups: Signal, reloader: Option<Reloader>, hung_up: Arc<Notify>) {
    let at_terminal = has_terminal();
    while hang_ups.recv().await.is_some() {
        match &reloader {
            // Whoever listens to outcomes says what comes of it.
            Some(reloader) if !at_terminal || has_terminal() => _ = reloader.request(),
            _ => hung_up.notify_one(),
        }
    }
}

/// Whether this process has a terminal that is there: what is typed at it may end the process.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

impl Herald {
    /// Says what came of a reload, and follows the servers that are new.
    fn reloaded(self, fleet: &Fleet, outcome: &Outcome) {
        if self.json {
            self.say(&event(outcome));
        } else {
            words(outcome).iter().for_each(|line| self.say(line));
        }
        let Ok(reloaded) = outcome else { return };
        for server in reloaded.changes.added.iter().filter_map(|name| fleet.server(name)) {
            tokio::spawn(self.follow(server));
        }
    }
}

fn event(outcome: &Outcome) -> String {
    let event = match outcome {
        Ok(reloaded) => {
            let changes = &reloaded.changes;
            let failed = changes.failed.iter().map(|(name, failure)| {
                json!({ "name": name, "code": failure.code(), "message": failure.to_string() })
            });
            json!({
                "event": "reload",
                "ok": changes.failed.is_empty(),
                "generation": reloaded.generation,
                "added": changes.added,
                "changed": changes.changed,
                "removed": changes.removed,
                "unchanged": changes.unchanged.len(),
                "failed": failed.collect::<Vec<_>>(),
                "needs_restart": reloaded.needs_restart,
            })
        }
        Err(error) => json!({ "event": "reload", "ok": false, "error": error.to_string() }),
    };
    event.to_string()
}

/// The same for people, a line each.
fn words(outcome: &Outcome) -> Vec<String> {
    let line = |what: &str| format!("  {:<20} {}", "reload", printable(what));
    match outcome {
        Ok(reloaded) => {
            let mut lines = vec![line(&summary(reloaded))];
            for (name, failure) in &reloaded.changes.failed {
                lines.push(line(&format!("{name} stays as it was: {failure}")));
            }
            for note in &reloaded.warnings {
                lines.push(line(&format!("warning: {note}")));
            }
            if !reloaded.needs_restart.is_empty() {
                let keys = reloaded.needs_restart.join(", ");
                lines.push(line(&format!("needs a restart to take effect: {keys}")));
            }
            lines
        }
        Err(ReloadError::Config(error)) => refused(error).iter().map(|what| line(what)).collect(),
        Err(error) => vec![line(&format!("refused: {error}"))],
    }
}

fn refused(error: &ConfigError) -> Vec<String> {
    let problems = error.problems().iter().map(ToString::to_string);
    let first = "refused, the last good configuration stays:".to_owned();
    std::iter::once(first).chain(problems).collect()
}

fn summary(reloaded: &Reloaded) -> String {
    let changes = &reloaded.changes;
    let parts =
        [("added", &changes.added), ("changed", &changes.changed), ("removed", &changes.removed)];
    let mut said: Vec<_> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", names.join(", ")))
        .collect();
    said.push(format!("{} unchanged", changes.unchanged.len()));
    said.join("; ")
}
