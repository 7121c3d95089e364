//! `subscriptions/listen` where a stateless client hears of more than one server, or of one that
//! has sessions.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use mcp_wire::{CallError, Event, Members, Message, Request, elements, meta, unquoted};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ears::notification;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::feed::{Listener, Lists};
use crate::scope::Scope;
use crate::server::{Server, capabilities};
use crate::upstream::Upstream;

/// One subscription: a place among the listeners of each server.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Said first: what was granted.
    acknowledgement: Option<Message>,
    listeners: Vec<(Arc<Server>, Listener)>,
    /// The lists whose changes were granted.
    lists: Lists,
    newcomers: Newcomers,
    scope: Scope,
    /// What marks every message as part of this subscription: a member, as JSON text.
    meta: String,
    /// Which listener is asked first, so that a busy server does not starve the others.
    turn: usize,
}

/// Resolves when servers have come that were not there before.
struct Newcomers(Option<Pin<Box<dyn Future<Output = Option<Arrivals>> + Send + Sync>>>);

/// Counts the servers that have come.
type Arrivals = watch::Receiver<u64>;

impl Newcomers {
    fn of(mut arrivals: Arrivals) -> Self {
        Self(Some(Box::pin(async move { arrivals.changed().await.is_ok().then_some(arrivals) })))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(arrivals) = &mut self.0 else { return Poll::Pending };
        let arrivals = ready!(arrivals.as_mut().poll(context));
        *self = arrivals.map_or(Self(None), Self::of);
        Poll::Ready(())
    }
}

impl fmt::Debug for Newcomers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Newcomers").finish_non_exhaustive()
    }
}

/// What one server grants: a place among its listeners, and the wanted URIs that it refuses, as the
/// client wrote them.
struct Part {
    listener: Listener,
    refused: Vec<String>,
}

/// Subscribes at every server of `scope` to its part of what the client wants.
pub(crate) async fn begin(scope: &Scope, request: &Request) -> Result<Exchange, Failure> {
    // First, so that no newcomer is missed.
    let arrivals = scope.arrivals();
    let params = request.params();
    let filter = params.as_ref().and_then(|params| params.get("notifications")).unwrap_or("{}");
    let filter = Members::of(filter)?;
    let mut lists = Lists::named(&filter);
    if let Some(server) = scope.only() {
        // Where several are seen, servers come and go, and with them what all lists show.
        lists = lists.within(announced(&*server.ours().await?));
    }
    let uris = filter.get("resourceSubscriptions").and_then(elements).unwrap_or_default();
    let mut parts = JoinSet::new();
    for server in scope.servers().iter().filter(|server| !server.is_disabled()) {
        let own = |uri: &&str| Some((own_uri(scope, server, uri)?, (*uri).to_owned()));
        let own: Vec<(String, String)> = uris.iter().filter_map(own).collect();
        let server = Arc::clone(server);
        parts.spawn(async move { (Arc::clone(&server), part(&server, lists, own).await) });
    }
    let mut refused = Vec::new();
    let mut listeners = Vec::new();
    for (server, part) in parts.join_all().await {
        let part = part?;
        refused.extend(part.refused);
        listeners.push((server, part.listener));
    }
    let owned = |uri: &&&str| {
        let mut servers = listeners.iter().map(|(server, _)| server);
        servers.any(|server| own_uri(scope, server, uri).is_some())
    };
    let granted = uris.iter().filter(owned).filter(|uri| !refused.iter().any(|no| no == *uri));
    let granted: Vec<&str> = granted.copied().collect();
    let mut members = vec![lists.as_filter()];
    if !granted.is_empty() {
        members.push(format!("\"resourceSubscriptions\":[{}]", granted.join(",")));
    }
    members.retain(|members| !members.is_empty());
    let id = request.message().id().unwrap_or("null");
    let meta = format!("\"_meta\":{{\"{}\":{id}}}", meta::SUBSCRIPTION_ID);
    let acknowledgement = Message::notification(
        "notifications/subscriptions/acknowledged",
        &format!("{{{meta},\"notifications\":{{{}}}}}", members.join(",")),
    );
    let (acknowledgement, scope) = (Some(acknowledgement), scope.clone());
    // Whoever sees one server sees that one alone, whatever joins it.
    let newcomers = scope.only().map_or_else(|| Newcomers::of(arrivals), |_| Newcomers(None));
    let turn = 0;
    let listening = Listening { acknowledgement, listeners, lists, newcomers, scope, meta, turn };
    Ok(Exchange::listening(listening))
}

