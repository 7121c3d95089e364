//! What a client sees of the fleet: all servers under one roof, or one server as it is.

use std::sync::Arc;

use mcp_wire::{Draft, Members, Message, quoted};
use tokio::sync::watch;

use crate::config::Namespace;
use crate::roster::Roster;
use crate::server::Server;

/// A view of the fleet, as it was at one moment.
#[derive(Clone, Debug)]
pub struct Scope {
    kind: ScopeKind,
    roster: Arc<Roster>,
}

#[derive(Clone, Debug)]
enum ScopeKind {
    All { servers: Arc<[Arc<Server>]>, namespace: Namespace },
    One(Arc<Server>),
}

impl Scope {
    /// All servers. A fleet of one is shown as that one server: nothing needs to be told apart.
    pub(crate) fn all(roster: &Arc<Roster>, namespace: Namespace) -> Self {
        let servers = roster.servers();
        let kind = match &servers[..] {
            [only] => ScopeKind::One(Arc::clone(only)),
            _ => ScopeKind::All { servers, namespace },
        };
        Self { kind, roster: Arc::clone(roster) }
    }

    /// One server, with its own names.
    pub(crate) fn one(roster: &Arc<Roster>, server: &Arc<Server>) -> Self {
        Self { kind: ScopeKind::One(Arc::clone(server)), roster: Arc::clone(roster) }
    }

    /// The same view of the fleet as it is now.
    ///
    /// Whoever was shown one server goes on to see that one alone, whatever joins it: it was
    /// introduced as itself, and its names are in use.
    pub(crate) fn now(&self) -> Self {
        let kind = match &self.kind {
            ScopeKind::All { namespace, .. } => {
                ScopeKind::All { servers: self.roster.servers(), namespace: *namespace }
            }
            ScopeKind::One(server) => {
                let now = self.roster.server(server.name());
                ScopeKind::One(now.unwrap_or_else(|| Arc::clone(server)))
            }
        };
        Self { kind, roster: Arc::clone(&self.roster) }
    }

    /// Changes each time the fleet has got one server more.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.roster.arrivals()
    }

    /// The servers in it, in the order of the configuration.
    pub fn servers(&self) -> &[Arc<Server>] {
        match &self.kind {
            ScopeKind::All { servers, .. } => servers,
            ScopeKind::One(server) => std::slice::from_ref(server),
        }
    }

    /// The server that everything goes to, if there is only one.
    pub fn only(&self) -> Option<&Arc<Server>> {
        match &self.kind {
            ScopeKind::All { .. } => None,
            ScopeKind::One(server) => Some(server),
        }
    }

    /// Whether names carry the name of their server.
    pub(crate) fn prefixes(&self) -> bool {
        matches!(self.kind, ScopeKind::All { namespace: Namespace::Server, .. })
    }

    /// The name under which a tool or prompt is shown.
    pub(crate) fn expose(&self, server: &Server, name: &str) -> String {
        if self.prefixes() { server.label().expose(name) } else { name.to_owned() }
    }

    /// The URI under which a resource is shown.
    pub(crate) fn expose_uri(&self, server: &Server, uri: &str) -> String {
        if self.prefixes() { server.label().expose_uri(uri) } else { uri.to_owned() }
    }

    /// A `notifications/resources/updated` with the URI that the client knows.
    pub(crate) fn expose_updated(&self, server: &Server, message: Message) -> Message {
        if !self.prefixes() {
            return message;
        }
        let params = message.params().and_then(|params| Members::of(params).ok());
        let found = params.as_ref().and_then(|params| {
            let exposed = self.expose_uri(server, &params.text("uri")?);
            Some((message.range_of(params.get("uri")?)?, quoted(&exposed)))
        });
        let Some((range, uri)) = found else { return message };
        let mut draft = Draft::new(message);
        draft.replace(range, uri);
        draft.into_message()
    }
}
