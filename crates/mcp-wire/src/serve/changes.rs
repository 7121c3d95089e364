//! Who hears of which change: the filter of a session or of one `subscriptions/listen` request.

use std::collections::BTreeSet;

use bytes::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::Change;
use super::sink::Sink;
use crate::{ErrorObject, Members, Message, code, elements, meta, quoted, unquoted};

/// Resources that one session or listener may subscribe to, and bytes of each URI.
const URIS_MAX: usize = 1024;
const URI_BYTES_MAX: usize = 4 << 10;

/// The changes that a client wants to hear of.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: BTreeSet<String>,
}

impl Filter {
    /// Every list whose changes a server with these capabilities announces, and no resource.
    pub(super) fn lists(capabilities: &str) -> Self {
        let announces = |list| offers(capabilities, list, "listChanged");
        let [tools, prompts, resources] = ["tools", "prompts", "resources"].map(announces);
        Self { tools, prompts, resources, uris: BTreeSet::new() }
    }

    /// What of the `params` of a `subscriptions/listen` request such a server announces.
    pub(super) fn accepted(
        params: Option<&Members<'_>>,
        capabilities: &str,
    ) -> Result<Self, ErrorObject> {
        let wanted = params.and_then(|params| params.object("notifications").ok().flatten());
        let Some(wanted) = wanted else { return Err(invalid("`notifications` must be an object")) };
        let wants = |name| wanted.get(name) == Some("true");
        let mut filter = Self::lists(capabilities);
        filter.tools &= wants("toolsListChanged");
        filter.prompts &= wants("promptsListChanged");
        filter.resources &= wants("resourcesListChanged");
        if let Some(uris) = wanted.get("resourceSubscriptions") {
            let uris = elements(uris).and_then(|uris| uris.into_iter().map(unquoted).collect());
            let uris: Option<Vec<_>> = uris;
            let Some(uris) = uris else {
                return Err(invalid("`resourceSubscriptions` must be a list of URIs"));
            };
            if subscribable(capabilities) {
                uris.iter().try_for_each(|uri| filter.subscribe(uri))?;
            }
        }
        Ok(filter)
    }

    pub(super) fn subscribe(&mut self, uri: &str) -> Result<(), ErrorObject> {
        if uri.len() > URI_BYTES_MAX {
            return Err(invalid(&format!("a URI may have {URI_BYTES_MAX} bytes at most")));
        }
        if self.uris.len() == URIS_MAX && !self.uris.contains(uri) {
            return Err(invalid(&format!("at most {URIS_MAX} resources can be subscribed to")));
        }
        self.uris.insert(uri.to_owned());
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, uri: &str) {
        self.uris.remove(uri);
    }

    /// The notifications that tell a client with this filter; `meta` is what their `_meta` holds.
    pub(super) fn notifications(&self, news: News, meta: &str) -> Vec<Bytes> {
        let changes = match news {
            News::Changed(change) => vec![change],
            // Which ones were missed is unknown, so all that the client cares for may have changed.
            News::Missed => [Change::Tools, Change::Prompts, Change::Resources]
                .into_iter()
                .chain(self.uris.iter().cloned().map(Change::Resource))
                .collect(),
        };
        changes.iter().filter(|change| self.admits(change)).map(|c| notification(c, meta)).collect()
    }

    fn admits(&self, change: &Change) -> bool {
        match change {
            Change::Tools => self.tools,
            Change::Prompts => self.prompts,
            Change::Resources => self.resources,
            Change::Resource(uri) => self.uris.contains(uri),
        }
    }

    /// As a `subscriptions/listen` request spells it.
    fn to_json(&self) -> String {
        let lists = [
            (self.tools, "toolsListChanged"),
            (self.prompts, "promptsListChanged"),
            (self.resources, "resourcesListChanged"),
        ];
        let lists = lists.into_iter().filter(|(on, _)| *on);
        let mut members: Vec<_> = lists.map(|(_, name)| format!("\"{name}\":true")).collect();
        if !self.uris.is_empty() {
            let uris: Vec<_> = self.uris.iter().map(|uri| quoted(uri)).collect();
            members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
        }
        format!("{{{}}}", members.join(","))
    }
}

/// Whether a server with these capabilities announces changes of single resources.
pub(super) fn subscribable(capabilities: &str) -> bool {
    offers(capabilities, "resources", "subscribe")
}

fn offers(capabilities: &str, group: &str, flag: &str) -> bool {
    let capabilities = Members::of(capabilities).ok();
    let group = capabilities.and_then(|all| all.object(group).ok().flatten());
    group.is_some_and(|group| group.get(flag) == Some("true"))
}

fn invalid(why: &str) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, why)
}

fn notification(change: &Change, meta: &str) -> Bytes {
    let meta = if meta.is_empty() { String::new() } else { format!(r#""_meta":{{{meta}}}"#) };
    let (method, params) = match change {
        Change::Tools => ("notifications/tools/list_changed", meta),
        Change::Prompts => ("notifications/prompts/list_changed", meta),
        Change::Resources => ("notifications/resources/list_changed", meta),
        Change::Resource(uri) => {
            let comma = if meta.is_empty() { "" } else { "," };
            ("notifications/resources/updated", format!(r#""uri":{}{comma}{meta}"#, quoted(uri)))
        }
    };
    Message::notification(method, &format!("{{{params}}}")).bytes().clone()
}

/// What a service's channel of changes brings.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// This.
    Changed(Change),
    /// More than the channel holds: some are lost.
    Missed,
}

/// The next news; `None` when the service announces nothing any more. Cancel safe.
async fn next(changes: &mut Receiver<Change>) -> Option<News> {
    match changes.recv().await {
        Ok(change) => Some(News::Changed(change)),
        Err(RecvError::Lagged(_)) => Some(News::Missed),
        Err(RecvError::Closed) => None,
    }
}

/// The news that are there already.
pub(super) fn waiting(changes: &mut Option<Receiver<Change>>) -> Vec<News> {
    let Some(receiver) = changes else { return Vec::new() };
    // Counted once, so that a service which never stops announcing does not hold up its answers.
    let news = (0..receiver.len()).map_while(|_| match receiver.try_recv() {
        Ok(change) => Some(News::Changed(change)),
        Err(TryRecvError::Lagged(_)) => Some(News::Missed),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    });
    news.collect()
}

/// The next news for a session, for as long as it lasts. Cancel safe.
pub(super) async fn pushed(changes: &mut Option<Receiver<Change>>) -> News {
    if let Some(receiver) = changes {
        if let Some(news) = next(receiver).await {
            return news;
        }
        *changes = None;
    }
    std::future::pending().await
}

/// One `subscriptions/listen` request with this `id`, until the service has no more to announce.
pub(super) async fn listen(
    id: &str,
    filter: Filter,
    mut changes: Receiver<Change>,
    sink: &Sink,
) -> String {
    let tag = format!(r#""{}":{id}"#, meta::SUBSCRIPTION_ID);
    let accepted = filter.to_json();
    let params = format!(r#"{{"notifications":{accepted},"_meta":{{{tag}}}}}"#);
    sink.notify("notifications/subscriptions/acknowledged", &params).await;
    while let Some(news) = next(&mut changes).await {
        for frame in filter.notifications(news, &tag) {
            sink.send(frame).await;
        }
    }
    format!(r#"{{"_meta":{{{tag}}}}}"#)
}
