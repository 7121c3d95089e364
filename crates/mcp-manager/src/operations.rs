//! Changing a fleet that runs: servers come and go, are replaced, started and stopped.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::autoscale;
use crate::config::Scaling;
use crate::definition::Definition;
use crate::failure::Failure;
use crate::fleet::{Fleet, Plan, check};
use crate::line_up::REPLICAS_MAX;
use crate::server::Server;
use crate::turnover::Yard;

/// Servers that are changed at a time.
const AT_A_TIME: usize = 8;

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
        self.yard.add(definition)
    }

    /// Takes a server off the list at once, and ends it when its calls are finished, or the drain
    /// timeout has passed. Goes on when nobody waits for it, as all of these do.
    pub async fn remove(&self, name: &str) -> Result<(), Failure> {
        let (yard, name) = (Arc::clone(&self.yard), name.to_owned());
        to_the_end(async move { yard.remove(&name).await }).await
    }

    /// Replaces a server's definition. What it says is started before the old is ended; if that does
    /// not become ready, the old stays, and this is why. Sessions of clients are opened anew.
    pub async fn update(&self, definition: Definition) -> Result<(), Failure> {
        let yard = Arc::clone(&self.yard);
        to_the_end(async move { yard.update(definition).await }).await
    }

    /// Starts a server anew, with all its sessions, also one that has failed; or says why it does
    /// not become ready.
    ///
    /// What is new is started before the old is ended. Only where that fails does the old end
    /// first: there are servers that need what only one can have.
    pub async fn restart(&self, name: &str) -> Result<(), Failure> {
        let (yard, server) = (Arc::clone(&self.yard), self.named(name)?);
        to_the_end(async move { yard.restart(&server).await }).await
    }

    /// Gives a server so many replicas, 1 to 64, until its definition is replaced. Where their number
    /// follows the load, it goes on to do so, within bounds that are widened if need be.
    pub async fn scale(&self, name: &str, replicas: usize) -> Result<(), Failure> {
        let (yard, server) = (Arc::clone(&self.yard), self.named(name)?);
        if !(1..=REPLICAS_MAX).contains(&replicas) {
            let why = format!("a server has 1 to {REPLICAS_MAX} replicas, not {replicas}");
            return Err(Failure::Params { why });
        }
        let within = move |scaling: &Scaling| {
            let mut scaling = scaling.clone();
            let fixed = scaling.replicas_min == scaling.replicas_max;
            scaling.replicas = replicas;
            scaling.replicas_min =
                if fixed { replicas } else { scaling.replicas_min.min(replicas) };
            scaling.replicas_max =
                if fixed { replicas } else { scaling.replicas_max.max(replicas) };
            scaling
        };
        to_the_end(async move { yard.scale(&server, replicas, within).await }).await
    }

    /// Starts a server that was stopped, or that has failed; or says why it does not become ready.
    pub async fn start_server(&self, name: &str) -> Result<(), Failure> {
        let (yard, server) = (Arc::clone(&self.yard), self.named(name)?);
        to_the_end(async move { yard.start(&server).await }).await
    }

    /// Stops a server when its calls are finished, or the drain timeout has passed. It stays on the
    /// list, and off until it is started.
    pub async fn stop_server(&self, name: &str) -> Result<(), Failure> {
        let (yard, server) = (Arc::clone(&self.yard), self.named(name)?);
        to_the_end(async move { yard.stop(&server).await }).await
    }

    /// Does the same to several servers, some at a time. One failure does not keep the others.
    pub async fn bulk(&self, action: Action, names: &[String]) -> Report {
        let work = names.iter().map(|name| {
            let (yard, name) = (Arc::clone(&self.yard), name.clone());
            async move {
                let outcome = yard.act(action, &name).await;
                (name, outcome)
            }
        });
        let results = some_at_a_time(work).await;
        let successful = results.iter().filter(|(_, result)| result.is_ok()).count();
        Report { successful, failed: results.len() - successful, results }
    }

    /// Makes the fleet have the servers of `plan`, in its order. Those whose definition is the same
    /// are not touched. The plan's settings and shim concern a fleet when it is made.
    pub async fn apply(&self, plan: Plan) -> Changes {
        self.apply_to(plan, |_| true).await
    }

    /// The same, but of the servers that `plan` does not have, only those are removed that `ours`
    /// says yes to.
    pub(crate) async fn apply_to(&self, plan: Plan, ours: impl Fn(&str) -> bool) -> Changes {
        let names: Vec<String> = plan.servers.iter().map(|server| server.name.clone()).collect();
        let (mut changes, mut work) = (Changes::default(), Vec::new());
        let listed = |name: &str| names.iter().any(|listed| listed == name);
        for server in self.servers().iter().filter(|known| !listed(known.name())) {
            if ours(server.name()) {
                work.push(Step::Remove(server.name().to_owned()));
            }
        }
        if let Err(failure) = self.keep.rules.set(plan.settings.rules.clone()) {
            tracing::warn!(%failure, "the rules stay as they were");
        }
        for definition in plan.servers {
            match self.server(&definition.name) {
                Some(known) if known.line_up().is_of(&definition) => {
                    changes.unchanged.push(definition.name);
                }
                Some(_) => work.push(Step::Update(definition)),
                None => work.push(Step::Add(definition)),
            }
        }
        let steps = work.into_iter().map(|step| Arc::clone(&self.yard).carry_out(step));
        for done in some_at_a_time(steps).await {
            match done {
                Ok((name, list)) => list(&mut changes).push(name),
                Err(failed) => changes.failed.push(failed),
            }
        }
        self.yard.roster.arrange(&names);
        changes
    }

    pub(crate) fn named(&self, name: &str) -> Result<Arc<Server>, Failure> {
        self.yard.named(name)
    }
}

