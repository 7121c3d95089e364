//! Both HTTP faces of a fleet, started and stopped together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_manager::Fleet;
use mcp_manager::reload::Reloader;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::admin::{Admin, Door};
use crate::endpoint::Endpoint;
use crate::listener::Terms;
use crate::reserve::Reserve;
use crate::shelf::Shelf;
use crate::socket::{Listen, ListenError};
use crate::stopping::Stopping;
use crate::store::{self, Record, StateError};
use crate::{Options, listener};

/// How long a stop waits for operators to read what they were told.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);
/// How long a store that another process has on the same sockets is waited for: it is asked to stop
/// by whoever started us.
const STATE_TIMEOUT: Duration = Duration::from_secs(120);
const STATE_PAUSE: Duration = Duration::from_millis(50);

/// A fleet's endpoint and its admin port, listening.
#[derive(Debug)]
pub struct Gateway {
    endpoint: Arc<Endpoint>,
    admin: Arc<Admin>,
    address: SocketAddr,
    admin_address: SocketAddr,
    /// True once no new work is taken.
    stop: watch::Sender<bool>,
    /// True once there is no work any more.
    over: watch::Sender<bool>,
    clients: JoinSet<()>,
    others: JoinSet<()>,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on; the error says which.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The state of an earlier life cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Gateway {
    /// Listens on `listen` for clients and on `admin` for operators; port 0 takes a free one. With
    /// [`Options::state_dir`], goes on with the sessions that are kept there.
    pub async fn start(
        fleet: Arc<Fleet>,
        listen: SocketAddr,
        admin: SocketAddr,
        options: Options,
    ) -> Result<Self, StartError> {
        Self::start_on(fleet, listen.into(), admin.into(), options).await
    }

    /// The same, also on sockets that were opened by others.
    ///
    /// A socket of another process with the same state is taken over from it: the state is waited
    /// for, and who connects meanwhile waits as well.
    pub async fn start_on(
        fleet: Arc<Fleet>,
        listen: Listen,
        admin: Listen,
        options: Options,
    ) -> Result<Self, StartError> {
        let (clients, operators) = (listen.open().await?, admin.open().await?);
        let (address, admin_address) = (clients.address, operators.address);
        let patience = if clients.shared { STATE_TIMEOUT } else { Duration::ZERO };
        let (shelf, records) = shelf(options.state_dir.clone(), patience).await?;
        let (stop, over) = (watch::Sender::new(false), watch::Sender::new(false));
        let stopping = Stopping { told: stop.subscribe(), shared: clients.shared };
        let endpoint = Arc::new(Endpoint::new(fleet, options.clone(), shelf, stopping));
        endpoint.restore(records).await;
        let (mut serving, mut others) = (JoinSet::new(), JoinSet::new());
        let handle = {
            let endpoint = Arc::clone(&endpoint);
            move |request| {
                let endpoint = Arc::clone(&endpoint);
                async move { endpoint.handle(request).await }
            }
        };
        let (drain, options) = (options.drain_timeout, || options.clone());
        let terms = Terms { options: options(), stop: stop.subscribe(), drain, reserve: None };
        serving.spawn(listener::serve(clients, terms, handle));
        let door = match options().admin_token {
            // Whoever can reach it over a network can listen to it as well.
            _ if !admin_address.ip().is_loopback() => Door::Closed(
                "nothing can be changed from other machines: bind the admin port to loopback",
            ),
            Some(token) => Door::Token(token),
            None => Door::Closed("this manager has no admin token, so nothing can be changed"),
        };
        let admin = Arc::new(Admin::new(Arc::clone(&endpoint), door));
        let answering = Arc::clone(&admin);
        let handle = move |request| {
            let admin = Arc::clone(&answering);
            async move { admin.handle(request).await }
        };
        let (drain, reserve) = (ADMIN_DRAIN, Some(Reserve::new()));
        let terms = Terms { options: options(), stop: over.subscribe(), drain, reserve };
        others.spawn(listener::serve(operators, terms, handle));
        let sweeping = Arc::clone(&endpoint);
        let mut stopped = over.subscribe();
        others.spawn(async move {
            tokio::select! {
                () = sweeping.sessions.sweep() => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(Self { endpoint, admin, address, admin_address, stop, over, clients: serving, others })
    }

    /// Has operators be able to reload the file that the fleet comes from. The first one counts.
    pub fn reload_with(&self, reloader: Reloader) {
        let _ = self.admin.reloader.set(reloader);
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators look.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Resolves when a part of the gateway has ended by itself, which none should: what is left
    /// serves nobody, however alive it looks. Cancel safe.
    pub async fn broken(&mut self) {
        tokio::select! {
            _ = self.clients.join_next() => {}
            _ = self.others.join_next() => {}
        }
    }

    /// Takes no new calls and says so to operators, lets those in flight finish for as long as
    /// [`Options::drain_timeout`], and ends every session, unless it is kept for another life.
    ///
    /// Streams that belong to no call end at once. Whoever connects meanwhile is told that we stop,
    /// with 503; but on a socket that is shared, nobody is accepted any more, and connections that
    /// are open already serve what they are asked, and are closed.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.endpoint.sessions.end_streams();
        self.endpoint.fleet.end_subscriptions();
        while self.clients.join_next().await.is_some() {}
        // Operators see until the end that we are stopping.
        self.over.send_replace(true);
        while self.others.join_next().await.is_some() {}
        self.endpoint.sessions.close().await;
    }
}

/// Where events are put, and the sessions that a directory has kept.
async fn shelf(
    state_dir: Option<PathBuf>,
    patience: Duration,
) -> Result<(Shelf, Vec<Record>), StartError> {
    let Some(dir) = state_dir else { return Ok((Shelf::in_memory(), Vec::new())) };
    let end = Instant::now() + patience;
    loop {
        let dir = dir.clone();
        let opened = tokio::task::spawn_blocking(move || store::open(&dir)).await;
        match opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
            Err(StateError::InUse { .. }) if Instant::now() < end => sleep(STATE_PAUSE).await,
            opened => return Ok(Shelf::restored(opened?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use mcp_manager::Plan;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn fault_50_a_gateway_of_which_a_part_has_died_says_so() {
        let fleet = Arc::new(Fleet::new(Plan::default()).unwrap());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Gateway::start(fleet, any, any, Options::default()).await.unwrap();
        let none = timeout(Duration::from_millis(50), gateway.broken()).await;
        assert!(none.is_err(), "nothing has ended yet");
        gateway.clients.spawn(async { panic!("a mistake of ours") });
        timeout(Duration::from_secs(30), gateway.broken()).await.unwrap();
        gateway.stop().await;
    }
}
