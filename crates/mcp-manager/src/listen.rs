//! `subscriptions/listen` on a whole fleet: one stream to the client, one to each server.

use std::sync::Arc;
use std::task::{Context, Poll};

use mcp_wire::{CallError, Era, Event, Kind, Members, Message, Request, elements, meta, quoted};

use crate::dispatch::ENDLESS;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::scope::Scope;
use crate::server::Server;

/// The streams behind one subscription.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Said first: what was subscribed.
    acknowledgement: Option<Message>,
    streams: Vec<(Arc<Server>, mcp_wire::Exchange)>,
    scope: Scope,
    /// Which stream is asked first, so that a busy one does not starve the others.
    turn: usize,
}

/// Subscribes at every stateless server to its part of what the client wants.
pub(crate) async fn begin(scope: &Scope, request: &Request) -> Result<Exchange, Failure> {
    let message = request.message();
    let params = message.params().map(Members::of).transpose()?;
    let filter = params.as_ref().and_then(|params| params.get("notifications")).unwrap_or("{}");
    let wanted = Members::of(filter)?;
    let uris = wanted.get("resourceSubscriptions").and_then(elements).unwrap_or_default();
    let mut streams = Vec::new();
    for server in scope.servers().iter().filter(|server| !server.is_disabled()) {
        // A server that is down is not waited for; its list changes when it comes back.
        let Some(upstream) = server.ready().filter(|upstream| upstream.era() == Era::Modern) else {
            continue;
        };
        let own: Vec<String> = uris.iter().filter_map(|uri| own_uri(scope, server, uri)).collect();
        let own = format!("[{}]", own.join(","));
        let mut part = request.clone();
        if let Some(raw) = wanted.get("resourceSubscriptions") {
            part.replace(raw, &own);
        }
        streams.push((Arc::clone(server), upstream.connection.call(part, ENDLESS)));
    }
    let id = message.id().unwrap_or("null");
    let acknowledgement = Message::notification(
        "notifications/subscriptions/acknowledged",
        &format!(r#"{{"_meta":{{"{}":{id}}},"notifications":{filter}}}"#, meta::SUBSCRIPTION_ID),
    );
    let acknowledgement = Some(acknowledgement);
    Ok(Exchange::listening(Listening { acknowledgement, streams, scope: scope.clone(), turn: 0 }))
}

/// The server's own form of a URI (both as JSON text), if the URI is one of its own.
fn own_uri(scope: &Scope, server: &Server, uri: &str) -> Option<String> {
    let uri = mcp_wire::unquoted(uri)?;
    if !scope.prefixes() {
        return Some(quoted(&uri));
    }
    server.label().strip_uri(&uri).map(quoted)
}

impl Listening {
    /// The next notification of any server. Ends only with its client.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Event, CallError>> {
        if let Some(acknowledgement) = self.acknowledgement.take() {
            return Poll::Ready(Ok(Event::Message(acknowledgement)));
        }
        let mut at = 0;
        while at < self.streams.len() {
            let index = (self.turn + at) % self.streams.len();
            let (server, stream) = &mut self.streams[index];
            match stream.poll_next(context) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(Event::Message(message))) if is_ours_to_pass(&message) => {
                    let message = self.scope.expose_updated(server, message);
                    self.turn = index + 1;
                    return Poll::Ready(Ok(Event::Message(message)));
                }
                // Each server acknowledges; the client was told once.
                Poll::Ready(Ok(Event::Message(_))) => {}
                // One server's stream is over; the others go on.
                Poll::Ready(Ok(Event::Reply(_)) | Err(_)) => {
                    self.streams.remove(index);
                    at = 0;
                }
            }
        }
        Poll::Pending
    }
}

fn is_ours_to_pass(message: &Message) -> bool {
    message.kind() == Kind::Notification
        && message.method() != "notifications/subscriptions/acknowledged"
}
