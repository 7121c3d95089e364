//! The connection that a request goes over: one of ours, or the session of its client.

use std::sync::{Arc, Weak};

use mcp_bulkhead::Ask;
use mcp_wire::{CallError, Era};

use crate::client::{Client, pump};
use crate::config::{ProtocolEra, Sessions};
use crate::failure::Failure;
use crate::hear::attend;
use crate::line_up::{LineUp, Way};
use crate::load::Hop;
use crate::opener::{Opener, Wish};
use crate::renew;
use crate::replica::Replica;
use crate::server::Server;
use crate::upstream::Upstream;

/// Where a server may still be found that was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hope {
    None,
    /// It is given time to come back.
    Later,
    /// Another replica answers.
    Elsewhere,
}

impl Server {
    /// A connection of ours, for something that is no call of a client.
    pub(crate) async fn ours(&self) -> Result<Arc<Upstream>, Failure> {
        let line_up = self.line_up();
        match line_up.next().and_then(|replica| replica.ours()) {
            Some(upstream) => Ok(upstream),
            // Boxed: rare, and it would make every request's future larger.
            None => Box::pin(self.wait_for(None)).await,
        }
    }

    /// A connection of ours for a call, to the replica that is best for it.
    pub(crate) async fn hop(
        &self,
        line_up: &LineUp,
        failed: &[usize],
        ask: Ask,
    ) -> Result<Hop, Failure> {
        let waited = match line_up.hop(failed) {
            Way::Go(hop) => return Ok(hop),
            Way::Refused(failure) => return Err(failure),
            Way::Full(index) => Box::pin(line_up.wait_at(index, ask)).await?,
            Way::None => None,
        };
        match waited {
            Some(hop) => Ok(hop),
            None => {
                let upstream = Box::pin(self.wait_for(None)).await?;
                line_up.lead(upstream, ask).await
            }
        }
    }

    /// A connection of ours to the replica of this number; if that is gone by now, to another one.
    pub(crate) async fn ours_at(&self, number: usize) -> Result<Arc<Upstream>, Failure> {
        match self.line_up().replica(number).map(|replica| replica.ours()) {
            Some(Some(upstream)) => Ok(upstream),
            Some(None) => Box::pin(self.wait_for(Some(number))).await,
            None => self.ours().await,
        }
    }

    /// The session of ours that clients share, at the replica of this number.
    pub(crate) async fn shared(&self, number: usize) -> Result<Arc<Upstream>, Failure> {
        let ours = self.ours_at(number).await?;
        let line_up = self.line_up();
        let replica = ours.replica().and_then(|number| line_up.replica(number));
        let (Era::Modern, Some(replica)) = (ours.era(), replica) else { return Ok(ours) };
        let (server, opener) = (Weak::clone(&self.itself), Arc::clone(&replica.opener));
        let open = move || async move {
            let (upstream, inbox) = match opener.open(Wish::OurSession).await {
                // It has no sessions to share.
                Err(Failure::Protocol { .. }) => return Ok(ours),
                opened => opened?,
            };
            tokio::spawn(attend(server, Arc::downgrade(&upstream), inbox));
            Ok(upstream)
        };
        replica.shared.get_or_open(open).await
    }

    /// The session that `client` shares with others: of one replica, as long as that is there.
    async fn shared_of(&self, line_up: &LineUp, client: &Client) -> Result<Arc<Upstream>, Failure> {
        if line_up.replicas.len() <= 1 {
            return self.shared(0).await;
        }
        let slot = client.slot(self);
        let ready = |replica: &&Arc<Replica>| replica.ours().is_some();
        let home = slot.home().and_then(|number| line_up.replica(number)).filter(ready);
        let replica = home.or_else(|| line_up.next());
        let number = replica.map_or(0, |replica| replica.number());
        slot.settle(number);
        self.shared(number).await
    }