/// What one server needs to be as a plan says.
enum Step {
    Remove(String),
    Update(Definition),
    Add(Definition),
}

/// Where a server is listed for which that was done.
type List = fn(&mut Changes) -> &mut Vec<String>;

const ADDED: List = |changes| &mut changes.added;
const REMOVED: List = |changes| &mut changes.removed;
const CHANGED: List = |changes| &mut changes.changed;

impl Yard {
    fn named(&self, name: &str) -> Result<Arc<Server>, Failure> {
        let found = self.roster.server(name);
        found.ok_or_else(|| Failure::ServerNotFound { name: name.to_owned() })
    }

    async fn act(&self, action: Action, name: &str) -> Result<(), Failure> {
        let server = self.named(name)?;
        match action {
            Action::Start => self.start(&server).await,
            Action::Stop => self.stop(&server).await,
            Action::Restart => self.restart(&server).await,
        }
    }

    /// Takes one step: which server is listed where for it, or why it failed.
    async fn carry_out(self: Arc<Self>, step: Step) -> Result<(String, List), (String, Failure)> {
        let name = match &step {
            Step::Remove(name) => name.clone(),
            Step::Update(definition) | Step::Add(definition) => definition.name.clone(),
        };
        let outcome = match step {
            Step::Remove(name) => self.remove(&name).await.map(|()| REMOVED),
            Step::Update(definition) => self.update(definition).await.map(|()| CHANGED),
            Step::Add(definition) => self.add(definition).map(|()| ADDED),
        };
        outcome.map(|list| (name.clone(), list)).map_err(|failure| (name, failure))
    }

    async fn update(&self, definition: Definition) -> Result<(), Failure> {
        check(std::slice::from_ref(&definition))?;
        let server = self.named(&definition.name)?;
        if server.line_up().runs_as(&definition) {
            return self.treat(&server, &definition.settings).await;
        }
        self.replace(&server, definition).await
    }

    fn add(self: &Arc<Self>, definition: Definition) -> Result<(), Failure> {
        check(std::slice::from_ref(&definition))?;
        if self.live.is_stopping() {
            return Err(Failure::Stopping);
        }
        let server = Server::new(self.opener(definition));
        self.roster.add(Arc::clone(&server))?;
        self.begin(&server);
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        let server = self.roster.remove(name)?;
        self.clients.lists_changed();
        self.bury(&server).await;
        Ok(())
    }

    /// Starts a server, and tells clients each time that it has come up.
    pub(crate) fn begin(self: &Arc<Self>, server: &Arc<Server>) {
        let mut arrivals = server.arrivals();
        let clients = Arc::clone(&self.clients);
        tokio::spawn(async move {
            while arrivals.changed().await.is_ok() {
                clients.lists_changed();
            }
        });
        autoscale::begin(self, server);
        server.line_up().start(&server.itself);
    }
}

/// Does `work` to its end, also when nobody waits for it any more.
async fn to_the_end(
    work: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    // A task that is gone without a result means that the runtime is shutting down.
    tokio::spawn(work).await.unwrap_or(Err(Failure::Stopping))
}

/// What comes of each, in order.
async fn some_at_a_time<T, F>(work: impl Iterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut working = JoinSet::new();
    for (number, one) in work.enumerate() {
        let places = Arc::clone(&places);
        working.spawn(async move {
            // It is never closed.
            let _place = places.acquire().await;
            (number, one.await)
        });
    }
    let mut done = Vec::new();
    while let Some(one) = working.join_next().await {
        done.extend(one);
    }
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
