//! All servers of a manager, and the way in.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_supervisor::{Cgroups, Ledger, Shim};
use mcp_wire::Request;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::Client;
use crate::config::{Config, Settings};
use crate::definition::Definition;
use crate::dispatch::{Call, dispatch};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::handles::Owner;
use crate::header_params::HeaderParam;
use crate::hello;
use crate::keep::Keep;
use crate::keeper::policy;
use crate::live::Live;
use crate::memory::Memory;
use crate::opener::Means;
use crate::route::route;
use crate::scope::Scope;
use crate::server::Server;
use crate::state::State;
use crate::turnover::Yard;

/// How long a stop waits for the last process, beyond the ladder that each goes down.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what an earlier life has left may take to end.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);

/// The servers that one manager runs.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) yard: Arc<Yard>,
    pub(crate) keep: Arc<Keep>,
}

/// What a fleet is made of.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The servers, in the order in which they are listed.
    pub servers: Vec<Definition>,
    /// The manager's own settings.
    pub settings: Settings,
    /// What stands between the manager and its processes; without one, grandchildren that leave
    /// their process group outlive them.
    pub shim: Option<Shim>,
    /// What limits its processes best; see [`Cgroups::find`]. Without it they are limited by other
    /// means, and some of their limits by none.
    pub cgroups: Option<Cgroups>,
}

impl From<Config> for Plan {
    fn from(config: Config) -> Self {
        let servers = config.servers.into_iter().map(Definition::from).collect();
        Self { servers, settings: config.settings, ..Self::default() }
    }
}

impl Fleet {
    /// The fleet of `plan`, with nothing started yet.
    ///
    /// Refuses two servers of one name, and names that no path could lead to.
    pub fn new(plan: Plan) -> Result<Self, Failure> {
        check(&plan.servers)?;
        let Plan { servers, settings, shim, cgroups } = plan;
        let means = Means { shim, cgroups, ledger: ledger(&settings) };
        let rules = settings.rules.clone();
        let (roster, live) = (Arc::default(), Live::new());
        let yard = Yard { roster, settings, means, clients: Arc::default(), live };
        for definition in servers {
            yard.roster.add(Server::new(yard.opener(definition)))?;
        }
        let keep = Arc::new(Keep::new(Arc::clone(&yard.roster))?);
        keep.rules.set(rules)?;
        Ok(Self { yard: Arc::new(yard), keep })
    }

    /// Opens every server, each on its own; how it goes is in each server's state.
    ///
    /// First, what an earlier life of the manager has left running is ended, if there is a state
    /// directory to know it by.
    pub fn start(&self) {
        let (yard, servers) = (Arc::clone(&self.yard), self.servers());
        let Some(ledger) = self.yard.means.ledger.clone() else {
            servers.iter().for_each(|server| yard.begin(server));
            return;
        };
        tokio::spawn(async move {
            match ledger.end_leftovers(LEFTOVERS_GRACE).await {
                Ok(left) if left.ended.is_empty() && left.alive.is_empty() => {}
                Ok(left) => tracing::warn!(?left, "an earlier life has left processes"),
                Err(error) => tracing::warn!(%error, "what an earlier life has left is not known"),
            }
            servers.iter().for_each(|server| yard.begin(server));
        });
    }

    /// Ends what would never end by itself, before calls in flight are waited for: subscriptions
    /// are told that this was all.
    pub fn end_subscriptions(&self) {
        for server in &*self.servers() {
            server.feed().close();
        }
    }

    /// Ends every connection and every process, and waits for the last of them.
    ///
    /// Clients must be let go of first: their sessions have processes, too.
    pub async fn stop(&self) {
        self.yard.live.stop();
        self.keep.parked.clear();
        let mut halting = JoinSet::new();
        for server in &*self.servers() {
            server.feed().close();
            let (yard, server) = (Arc::clone(&self.yard), Arc::clone(server));
            halting.spawn(async move { yard.halt(&server).await });
        }
        let over = async {
            halting.join_all().await;
            self.yard.live.none_left().await;
        };
        if timeout(STOP_TIMEOUT, over).await.is_err() {
            tracing::error!("some processes did not end in time");
        }
    }

    /// Its servers, in the order of the configuration.
    pub fn servers(&self) -> Arc<[Arc<Server>]> {
        self.yard.roster.servers()
    }

    /// The server of this name.
    pub fn server(&self, name: &str) -> Option<Arc<Server>> {
        self.yard.roster.server(name)
    }

    /// The manager's settings.
    pub fn settings(&self) -> &Settings {
        &self.yard.settings
    }

    /// The view in which all servers are one.
    pub fn everything(&self) -> Scope {
        Scope::all(&self.yard.roster, self.yard.settings.namespace)
    }

