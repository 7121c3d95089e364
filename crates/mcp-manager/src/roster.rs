//! Which servers a fleet has now.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::failure::Failure;
use crate::server::Server;

/// The servers in their order. Whoever looks gets them as they are at that moment; servers that come
/// and go later do not change what was seen.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    servers: RwLock<Arc<[Arc<Server>]>>,
    /// Counts how often one has come.
    arrivals: watch::Sender<u64>,
}

impl Roster {
    pub(crate) fn servers(&self) -> Arc<[Arc<Server>]> {
        Arc::clone(&self.servers.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn server(&self, name: &str) -> Option<Arc<Server>> {
        self.servers().iter().find(|server| server.name() == name).cloned()
    }

    /// Changes each time a server has come.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// Adds a server at the end.
    pub(crate) fn add(&self, server: Arc<Server>) -> Result<(), Failure> {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if servers.iter().any(|known| known.name() == server.name()) {
            return Err(Failure::AlreadyExists { name: server.name().to_owned() });
        }
        *servers = servers.iter().cloned().chain([server]).collect();
        drop(servers);
        self.arrivals.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Puts the servers into the order of `names`; those that it does not name come last, as they
    /// were.
    pub(crate) fn arrange(&self, names: &[String]) {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        let place = |server: &Arc<Server>| {
            names.iter().position(|name| name == server.name()).unwrap_or(usize::MAX)
        };
        let mut arranged = servers.to_vec();
        arranged.sort_by_key(place);
        *servers = arranged.into();
    }

    /// Takes the server of this name off the list; it goes on until it is stopped.
    pub(crate) fn remove(&self, name: &str) -> Result<Arc<Server>, Failure> {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        let found = servers.iter().find(|server| server.name() == name).cloned();
        let gone = found.ok_or_else(|| Failure::ServerNotFound { name: name.to_owned() })?;
        *servers = servers.iter().filter(|server| server.name() != name).cloned().collect();
        Ok(gone)
    }
}