    /// The connection of `client`, opened with what the client said of itself.
    ///
    /// A server that has no sessions is reached by a connection of ours, and the client hears of
    /// its changes from us.
    pub(crate) async fn session(&self, client: &Arc<Client>) -> Result<Arc<Upstream>, Failure> {
        let line_up = self.line_up();
        let upstream = self.session_of(&line_up, client).await?;
        let shares = line_up.opener.definition.settings.shareable();
        if (upstream.era() == Era::Modern || shares)
            && let Some(server) = self.itself.upgrade()
            && let Err(failure) = client.hear(&server)
        {
            tracing::warn!(%failure, "a client does not hear of changes");
        }
        Ok(upstream)
    }

    async fn session_of(
        &self,
        line_up: &LineUp,
        client: &Arc<Client>,
    ) -> Result<Arc<Upstream>, Failure> {
        let settings = &line_up.opener.definition.settings;
        if settings.sessions == Sessions::Shared {
            return self.shared_of(line_up, client).await;
        }
        if settings.protocol_era == ProtocolEra::Modern {
            return self.ours().await;
        }
        let slot = client.slot(self);
        if let Some(upstream) = slot.current() {
            return Ok(upstream);
        }
        self.standing(line_up)?;
        let Some(params) = client.params() else { return self.ours().await };
        let server = self.itself.upgrade().ok_or(Failure::Stopping)?;
        let client = Arc::downgrade(client);
        let open = move || async move { server.open_session(&client, &params).await };
        slot.get_or_open(open).await
    }

    async fn open_session(
        self: &Arc<Self>,
        client: &Weak<Client>,
        params: &str,
    ) -> Result<Arc<Upstream>, Failure> {
        let mut opener = self.place()?;
        let mut opened = opener.open(Wish::Session { params }).await;
        if opened.is_ok() && opener.is_retired() {
            // It was replaced meanwhile, and whoever replaced it did not know of this.
            opener = self.place()?;
            opened = opener.open(Wish::Session { params }).await;
        }
        let (upstream, inbox) = match opened {
            Err(failure @ Failure::Protocol { .. }) => match self.ours().await {
                Ok(ours) if ours.era() == Era::Modern => return Ok(ours),
                _ => return Err(failure),
            },
            opened => opened?,
        };
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

    /// What opens a session: a process has none of the replicas' places, and an endpoint is one of
    /// them, each in its turn.
    pub(crate) fn place(&self) -> Result<Arc<Opener>, Failure> {
        let line_up = self.line_up();
        self.standing(&line_up)?;
        if line_up.opener.addresses() == 0 {
            return Ok(Arc::clone(&line_up.opener));
        }
        let replica = match &line_up.replicas[..] {
            [only] => Some(only),
            several => line_up.next().or(several.first()),
        };
        Ok(Arc::clone(replica.map_or(&line_up.opener, |replica| &replica.opener)))
    }

    /// Takes note that `upstream` could not be reached: nor can our connection to the same replica,
    /// then. Whether the call may still find the server.
    pub(crate) fn unreached(&self, upstream: &Upstream, error: &CallError) -> Hope {
        let line_up = self.line_up();
        for replica in &line_up.replicas {
            if upstream.replica().is_none_or(|number| number == replica.number())
                && let Some(ours) = replica.ours()
            {
                replica.fail(&ours, Failure::of_call(self.name(), error.clone()));
            }
        }
        if line_up.open().next().is_some() {
            return Hope::Elsewhere;
        }
        self.doubt.raise();
        self.hope()
    }

    /// Whether there is a replica to call that is none of these.
    pub(crate) fn is_open_beside(&self, failed: &[usize]) -> bool {
        let line_up = self.line_up();
        let other = |number: usize| !failed.contains(&number);
        line_up.open().any(|ours| ours.replica().is_some_and(other))
    }

    /// Whether a call that was not sent may still find the server.
    pub(crate) fn hope(&self) -> Hope {
        if self.doubt.waits() { Hope::Later } else { Hope::None }
    }

    /// Takes note that the server has answered: if that is news, it is connected to again.
    pub(crate) fn answered(&self) {
        if self.doubt.settle() {
            let line_up = self.line_up();
            line_up.replicas.iter().for_each(|replica| replica.nudge(&self.itself));
        }
    }
}