/// One server's part. `uris` are its own, and as the client wrote them (JSON text).
async fn part(
    server: &Arc<Server>,
    lists: Lists,
    uris: Vec<(String, String)>,
) -> Result<Part, Failure> {
    let listener = server.feed().join(server, lists)?;
    let own: Vec<String> = uris.iter().map(|(own, _)| own.clone()).collect();
    let limit = server.settings().list_timeout;
    let refused = match timeout(limit, subscribe(server, &listener, &own)).await {
        Ok(refused) => refused,
        Err(_) => {
            own.iter().for_each(|uri| listener.unsubscribe(uri));
            own
        }
    };
    let refused = uris.into_iter().filter(|(own, _)| refused.contains(own));
    let refused = refused.map(|(_, written)| written).collect();
    Ok(Part { listener, refused })
}

/// Subscribes to resources of one server: those that it refuses.
async fn subscribe(server: &Arc<Server>, listener: &Listener, uris: &[String]) -> Vec<String> {
    // Lists are heard of whenever the server is there; a resource needs its consent.
    if uris.is_empty() {
        return Vec::new();
    }
    match server.ours().await {
        Ok(_) => {
            let refused = listener.subscribe(server, uris).await;
            refused.into_iter().map(|(uri, _)| uri).collect()
        }
        Err(_) => uris.to_vec(),
    }
}

/// The lists whose changes the server behind `upstream` announces.
fn announced(upstream: &Upstream) -> Lists {
    capabilities(upstream).map_or(Lists::NONE, |all| Lists::announced(&all))
}

/// The server's own form of a URI (JSON text), if the URI is one of its own.
fn own_uri(scope: &Scope, server: &Server, uri: &str) -> Option<String> {
    let uri = unquoted(uri)?;
    if !scope.prefixes() {
        return Some(uri.into_owned());
    }
    server.label().strip_uri(&uri).map(str::to_owned)
}

impl Listening {
    /// Listens to servers that were not there before, as far as lists go: what resources they have
    /// nobody could have named.
    fn join_newcomers(&mut self) {
        self.scope = self.scope.now();
        for server in self.scope.servers().iter().filter(|server| !server.is_disabled()) {
            let known = self.listeners.iter().any(|(known, _)| Arc::ptr_eq(known, server));
            if !known && let Ok(listener) = server.feed().join(server, self.lists) {
                self.listeners.push((Arc::clone(server), listener));
            }
        }
    }

    /// The next change at any server. Ends with its client, or with the last server.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Event, CallError>> {
        if let Some(acknowledgement) = self.acknowledgement.take() {
            return Poll::Ready(Ok(Event::Message(acknowledgement)));
        }
        while self.newcomers.poll(context).is_ready() {
            self.join_newcomers();
        }
        let mut at = 0;
        while at < self.listeners.len() {
            let index = (self.turn + at) % self.listeners.len();
            let Some((server, listener)) = self.listeners.get(index) else { break };
            match listener.poll_next(context) {
                Poll::Pending => at += 1,
                Poll::Ready(Some(change)) => {
                    let message = notification(&self.scope, server, &change, &self.meta);
                    self.turn = index + 1;
                    return Poll::Ready(Ok(Event::Message(message)));
                }
                Poll::Ready(None) => {
                    self.listeners.remove(index);
                    at = 0;
                }
            }
        }
        if self.listeners.is_empty() {
            let result = format!("{{\"resultType\":\"complete\",{}}}", self.meta);
            return Poll::Ready(Ok(Event::Reply(Message::result("0", &result))));
        }
        Poll::Pending
    }
}
