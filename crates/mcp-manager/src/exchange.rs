//! A call as the faces see it: messages on the way, in the client's own terms, and an answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mcp_wire::{CallError, Event, Kind, Message};
use tokio::time::Instant;

use crate::again::{Again, Lost, Returned, Returning};
use crate::bridge::Bridge;
use crate::client::{Client, Flight};
use crate::failure::Failure;
use crate::hedge::Hedge;
use crate::listen::Listening;
use crate::load::Busy;
use crate::memory::Change;
use crate::park::park;
use crate::rounds::{Asking, Rounds};
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
    /// Lost with its connection, and about to be sent again.
    Returning(Box<Returning>),
    Listening(Box<Listening>),
    /// Being asked for input, and called again.
    Rounds(Rounds),
}

/// Why there is no further event.
enum Ended {
    /// The attempt is over; what that means has yet to be found out.
    Lost(CallError),
    Failed(Failure),
}

/// A call under way at a server.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) wire: mcp_wire::Exchange,
    pub(crate) upstream: Busy,
    pub(crate) server: Arc<Server>,
    pub(crate) bridge: Bridge,
    /// What the client's memory learns from a good answer.
    change: Option<Change>,
    /// What it takes to send it again.
    pub(crate) again: Option<Again>,
    /// A second attempt at it.
    pub(crate) hedge: Option<Hedge>,
}

impl Exchange {
    pub(crate) fn ready(result: &str) -> Self {
        let answer = Message::result("0", result);
        Self { source: Source::Ready(Some(answer)), client: None, flight: None }
    }

    pub(crate) fn sent(
        wire: mcp_wire::Exchange,
        upstream: Busy,
        server: Arc<Server>,
        bridge: Bridge,
        change: Option<Change>,
    ) -> Self {
        let (again, hedge) = (None, None);
        let sent = Box::new(Sent { wire, upstream, server, bridge, change, again, hedge });
        Self { source: Source::Sent(sent), client: None, flight: None }
    }

