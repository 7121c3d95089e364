//! Changing a fleet that runs: servers come and go, are replaced, started and stopped.

use std::collections::HashSet;
use std::sync::Arc;

use crate::definition::Definition;
use crate::failure::Failure;
use crate::fleet::{Fleet, Plan, check, opener};
use crate::server::Server;

/// The most replicas that a server may have.
const REPLICAS_MAX: usize = 64;

/// What is to be done with several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// [`Fleet::start_server`].
    Start,
    /// [`Fleet::stop_server`].
    Stop,
    /// [`Fleet::restart`].
    Restart,
}

/// What became of an [`Action`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// For how many servers it was done.
    pub successful: usize,
    /// For how many it was not.
    pub failed: usize,
    /// How it went, for each server in the order in which they were named.
    pub results: Vec<(String, Result<(), Failure>)>,
}

/// What it took to make a fleet be as a plan says. Names of servers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that run by another definition now.
    pub changed: Vec<String>,
    /// Those that nobody has touched.
    pub unchanged: Vec<String>,
    /// Those that stayed as they were although the plan says otherwise.
    pub failed: Vec<(String, Failure)>,
}

impl Fleet {
    /// Adds a server at the end of the list and starts it; how that goes is in its state.
    pub async fn add(&self, definition: Definition) -> Result<(), Failure> {
        check(std::slice::from_ref(&definition))?;
        let opener = opener(definition, self.settings(), self.shim.clone(), self.live.clone());
        let server = Server::new(opener);
        self.roster.add(Arc::clone(&server))?;
        self.begin(&server);
        Ok(())
    }

    /// Takes a server off the list at once, and ends it when its calls are finished, or the drain
    /// timeout has passed.
    pub async fn remove(&self, name: &str) -> Result<(), Failure> {
        let server = self.roster.remove(name)?;
        server.stop();
        self.clients.lists_changed();
        Ok(())
    }

    /// Replaces a server's definition. What it says is started before the old is ended; if that does
    /// not become ready, the old stays, and this is why.
    pub async fn update(&self, definition: Definition) -> Result<(), Failure> {
        let name = definition.name.clone();
        self.remove(&name).await?;
        self.add(definition).await
    }

    /// Starts a server anew, also one that has failed.
    pub async fn restart(&self, name: &str) -> Result<(), Failure> {
        let server = self.named(name)?;
        self.update(server.opener().definition.clone()).await
    }

    /// Gives a server so many replicas, 1 to 64, whatever the load.
    pub async fn scale(&self, name: &str, replicas: usize) -> Result<(), Failure> {
        let server = self.named(name)?;
        if !(1..=REPLICAS_MAX).contains(&replicas) {
            let why = format!("a server has 1 to {REPLICAS_MAX} replicas, not {replicas}");
            return Err(Failure::Params { why });
        }
        let mut definition = server.opener().definition.clone();
        let scaling = &mut definition.settings.scaling;
        scaling.replicas = replicas;
        scaling.replicas_min = scaling.replicas_min.min(replicas);
        scaling.replicas_max = scaling.replicas_max.max(replicas);
        self.update(definition).await
    }

    /// Starts a server that was stopped, or that has failed.
    pub async fn start_server(&self, name: &str) -> Result<(), Failure> {
        self.named(name)?.start().await;
        Ok(())
    }

    /// Stops a server when its calls are finished, or the drain timeout has passed. It stays on the
    /// list, and off until it is started.
    pub async fn stop_server(&self, name: &str) -> Result<(), Failure> {
        self.named(name)?.stop();
        Ok(())
    }

    /// Does the same to several servers, some at a time. One failure does not keep the others.
    pub async fn bulk(&self, action: Action, names: &[String]) -> Report {
        let mut results = Vec::new();
        for name in names {
            let result = match action {
                Action::Start => self.start_server(name).await,
                Action::Stop => self.stop_server(name).await,
                Action::Restart => self.restart(name).await,
            };
            results.push((name.clone(), result));
        }
        let successful = results.iter().filter(|(_, result)| result.is_ok()).count();
        Report { successful, failed: results.len() - successful, results }
    }

    /// Makes the fleet have the servers of `plan`, in its order. Those whose definition is the same
    /// are not touched. The plan's settings and shim concern a fleet when it is made.
    pub async fn apply(&self, plan: Plan) -> Changes {
        let mut changes = Changes::default();
        let wanted: HashSet<String> = plan.servers.iter().map(|d| d.name.clone()).collect();
        for server in self.servers().iter().filter(|server| !wanted.contains(server.name())) {
            match self.remove(server.name()).await {
                Ok(()) => changes.removed.push(server.name().to_owned()),
                Err(failure) => changes.failed.push((server.name().to_owned(), failure)),
            }
        }
        for definition in plan.servers {
            let name = definition.name.clone();
            let (list, outcome) = match self.server(&name) {
                None => (&mut changes.added, self.add(definition).await),
                Some(server) if server.opener().definition == definition => {
                    (&mut changes.unchanged, Ok(()))
                }
                Some(_) => (&mut changes.changed, self.update(definition).await),
            };
            match outcome {
                Ok(()) => list.push(name),
                Err(failure) => changes.failed.push((name, failure)),
            }
        }
        changes
    }

    pub(crate) fn named(&self, name: &str) -> Result<Arc<Server>, Failure> {
        self.server(name).ok_or_else(|| Failure::ServerNotFound { name: name.to_owned() })
    }
}
