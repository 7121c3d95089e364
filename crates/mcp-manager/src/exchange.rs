//! A call as the faces see it: messages on the way, in the client's own terms, and an answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use mcp_wire::{CallError, Event, Kind, Message};

use crate::bridge::Bridge;
use crate::client::{Client, Flight};
use crate::failure::Failure;
use crate::listen::Listening;
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
    ) -> Self {
        let sent = Box::new(Sent { wire, upstream, server, bridge });
        Self { source: Source::Sent(sent), client: None, flight: None }
    }

    pub(crate) fn listening(listening: Listening) -> Self {
        Self { source: Source::Listening(Box::new(listening)), client: None, flight: None }
    }

    /// The same call on behalf of a client with a session, which can cancel it by its id.
    pub(crate) fn of(mut self, client: Option<&Arc<Client>>, flight: Option<Flight>) -> Self {
        self.client = client.cloned();
        self.flight = flight;
        self
    }

    /// The next event. A reply has an id of ours: see [`Message::with_id`]. After a reply or a
    /// failure there is nothing more to read.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            match self.next_event().await? {
                Event::Message(message) => {
                    let Source::Sent(sent) = &self.source else {
                        return Ok(Event::Message(message));
                    };
                    let (upstream, server) = (Arc::clone(&sent.upstream), Arc::clone(&sent.server));
                    let client = self.client.clone();
                    if let Some(message) = shown(client, &upstream, &server, message).await {
                        return Ok(Event::Message(message));
                    }
                }
                Event::Reply(reply) => {
                    let Source::Sent(sent) = &self.source else { return Ok(Event::Reply(reply)) };
                    return sent.bridge.answer(sent.server.name(), reply).map(Event::Reply);
                }
            }
        }
    }

    async fn next_event(&mut self) -> Result<Event, Failure> {
        let Self { source, flight, .. } = self;
        let polled = poll_fn(|context| {
            if let Some(flight) = flight {
                if let Poll::Ready(Ok(())) = Pin::new(&mut flight.cancelled).poll(context) {
                    return Poll::Ready(Err(CallError::Cancelled));
                }
            }
            match source {
                Source::Ready(answer) => {
                    Poll::Ready(answer.take().map(Event::Reply).ok_or(CallError::Cancelled))
                }
                Source::Sent(sent) => sent.wire.poll_next(context),
                Source::Listening(listening) => listening.poll_next(context),
            }
        });
        let error = match polled.await {
            Ok(event) => return Ok(event),
            Err(error) => error,
        };
        let upstream = match &self.source {
            Source::Sent(sent) => Some(Arc::clone(&sent.upstream)),
            _ => None,
        };
        match (error, upstream) {
            (CallError::Cancelled, _) => {
                // What was waiting is dropped here, which tells the server to stop.
                self.source = Source::Ready(None);
                Err(Failure::Cancelled)
            }
            (error, Some(upstream)) => Err(upstream.explain(error).await),
            (error, None) => Err(Failure::of_call("", error)),
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

/// A message on the way as the client is to see it; `None` if it is not for the client.
async fn shown(
    client: Option<Arc<Client>>,
    upstream: &Arc<Upstream>,
    server: &Server,
    message: Message,
) -> Option<Message> {
    match (client, message.kind()) {
        (Some(client), Kind::Request) => client.ask(upstream, message).await,
        (Some(client), _) => client.translate(upstream, server, message),
        // Stateless servers must not ask, and there is nobody who could answer.
        (None, Kind::Request) => None,
        (None, _) => Some(message),
    }
}