    /// A call that has waited for its client.
    pub(crate) fn resumed(sent: Box<Sent>) -> Self {
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

    /// The same call, which is sent again if its server dies and that is safe.
    pub(crate) fn repeatable(mut self, again: Again) -> Self {
        if let Source::Sent(sent) = &mut self.source {
            sent.again = Some(again);
        }
        self
    }

    /// The same call, which is sent to another replica as well if it only reads and has no answer
    /// after `late`.
    pub(crate) fn hedged(mut self, late: Option<Duration>) -> Self {
        if let (Source::Sent(sent), Some(late)) = (&mut self.source, late) {
            sent.hedge(late);
        }
        self
    }

    /// The call, if it is under way.
    pub(crate) fn into_sent(self) -> Option<Box<Sent>> {
        match self.source {
            Source::Sent(sent) => Some(sent),
            _ => None,
        }
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
                Err(Ended::Failed(failure)) => return Some(Err(failure)),
                Err(Ended::Lost(error)) => match self.take_up(error) {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(Box::pin(self.explain(error)).await)),
                },
            };
            let Source::Sent(sent) = &mut self.source else { return Some(Ok(event)) };
            match event {
                Event::Reply(reply) => {
                    if let (Some(client), Some(change)) = (&self.client, &sent.change)
                        && reply.kind() == Kind::Result
                    {
                        client.changed(sent.server.name(), change);
                    }
                    sent.note(&reply);
                    let now = Instant::now();
                    let took = now.saturating_duration_since(sent.wire.begun());
                    sent.server.pace.answered(now, took);
                    if let Some(again) = &sent.again {
                        again.took(took);
                    }
                    sent.server.answered();
                    if sent.upstream.answered(&reply, now) {
                        sent.server.tell();
                    }
                    let Some(request) = sent.bridge.asked_by(&reply) else {
                        let answer = sent.bridge.answer(&sent.upstream, reply);
                        return Some(Ok(Event::Reply(answer)));
                    };
                    let asking = Asking {
                        request: request.clone(),
                        client: self.client.clone(),
                        server: Arc::clone(&sent.server),
                        upstream: Arc::clone(&sent.upstream),
                    };
                    self.source = Source::Rounds(Rounds::begin(asking, reply));
                    if patience < Duration::MAX {
                        // A question comes next, so there is nothing to be patient for.
                        return None;
                    }
                }
                Event::Message(message) if sent.is_carried() => {
                    if let Some(message) = sent.show(message)
                        && self.notes(&message)
                    {
                        return Some(Ok(Event::Message(message)));
                    }
                }
                Event::Message(message) => {
                    let (upstream, server) = (Arc::clone(&sent.upstream), Arc::clone(&sent.server));
                    let shown = shown(self.client.clone(), upstream, server, message);
                    if let Some(message) = Box::pin(shown).await
                        && self.notes(&message)
                    {
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
    ) -> Poll<Option<Result<Event, Ended>>> {
        if let Some(flight) = &mut self.flight
            && let Poll::Ready(Ok(())) = Pin::new(&mut flight.cancelled).poll(context)
        {
            // What was waiting is dropped here, which tells the server to stop.
            self.source = Source::Ready(None);
            return Poll::Ready(Some(Err(Ended::Lost(CallError::Cancelled))));
        }
        let polled = match &mut self.source {
            Source::Ready(answer) => {
                let answer = answer.take().map(Event::Reply);
                Poll::Ready(Some(answer.ok_or(CallError::Cancelled)))
            }
            Source::Sent(sent) => match sent.poll(patience, context) {
                Poll::Pending if sent.waits(context) => Poll::Ready(Some(Ok(self.park()))),
                Poll::Pending => {
                    sent.poll_hedge(self.client.as_ref(), context).map(|event| Some(Ok(event)))
                }
                polled => polled,
            },
            Source::Returning(returning) => match ready!(returning.poll(patience, context)) {
                Some(Ok(returned)) => {
                    self.source = resumed(returned);
                    return self.poll_event(patience, context);
                }
                Some(Err(failure)) => {
                    self.source = Source::Ready(None);
                    return Poll::Ready(Some(Err(Ended::Failed(failure))));
                }
                None => Poll::Ready(None),
            },
            Source::Listening(listening) => listening.poll_next(context).map(Some),
            Source::Rounds(rounds) => {
                let next = rounds.poll_next(context);
                return next.map(|event| Some(event.map_err(Ended::Failed)));
            }
        };
        polled.map(|event| event.map(|event| event.map_err(Ended::Lost)))
    }

    /// The questions of the server are the answer for now: the client calls again.
    fn park(&mut self) -> Event {
        let answer = match std::mem::replace(&mut self.source, Source::Ready(None)) {
            Source::Sent(mut sent) => {
                sent.upstream.waits();
                park(sent)
            }
            _ => Message::error("0", &Failure::Cancelled.to_error()),
        };
        Event::Reply(answer)
    }

    /// Begins to send a call again that was lost with its connection, or hands back why not.
    fn take_up(&mut self, error: CallError) -> Result<(), CallError> {
        let Source::Sent(sent) = &mut self.source else { return Err(error) };
        if sent.upstream.failed(&error) {
            sent.server.tell();
        }
        if !matches!(error, CallError::Cancelled) {
            sent.server.pace.failed(Instant::now());
        }
        if sent.give_way() {
            return Ok(());
        }
        let Some(again) = sent.again.take() else { return Err(error) };
        let lost = Lost {
            begun: sent.wire.begun(),
            client: self.client.clone(),
            server: Arc::clone(&sent.server),
            upstream: Arc::clone(&sent.upstream),
        };
        self.source = Source::Returning(Box::new(Returning::new(again, error, lost)));
        Ok(())
    }

    /// Takes note of what the client is about to be told; whether it may be.
    fn notes(&mut self, message: &Message) -> bool {
        match &mut self.source {
            Source::Sent(sent) if message.kind() == Kind::Request => {
                // Its client is asked by one of the two.
                sent.hedge = None;
                sent.again.as_mut().is_none_or(|again| again.notes(message))
            }
            Source::Sent(sent) => sent.again.as_mut().is_none_or(|again| again.notes(message)),
            _ => true,
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
        if let Some(again) = &self.again {
            again.learn(&self.server, &self.upstream, reply);
        }
    }
}

/// What `returned` is from now on; its deadline is still that of the first attempt.
fn resumed(returned: Returned) -> Source {
    let mut source = returned.exchange.repeatable(returned.again).source;
    if let Source::Sent(sent) = &mut source {
        sent.wire.begin_at(returned.begun);
    }
    source
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
