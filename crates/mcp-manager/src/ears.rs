//! What a client with a session wants of servers that it has no session of its own with: news, and
//! log messages. Nothing of that can be forwarded, so it is kept here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mcp_wire::serve::Level;
use mcp_wire::{Era, Members, Message, Request, quoted};
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::feed::{Change, DEFAULT_LEVEL, Listener, Lists};
use crate::scope::Scope;
use crate::server::{Server, lock, offers, offers_within};
use crate::upstream::Upstream;

/// The servers that one client hears of in this way.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    all: Mutex<HashMap<Arc<str>, Ear>>,
}

#[derive(Debug)]
struct Ear {
    server: Arc<Server>,
    listener: Arc<Listener>,
    relay: AbortHandle,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Client {
    /// Tells this client of what changes at `server`, for as long as it lives.
    pub(crate) fn hear(self: &Arc<Self>, server: &Arc<Server>) -> Result<Arc<Listener>, Failure> {
        let mut all = lock(&self.ears().all);
        // Another server may have taken the name of one that is gone.
        if let Some(ear) = all.get(server.id()).filter(|ear| Arc::ptr_eq(&ear.server, server)) {
            return Ok(Arc::clone(&ear.listener));
        }
        let listener = Arc::new(server.feed().join(server, Lists::ALL)?);
        if server.settings().shareable() {
            server.share_with(self);
        }
        let relay = relay(Arc::downgrade(self), Arc::clone(server), Arc::clone(&listener));
        let relay = tokio::spawn(relay).abort_handle();
        let (server, kept) = (Arc::clone(server), Arc::clone(&listener));
        all.insert(Arc::clone(server.id()), Ear { server, listener: kept, relay });
        Ok(listener)
    }

    /// Does not hear of `server` any more; whether it did.
    pub(crate) fn hush(&self, server: &Arc<Server>) -> bool {
        let ear = lock(&self.ears().all).remove(server.id());
        ear.is_some()
    }

    /// Whether the client wants to see a log message of this level; one of a level that nobody
    /// knows is shown.
    pub(crate) fn wants_log(&self, level: Option<Level>) -> bool {
        let least = self.level().and_then(|name| Level::named(&name)).unwrap_or(DEFAULT_LEVEL);
        level.is_none_or(|level| level >= least)
    }

    /// Brings a new log level to the sessions that this client shares.
    pub(crate) async fn spread_level(&self, level: Level) {
        let shared: Vec<_> = {
            let all = lock(&self.ears().all);
            let shared = all.values().filter(|ear| ear.server.settings().shareable());
            shared.map(|ear| (Arc::clone(&ear.server), Arc::clone(&ear.listener))).collect()
        };
        for (server, listener) in shared {
            listener.set_level(&server, level).await;
        }
    }
}

/// Says again what the client of an earlier life wanted, then brings changes to its own stream.
async fn relay(client: std::sync::Weak<Client>, server: Arc<Server>, listener: Arc<Listener>) {
    let remembered = client.upgrade().map(|client| client.memory().borrow().clone());
    let Some(memory) = remembered else { return };
    if server.settings().shareable()
        && let Some(level) = memory.level.as_deref().and_then(Level::named)
    {
        listener.set_level(&server, level).await;
    }
    if let Some(uris) = memory.subscriptions.get(server.name()) {
        let uris: Vec<String> = uris.iter().cloned().collect();
        for (uri, failure) in listener.subscribe(&server, &uris).await {
            tracing::warn!(server = %server.name(), %failure, "a subscription is lost");
            let Some(client) = client.upgrade() else { return };
            client.unsubscribed(server.name(), &uri);
        }
    }
    while let Some(change) = listener.next().await {
        let Some(client) = client.upgrade() else { return };
        client.tell(notification(client.scope(), &server, &change, ""));
    }
}

/// The message that says what has changed, with the URI that is known to those who see `scope`.
/// `meta` is its `_meta`, as a member (JSON text), or nothing.
pub(crate) fn notification(scope: &Scope, server: &Server, change: &Change, meta: &str) -> Message {
    let uri = match change {
        Change::List(_) => String::new(),
        Change::Resource(uri) => format!("\"uri\":{}", quoted(&scope.expose_uri(server, uri))),
    };
    let comma = if meta.is_empty() || uri.is_empty() { "" } else { "," };
    Message::notification(change.method(), &format!("{{{meta}{comma}{uri}}}"))
}

/// Answers what a client with a session asks of a server that keeps nothing for it alone.
pub(crate) async fn answer(
    client: Option<&Arc<Client>>,
    server: &Arc<Server>,
    upstream: &Upstream,
    request: &Request,
) -> Result<Option<Exchange>, Failure> {
    let own = upstream.era() == Era::Legacy && !server.settings().shareable();
    let Some(client) = client.filter(|_| !own && request.version().is_none()) else {
        return Ok(None);
    };
    let lacks = || Err(Failure::MethodNotFound { method: request.method().to_owned() });
    let uri = || {
        let why = "\"uri\" must be a string".to_owned();
        request.name().map(str::to_owned).ok_or(Failure::Params { why })
    };
    match request.method() {
        "logging/setLevel" if !offers(upstream, "logging") => return lacks(),
        "logging/setLevel" => {
            let level = level_of(request.message())?;
            // A stateless server is told with each request.
            if upstream.era() == Era::Legacy {
                client.hear(server)?.set_level(server, level).await;
            }
        }
        "resources/subscribe" | "resources/unsubscribe"
            if !offers_within(upstream, "resources", "subscribe") =>
        {
            return lacks();
        }
        "resources/subscribe" => {
            let uri = uri()?;
            let listener = client.hear(server)?;
            let refused = listener.subscribe(server, std::slice::from_ref(&uri)).await;
            if let Some((_, failure)) = refused.into_iter().next() {
                return Err(failure);
            }
            client.subscribed(server.name(), &uri);
        }
        "resources/unsubscribe" => {
            let uri = uri()?;
            client.hear(server)?.unsubscribe(&uri);
            client.unsubscribed(server.name(), &uri);
        }
        _ => return Ok(None),
    }
    Ok(Some(Exchange::ready("{}")))
}

/// The level that a `logging/setLevel` names.
pub(crate) fn level_of(request: &Message) -> Result<Level, Failure> {
    let params = request.params().and_then(|params| Members::of(params).ok());
    let level = params.as_ref().and_then(|params| params.text("level"));
    level.as_deref().and_then(Level::named).ok_or_else(|| Failure::Params {
        why: "\"level\" must be one of debug, info, notice, warning, error, critical, alert and \
              emergency"
            .to_owned(),
    })
}
