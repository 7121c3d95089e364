//! What a client has said that outlives its connections: said again to every connection that takes
//! the place of another.

use std::collections::{BTreeMap, BTreeSet};

use mcp_wire::Request;

/// Resources of one server that a client's subscriptions are remembered for.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 1024;

/// What a session is made of, beside its connections: enough to open them again, in this process
/// or in a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The params of the client's `initialize`, as JSON text; `None` before it.
    pub params: Option<String>,
    /// The log level that it set last, such as `warning`.
    pub level: Option<String>,
    /// The resources that it is subscribed to: by server, the server's own URIs.
    pub subscriptions: BTreeMap<String, BTreeSet<String>>,
}

impl Memory {
    /// Remembers that the client is subscribed to `uri` of `server`; whether that is news.
    pub(crate) fn subscribe(&mut self, server: &str, uri: &str) -> bool {
        let known = self.subscriptions.get(server);
        if known.is_some_and(|uris| uris.contains(uri)) {
            return false;
        }
        if known.is_some_and(|uris| uris.len() >= SUBSCRIPTIONS_MAX) {
            tracing::warn!(%server, "a subscription too many: it ends with its connection");
            return false;
        }
        self.subscriptions.entry(server.to_owned()).or_default().insert(uri.to_owned())
    }

    /// Forgets that the client is subscribed to `uri` of `server`; whether that is news.
    pub(crate) fn unsubscribe(&mut self, server: &str, uri: &str) -> bool {
        let Some(uris) = self.subscriptions.get_mut(server) else { return false };
        let removed = uris.remove(uri);
        if uris.is_empty() {
            self.subscriptions.remove(server);
        }
        removed
    }
}

/// What a request changes in its client's memory, once its server has agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The client is subscribed to this URI of the server.
    Subscribe(Box<str>),
    /// It is no more.
    Unsubscribe(Box<str>),
}

impl Change {
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let change = match request.method() {
            "resources/subscribe" => Self::Subscribe,
            "resources/unsubscribe" => Self::Unsubscribe,
            _ => return None,
        };
        request.name().map(|uri| change(uri.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_news_once_and_leaves_nothing_behind() {
        let mut memory = Memory::default();
        assert!(memory.subscribe("a", "file:///x"));
        assert!(!memory.subscribe("a", "file:///x"));
        assert!(memory.subscribe("b", "file:///x"));
        assert!(!memory.unsubscribe("a", "file:///y"));
        assert!(memory.unsubscribe("a", "file:///x"));
        assert!(!memory.unsubscribe("a", "file:///x"));
        assert!(memory.unsubscribe("b", "file:///x"));
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        for number in 0..=SUBSCRIPTIONS_MAX {
            memory.subscribe("a", &format!("file:///{number}"));
        }
        assert_eq!(memory.subscriptions["a"].len(), SUBSCRIPTIONS_MAX);
    }
}
