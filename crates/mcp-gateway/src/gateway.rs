//! Both HTTP faces of a fleet, started and stopped together.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_manager::Fleet;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::endpoint::Endpoint;
use crate::shelf::Shelf;
use crate::store::{self, Record, StateError};
use crate::{Options, listener};

/// How long a stop waits for calls in flight.
const DRAIN: Duration = Duration::from_secs(5);

/// A fleet's endpoint and its admin port, listening.
#[derive(Debug)]
pub struct Gateway {
    endpoint: Arc<Endpoint>,
    address: SocketAddr,
    admin_address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on; the error says which.
    #[error(transparent)]
    Listen(#[from] io::Error),
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
        let clients = listener::bind(listen).await?;
        let operators = listener::bind(admin).await?;
        let (address, admin_address) = (clients.local_addr()?, operators.local_addr()?);
        let (shelf, records) = shelf(options.state_dir.clone()).await?;
        let stop = watch::Sender::new(false);
        let endpoint = Arc::new(Endpoint::new(fleet, options.clone(), shelf, stop.subscribe()));
        endpoint.restore(records).await;
        let mut tasks = JoinSet::new();
        let handle = {
            let endpoint = Arc::clone(&endpoint);
            move |request| {
                let endpoint = Arc::clone(&endpoint);
                async move { endpoint.handle(request).await }
            }
        };
        tasks.spawn(listener::serve(clients, options.clone(), handle, stop.subscribe(), DRAIN));
        let admin = Arc::new(Admin::new(Arc::clone(&endpoint)));
        let handle = move |request| {
            let admin = Arc::clone(&admin);
            async move { admin.handle(&request) }
        };
        tasks.spawn(listener::serve(operators, options, handle, stop.subscribe(), DRAIN));
        let sweeping = Arc::clone(&endpoint);
        let mut stopped = stop.subscribe();
        tasks.spawn(async move {
            tokio::select! {
                () = sweeping.sessions.sweep() => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(Self { endpoint, address, admin_address, stop, tasks })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators look.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Stops accepting, lets calls in flight finish (5 s at most), and ends every session, unless
    /// it is kept for another life.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.endpoint.sessions.end_streams();
        self.endpoint.fleet.end_subscriptions();
        while self.tasks.join_next().await.is_some() {}
        self.endpoint.sessions.close().await;
    }
}

/// Where events are put, and the sessions that a directory has kept.
async fn shelf(state_dir: Option<PathBuf>) -> Result<(Shelf, Vec<Record>), StartError> {
    let Some(dir) = state_dir else { return Ok((Shelf::in_memory(), Vec::new())) };
    let opened = tokio::task::spawn_blocking(move || store::open(&dir)).await;
    Ok(Shelf::restored(opened.map_err(io::Error::other)??))
}
