//! What a server says to us outside of calls, and who is told of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_wire::serve::Level;
use mcp_wire::{Inbox, Members, Message};
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::feed::Lists;
use crate::lists::ListKind;
use crate::server::{Server, lock};
use crate::upstream::Upstream;

/// A server that goes on announcing changes is asked for its lists again so much later, and twice as
/// late each time: some announce a change whenever they are asked.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Lists that have to be fetched anew, and whether somebody does.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    lists: Lists,
    fetching: bool,
}

impl Server {
    /// Takes a notification about what has changed.
    pub(crate) fn hear(self: &Arc<Self>, message: &Message) {
        match Lists::changed_by(message.method()) {
            Some(lists) => self.lists_changed(lists),
            None => self.hear_update(message),
        }
    }

    /// Takes a notification about a resource that has changed, if it is one.
    pub(crate) fn hear_update(&self, message: &Message) {
        if message.method() == "notifications/resources/updated" {
            let params = message.params().and_then(|params| Members::of(params).ok());
            if let Some(uri) = params.as_ref().and_then(|params| params.text("uri")) {
                self.feed().resource_changed(&uri);
            }
        }
    }

    /// Fetches lists anew, for what the catalog knows of them, and then tells who wants to hear it.
    ///
    /// A storm of announcements becomes one fetch after another, never two at a time, and holds up
    /// nothing else that the server says.
    fn lists_changed(self: &Arc<Self>, lists: Lists) {
        let mut stale = lock(self.stale());
        stale.lists = stale.lists.with(lists);
        if std::mem::replace(&mut stale.fetching, true) {
            return;
        }
        drop(stale);
        let server = Arc::clone(self);
        tokio::spawn(async move {
            let mut pause = PAUSE_MIN;
            loop {
                let lists = {
                    let mut stale = lock(server.stale());
                    let lists = std::mem::take(&mut stale.lists);
                    if lists.is_empty() {
                        stale.fetching = false;
                        return;
                    }
                    lists
                };
                // A server that announces a change and does not tell which is no reason for silence.
                let limit = server.settings().list_timeout;
                let _ = timeout(limit, server.fetch_again(lists)).await;
                server.feed().lists_changed(lists);
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        });
    }

    async fn fetch_again(&self, lists: Lists) {
        let kinds = [
            (Lists::TOOLS, ListKind::Tools),
            (Lists::PROMPTS, ListKind::Prompts),
            (Lists::RESOURCES, ListKind::Resources),
            (Lists::RESOURCES, ListKind::Templates),
        ];
        for (list, kind) in kinds {
            if lists.contains(list) {
                let _ = self.refresh(kind).await;
            }
        }
    }

    /// Adds a client to those who share our session with this server, and so its log.
    pub(crate) fn share_with(&self, client: &Arc<Client>) {
        let mut sharers = lock(self.sharers());
        sharers.retain(|client| client.strong_count() > 0);
        sharers.push(Arc::downgrade(client));
    }

    /// Passes a log message on to the clients who want one as severe as this.
    fn log(&self, message: &Message) {
        let params = message.params().and_then(|params| Members::of(params).ok());
        let level = params.as_ref().and_then(|params| Level::named(&params.text("level")?));
        let sharers: Vec<_> = lock(self.sharers()).iter().filter_map(Weak::upgrade).collect();
        for client in sharers.iter().filter(|client| client.wants_log(level)) {
            client.tell(message.clone());
        }
    }
}

/// Reads what the server says to us outside of calls.
pub(crate) async fn attend(server: Weak<Server>, upstream: Weak<Upstream>, mut inbox: Inbox) {
    let mut dropped = 0;
    while let Some(message) = inbox.next().await {
        let (Some(server), Some(upstream)) = (server.upgrade(), upstream.upgrade()) else { return };
        // We declared no capability, so nothing may be asked of us.
        upstream.attend_to(&message).await;
        match message.method() {
            "notifications/message" => server.log(&message),
            _ => server.hear(&message),
        }
        // A storm that did not fit the inbox may have held anything.
        let now = upstream.connection.stats().dropped;
        if std::mem::replace(&mut dropped, now) != now {
            server.lists_changed(Lists::ALL);
            server.feed().missed();
        }
    }
}