    /// The view of one server.
    pub fn just(&self, name: &str) -> Option<Scope> {
        self.server(name).map(|server| Scope::one(&self.yard.roster, &server))
    }

    /// Begins a session for a client that sees `scope`.
    pub fn connect(&self, scope: Scope) -> Arc<Client> {
        self.reconnect(scope, Memory::default())
    }

    /// Goes on with the session of a client that an earlier life of the manager has known: its
    /// connections are opened again, with all that they were told, when they are first needed, and
    /// at once where it is subscribed to something.
    ///
    /// Needs a runtime, as all that opens connections does.
    pub fn reconnect(&self, scope: Scope, memory: Memory) -> Arc<Client> {
        let subscribed: Vec<String> = memory.subscriptions.keys().cloned().collect();
        let client = Client::new(scope, memory);
        for server in subscribed.iter().filter_map(|name| self.server(name)) {
            // Where it is subscribed to something, it must not wait for the client to speak first.
            let client = Arc::clone(&client);
            tokio::spawn(async move { server.session(&client).await.map(drop) });
        }
        self.yard.clients.add(&client);
        client
    }

    /// Answers a client's `initialize`.
    ///
    /// Where the client sees one server, the answer is that server's own: as it wrote it if it has
    /// sessions, else in the words of the session era.
    pub async fn initialize(
        &self,
        client: &Arc<Client>,
        request: &Request,
    ) -> Result<Exchange, Failure> {
        let params = request.message().params().unwrap_or("{}");
        client.introduce(params);
        let Some(server) = client.scope().only() else {
            return Ok(Exchange::ready(&hello::initialized(client.scope(), params)));
        };
        let upstream = server.session(client).await?;
        let introduction = match upstream.era() {
            mcp_wire::Era::Legacy => upstream.introduction().to_owned(),
            mcp_wire::Era::Modern => hello::introduced(server, upstream.introduction(), params),
        };
        Ok(Exchange::ready(&introduction))
    }

    /// The headers in which a stateless `tools/call` must repeat arguments; `None` if its tool is
    /// not known.
    pub async fn header_params(
        &self,
        scope: &Scope,
        request: &Request,
    ) -> Option<Arc<[HeaderParam]>> {
        let mut request = request.clone();
        let server = route(&self.keep.handles, Owner::default(), scope, &mut request).await.ok()?;
        server.header_params(request.name()?).await?.ok()
    }

    /// Takes a call to its server.
    pub async fn dispatch(&self, call: Call) -> Result<Exchange, Failure> {
        dispatch(&self.keep, call).await
    }

    /// Resolves when every server has become ready or failed, or `limit` has passed.
    pub async fn settled(&self, limit: Duration) {
        let mut waiting = JoinSet::new();
        for server in &*self.servers() {
            let mut state = server.watch();
            waiting.spawn(async move {
                let over = |state: &State| *state != State::Starting;
                _ = state.wait_for(over).await;
            });
        }
        let _ = timeout(limit, waiting.join_all()).await;
    }
}

/// Where it is written down which processes run. Without one they are no worse off.
fn ledger(settings: &Settings) -> Option<Ledger> {
    let dir = settings.state_dir.as_ref()?.join("processes");
    let opened = Ledger::open(&dir);
    let opened = opened.inspect_err(|error| {
        tracing::warn!(?dir, %error, "processes are not written down");
    });
    opened.ok()
}

/// A configuration was checked when it was read; a plan can be made by hand.
pub(crate) fn check(servers: &[Definition]) -> Result<(), Failure> {
    let mut names = HashSet::new();
    for definition in servers {
        let name = &definition.name;
        if name.is_empty() || name.contains('/') {
            let why = format!("server {name:?}: a name must not be empty, nor contain \"/\"");
            return Err(Failure::Config { server: name.clone(), why });
        }
        if let Err(error) = policy(definition).check() {
            let why = format!("server {name:?}: restarts: {error}");
            return Err(Failure::Config { server: name.clone(), why });
        }
        if !names.insert(name) {
            return Err(Failure::AlreadyExists { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Custom;

    #[test]
    fn every_server_has_a_name_of_its_own() {
        let fleet = |names: &[&str]| {
            let custom = Custom::new(|| std::future::ready(Err(String::new())));
            let server = |name: &&str| Definition::custom(*name, custom.clone());
            let servers = names.iter().map(server).collect();
            Fleet::new(Plan { servers, ..Plan::default() }).map(drop).map_err(|f| f.code())
        };
        assert_eq!(fleet(&["a", "b"]), Ok(()));
        assert_eq!(fleet(&["a", "b", "a"]), Err("SERVER_ALREADY_EXISTS"));
        assert_eq!(fleet(&[""]), Err("CONFIG_ERROR"));
        assert_eq!(fleet(&["a/b"]), Err("CONFIG_ERROR"));
    }
}
