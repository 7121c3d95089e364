//! A call that only reads, and takes long, is sent to another replica as well: whichever answers
//! first has answered it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mcp_wire::{Era, Event};
use tokio::time::{Sleep, sleep_until};

use crate::client::Client;
use crate::exchange::{Exchange, Sent};

/// The second attempt at a call, as far as it is.
pub(crate) enum Hedge {
    /// It is not late yet.
    Waits(Pin<Box<Sleep>>),
    /// It is on its way to another replica, if there is one.
    Opens(Pin<Box<dyn Future<Output = Option<Exchange>> + Send>>),
    Races(Box<Sent>),
}

impl fmt::Debug for Hedge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Waits(_) => "Waits",
            Self::Opens(_) => "Opens",
            Self::Races(_) => "Races",
        })
    }
}

impl Sent {
    /// The call, which is sent to another replica as well if it has no answer after `late`.
    pub(crate) fn hedge(&mut self, late: Duration) {
        // What its client said of itself in one session is not known in another.
        let is_free = self.upstream.is_picked() && self.asking().is_none();
        let wake = self.wire.begun().checked_add(late).filter(|_| is_free);
        self.hedge = wake.map(|wake| Hedge::Waits(Box::pin(sleep_until(wake))));
    }

    /// Goes on with the second attempt while the first one has nothing to say: its answer, if it is
    /// there first. It is this call from then on.
    pub(crate) fn poll_hedge(
        &mut self,
        client: Option<&Arc<Client>>,
        context: &mut Context<'_>,
    ) -> Poll<Event> {
        loop {
            match &mut self.hedge {
                None => return Poll::Pending,
                Some(Hedge::Waits(sleep)) => {
                    ready!(sleep.as_mut().poll(context));
                    if client.is_some() && self.upstream.era() == Era::Legacy {
                        // The session of a client is at one replica.
                        self.hedge = None;
                        return Poll::Pending;
                    }
                    self.hedge = self.again.as_ref().map(|again| {
                        let server = Arc::clone(&self.server);
                        Hedge::Opens(Box::pin(again.second(
                            client.cloned(),
                            server,
                            &self.upstream,
                        )))
                    });
                }
                Some(Hedge::Opens(opening)) => {
                    let opened = ready!(opening.as_mut().poll(context));
                    self.hedge = opened.and_then(Exchange::into_sent).map(Hedge::Races);
                }
                Some(Hedge::Races(second)) => {
                    match ready!(second.wire.poll_within(Duration::MAX, context)) {
                        Some(Ok(event @ Event::Reply(_))) => {
                            self.upstream.was_slow();
                            self.give_way();
                            return Poll::Ready(event);
                        }
                        Some(Err(error)) => {
                            if second.upstream.failed(&error) {
                                second.server.tell();
                            }
                            self.hedge = None;
                        }
                        // Who is told of progress is told by one of the two.
                        Some(Ok(Event::Message(_))) | None => {}
                    }
                }
            }
        }
    }

    /// The second attempt becomes the call, if it is under way; the first one is taken back.
    pub(crate) fn give_way(&mut self) -> bool {
        let Some(Hedge::Races(second)) = self.hedge.take() else { return false };
        let first = std::mem::replace(self, *second);
        self.again = first.again;
        true
    }
}
