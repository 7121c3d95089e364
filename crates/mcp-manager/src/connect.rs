//! Opening a server's connections, and noticing how they end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use mcp_wire::{CallError, Era, Inbox};

use crate::client::{Client, pump};
use crate::config::ProtocolEra;
use crate::failure::Failure;
use crate::hear::attend;
use crate::lists::ListKind;
use crate::renew;
use crate::server::{Replica, Server, lock};
use crate::state::State;
use crate::upstream::{Upstream, Wish};

impl Server {
    /// A connection of ours, to the replica whose turn it is.
    pub(crate) async fn ours(&self) -> Result<Arc<Upstream>, Failure> {
        self.ours_at(self.next_turn()).await
    }

    fn next_turn(&self) -> usize {
        match self.replicas() {
            1 => 0,
            count => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        }
    }

    /// The replica of this number; if that is gone by now, another one.
    fn replica(&self, index: usize) -> Arc<Replica> {
        let line_up = self.line_up();
        Arc::clone(&line_up.replicas[index % line_up.replicas.len()])
    }

    pub(crate) async fn ours_at(&self, index: usize) -> Result<Arc<Upstream>, Failure> {
        let server = self.enabled()?;
        let replica = self.replica(index);
        let opened = Arc::clone(&replica);
        let open = move || async move {
            let known = *lock(&server.era);
            match server.opener().open(Wish::Ours { known }).await {
                Ok((upstream, inbox)) => Ok(server.opened(&opened, upstream, inbox)),
                Err(failure) => {
                    server.failed(&failure);
                    Err(failure)
                }
            }
        };
        replica.ours.get_or_open(open).await
    }

    /// The session of ours that clients share.
    pub(crate) async fn shared(&self, index: usize) -> Result<Arc<Upstream>, Failure> {
        let ours = self.ours_at(index).await?;
        if ours.era() == Era::Legacy {
            return Ok(ours);
        }
        let server = self.enabled()?;
        let open = move || async move {
            let (upstream, inbox) = match server.opener().open(Wish::OurSession).await {
                // It has no sessions to share.
                Err(Failure::Protocol { .. }) => return Ok(ours),
                opened => opened?,
            };
            let upstream = Arc::new(upstream);
            tokio::spawn(attend(Arc::downgrade(&server), Arc::downgrade(&upstream), inbox));
            Ok(upstream)
        };
        self.replica(index).shared.get_or_open(open).await
    }

    /// The connection of `client`, opened with what the client said of itself.
    ///
    /// A server that has no sessions is reached by a connection of ours, and the client hears of
    /// its changes from us.
    pub(crate) async fn session(&self, client: &Arc<Client>) -> Result<Arc<Upstream>, Failure> {
        let upstream = self.session_of(client).await?;
        if (upstream.era() == Era::Modern || self.settings().shareable())
            && let Some(server) = self.itself.upgrade()
            && let Err(failure) = client.hear(&server)
        {
            tracing::warn!(%failure, "a client does not hear of changes");
        }
        Ok(upstream)
    }

    async fn session_of(&self, client: &Arc<Client>) -> Result<Arc<Upstream>, Failure> {
        if self.settings().shareable() {
            return self.shared(0).await;
        }
        if self.settings().protocol_era == ProtocolEra::Modern {
            return self.ours().await;
        }
        let slot = client.slot(self);
        if let Some(upstream) = slot.current() {
            return Ok(upstream);
        }
        let Some(params) = client.params() else { return self.ours().await };
        let server = self.enabled()?;
        let client = Arc::downgrade(client);
        let open = move || async move { server.open_session(&client, &params).await };
        slot.get_or_open(open).await
    }

    async fn open_session(
        self: &Arc<Self>,
        client: &Weak<Client>,
        params: &str,
    ) -> Result<Arc<Upstream>, Failure> {
        let (upstream, inbox) = match self.opener().open(Wish::Session { params }).await {
            Err(failure @ Failure::Protocol { .. }) => match self.ours().await {
                Ok(ours) if ours.era() == Era::Modern => return Ok(ours),
                _ => return Err(failure),
            },
            opened => opened?,
        };
        let upstream = Arc::new(upstream);
        let server = Arc::downgrade(self);
        let weak = Arc::downgrade(&upstream);
        tokio::spawn(pump(Weak::clone(client), Weak::clone(&server), Weak::clone(&weak), inbox));
        renew::watch(Weak::clone(client), server, weak);
        let Some(client) = client.upgrade() else { return Ok(upstream) };
        renew::replay(&client, self, &upstream).await;
        if let Some(before) = client.slot(self).hello() {
            renew::compare(self, &before, &upstream.hello);
            if client.scope().only().is_some() {
                renew::tell_changes(&client, &upstream);
            }
        }
        client.arrived();
        Ok(upstream)
    }

