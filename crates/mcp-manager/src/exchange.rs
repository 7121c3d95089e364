//! A call as the faces see it: messages on the way, in the client's own terms, and an answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::{CallError, Event, Kind, Message};

use crate::bridge::Bridge;
use crate::client::{Client, Flight};
use crate::failure::Failure;
use crate::keep::Keep;
use crate::listen::Listening;
use crate::memory::Change;
use crate::server::Server;
use crate::upstream::Upstream;

/// A dispatched call. Dropping it before its answer cancels it at the server.
#[derive(Debug)]
pub struct Exchange {
    source: Source,
    client: Option<Arc<Client>>,
    flight: Option<Flight>,
}

#[derive(Debug)]
enum Source {
    /// Answered here.
    Ready(Option<Message>),
    Sent(Box<Sent>),
    Listening(Box<Listening>),
}

#[derive(Debug)]
struct Sent {
    wire: mcp_wire::Exchange,
    upstream: Arc<Upstream>,
    server: Arc<Server>,
    bridge: Bridge,
    /// Where is noted which handles the answer gives away, if it may.
    notes: Option<Arc<Keep>>,
    /// What the client's memory learns from a good answer.
    change: Option<Change>,
}

impl Exchange {
    pub(crate) fn ready(result: &str) -> Self {
        let answer = Message::result("0", result);
        Self { source: Source::Ready(Some(answer)), client: None, flight: None }
    }

    pub(crate) fn sent(
        wire: mcp_wire::Exchange,
        upstream: Arc<Upstream>,
        server: Arc<Server>,
        bridge: Bridge,
        change: Option<Change>,
    ) -> Self {
        let sent = Box::new(Sent { wire, upstream, server, bridge, notes: None, change });
        Self { source: Source::Sent(sent), client: None, flight: None }
    }

    pub(crate) fn listening(listening: Listening) -> Self {
        Self { source: Source::Listening(Box::new(listening)), client: None, flight: None }
    }

    /// The same call on behalf of a client with a session, which can cancel it by its id.
    pub(crate) fn of(mut self, client: Arc<Client>, flight: Flight) -> Self {
        (self.client, self.flight) = (Some(client), Some(flight));
        self
    }

    /// The same call, whose answer may hold handles to note in `keep`.
    pub(crate) fn noting(mut self, keep: Option<Arc<Keep>>) -> Self {
        if let Source::Sent(sent) = &mut self.source {
            sent.notes = keep;
        }
        self
    }

    /// The next event. A reply has an id of ours: see [`Message::with_id`]. After a reply or a
    /// failure there is nothing more to read.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.next_within(Duration::MAX).await {
                return event;
            }
        }
    }

    /// The next event; or `None`, once, if the call is older than `patience` and nothing came.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Result<Event, Failure>> {
        loop {
            let event = match poll_fn(|context| self.poll_event(patience, context)).await? {
                Ok(event) => event,
                Err(error) => return Some(Err(Box::pin(self.explain(error)).await)),
            };
            let Source::Sent(sent) = &self.source else { return Some(Ok(event)) };
            match event {
                Event::Reply(reply) => {
                    if let (Some(client), Some(change)) = (&self.client, &sent.change)
                        && reply.kind() == Kind::Result
                    {
                        client.changed(sent.server.name(), change);
                    }
                    sent.note(&reply);
                    return Some(sent.bridge.answer(sent.server.name(), reply).map(Event::Reply));
                }
                Event::Message(message) => {
                    let (upstream, server) = (Arc::clone(&sent.upstream), Arc::clone(&sent.server));
                    let shown = shown(self.client.clone(), upstream, server, message);
                    if let Some(message) = Box::pin(shown).await {
                        return Some(Ok(Event::Message(message)));
                    }
                }
            }
        }
    }

    fn poll_event(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, CallError>>> {
        if let Some(flight) = &mut self.flight
            && let Poll::Ready(Ok(())) = Pin::new(&mut flight.cancelled).poll(context)
        {
            // What was waiting is dropped here, which tells the server to stop.
            self.source = Source::Ready(None);
            return Poll::Ready(Some(Err(CallError::Cancelled)));
        }
        match &mut self.source {
            Source::Ready(answer) => {
                let answer = answer.take().map(Event::Reply);
                Poll::Ready(Some(answer.ok_or(CallError::Cancelled)))
            }
            Source::Sent(sent) => sent.wire.poll_within(patience, context),
            Source::Listening(listening) => listening.poll_next(context).map(Some),
        }
    }

    fn explain(&self, error: CallError) -> impl Future<Output = Failure> + Send + use<> {
        let upstream = match &self.source {
            Source::Sent(sent) => Some(Arc::clone(&sent.upstream)),
            _ => None,
        };
        async move {
            match upstream {
                Some(upstream) => upstream.explain(error).await,
                None => Failure::of_call("", error),
            }
        }
    }

    /// The answer alone; what comes on the way is dropped.
    pub async fn reply(mut self) -> Result<Message, Failure> {
        loop {
            if let Event::Reply(message) = self.next().await? {
                return Ok(message);
            }
        }
    }
}

impl Sent {
    /// Remembers where the handles in an answer were made.
    fn note(&self, reply: &Message) {
        let Some(Keep { handles, .. }) = self.notes.as_deref() else { return };
        let replica = self.server.replica_of(&self.upstream).unwrap_or(0);
        handles.learn_task(self.server.id(), replica, reply);
        if self.server.replicas() > 1 {
            handles.learn_rest(self.server.id(), replica, reply);
        }
    }
}

/// A message on the way as the client is to see it; `None` if it is not for the client.
async fn shown(
    client: Option<Arc<Client>>,
    upstream: Arc<Upstream>,
    server: Arc<Server>,
    message: Message,
) -> Option<Message> {
    if let Some(client) = client {
        return client.show(&upstream, &server, message).await;
    }
    if message.kind() == Kind::Request {
        // A stateless client cannot be asked, and the server must not wait for it.
        upstream.refuse(&message).await;
        return None;
    }
    Some(message)
}