    /// This server, if it may be opened at all.
    fn enabled(&self) -> Result<Arc<Self>, Failure> {
        if self.is_disabled() {
            let why = format!("server {:?} is disabled in the configuration", self.name());
            return Err(Failure::Config { server: self.name().to_owned(), why });
        }
        self.itself.upgrade().ok_or(Failure::Stopping)
    }

    fn opened(&self, replica: &Arc<Replica>, upstream: Upstream, inbox: Inbox) -> Arc<Upstream> {
        let upstream = Arc::new(upstream);
        *lock(&self.era) = Some(upstream.era());
        if let Some(process) = upstream.process() {
            *lock(&replica.stderr) = Some(process.stderr().clone());
        }
        let weak = Arc::downgrade(&upstream);
        tokio::spawn(attend(Weak::clone(&self.itself), Weak::clone(&weak), inbox));
        tokio::spawn(watch_end(Weak::clone(&self.itself), Arc::clone(replica), weak));
        self.doubt.settle();
        let era = upstream.era();
        let others = self.alive().filter(|other| !Arc::ptr_eq(other, replica)).count();
        self.state.send_replace(State::Ready { replicas: others + 1, of: self.replicas(), era });
        let server = Weak::clone(&self.itself);
        tokio::spawn(async move {
            let Some(server) = server.upgrade() else { return };
            for kind in ListKind::ALL {
                let _ = server.refresh(kind).await;
            }
            server.arrivals.send_modify(|count| *count += 1);
        });
        upstream
    }

    fn failed(&self, failure: &Failure) {
        tracing::warn!(server = %self.name(), code = failure.code(), %failure, "server failed");
        self.state.send_modify(|state| match state {
            State::Ready { replicas, .. } if *replicas > 0 => {}
            state => *state = State::Failed { failure: failure.clone() },
        });
    }

    /// Takes note that the server's port could not be reached: nor can its other connections, then.
    /// Whether calls wait for it to come back.
    pub(crate) fn unreached(&self, error: &CallError) -> bool {
        self.doubt.raise();
        for replica in self.alive() {
            if let Some(upstream) = replica.ours.current() {
                let failure = Failure::of_call(self.name(), error.clone());
                self.ended(&replica, &upstream, failure);
            }
        }
        self.doubt.waits()
    }

    /// Takes note that the server has answered: if that is news, it is connected to again.
    pub(crate) fn answered(&self) {
        if self.doubt.settle()
            && let Some(server) = self.itself.upgrade()
        {
            // How it went is in the state.
            tokio::spawn(async move { _ = server.ours().await });
        }
    }

    fn ended(&self, replica: &Replica, upstream: &Arc<Upstream>, failure: Failure) {
        tracing::warn!(server = %self.name(), %failure, "server ended");
        replica.ours.clear_of(upstream);
        let replicas = self.alive().count();
        self.state.send_modify(|state| match state {
            State::Ready { of, era, .. } if replicas > 0 => {
                *state = State::Ready { replicas, of: *of, era: *era };
            }
            state => *state = State::Failed { failure },
        });
    }

    /// The replicas that answer now.
    fn alive(&self) -> impl Iterator<Item = Arc<Replica>> {
        let replicas = self.line_up().replicas.clone().into_iter();
        replicas.filter(|replica| replica.ours.current().is_some())
    }
}

/// Notices the end of a replica's connection.
async fn watch_end(server: Weak<Server>, replica: Arc<Replica>, upstream: Weak<Upstream>) {
    let Some(ended) = upstream.upgrade().map(|upstream| upstream.connection.ended()) else {
        return;
    };
    let error = ended.await;
    // Gone means that we let go of it ourselves.
    let (Some(server), Some(upstream)) = (server.upgrade(), upstream.upgrade()) else { return };
    let failure = upstream.explain(error).await;
    server.ended(&replica, &upstream, failure);
}
