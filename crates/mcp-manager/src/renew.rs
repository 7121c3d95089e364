//! A client's own session with a server, opened again after it was lost: the server is told what
//! the client had told it, and the client what it may have missed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_wire::{Kind, Members, Message, Request, quoted};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, converse};
use crate::failure::Failure;
use crate::server::{Server, offers};
use crate::upstream::{Hello, Upstream};

/// Subscriptions that are made again at a time.
const AT_A_TIME: usize = 16;
/// Pauses between the attempts to open a session that a client misses: none, 1 s, 2 s, 4 s, and so
/// on up to this.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// After so many attempts, some four minutes, the session waits for the client's next call.
const ATTEMPTS_MAX: u32 = 12;

/// Tells a session that was just opened what `client` has told the ones before it: all of it,
/// before any call of the client goes out.
pub(crate) async fn replay(client: &Arc<Client>, server: &Arc<Server>, upstream: &Arc<Upstream>) {
    let limit = server.settings().start_timeout;
    let said = async {
        set_level(client, server, upstream).await;
        subscribe(client, server, upstream).await
    };
    let Ok(missed) = timeout(limit, said).await else {
        tracing::warn!(server = %server.name(), "did not take up what a client had subscribed to");
        return;
    };
    for uri in missed {
        let params = format!(r#"{{"uri":{}}}"#, quoted(&uri));
        let updated = Message::notification("notifications/resources/updated", &params);
        client.tell(client.scope().expose_updated(server, updated));
    }
}

async fn set_level(client: &Arc<Client>, server: &Server, upstream: &Arc<Upstream>) {
    let Some(level) = client.level().filter(|_| offers(upstream, "logging")) else { return };
    let params = format!(r#"{{"level":{}}}"#, quoted(&level));
    if let Ok(request) = Request::read(Message::request("0", "logging/setLevel", &params)) {
        let _ = converse(Some(client), server, upstream, request).await;
    }
}

/// Subscribes again to what the client is subscribed to; those that the server agreed to.
async fn subscribe(
    client: &Arc<Client>,
    server: &Arc<Server>,
    upstream: &Arc<Upstream>,
) -> Vec<String> {
    let mut agreed = Vec::new();
    let mut asking = JoinSet::new();
    for uri in client.subscriptions(server.name()) {
        if asking.len() == AT_A_TIME {
            agreed.extend(asking.join_next().await.and_then(Result::ok).flatten());
        }
        let (client, server) = (Arc::clone(client), Arc::clone(server));
        let upstream = Arc::clone(upstream);
        asking.spawn(async move {
            let params = format!(r#"{{"uri":{}}}"#, quoted(&uri));
            let request = Message::request("0", "resources/subscribe", &params);
            let request = Request::read(request).ok()?;
            let answer = converse(Some(&client), &server, &upstream, request).await;
            let agreed = answer.as_ref().is_ok_and(|answer| answer.kind() == Kind::Result);
            if !agreed {
                tracing::warn!(server = %server.name(), %uri, ?answer, "not subscribed again");
            }
            agreed.then_some(uri)
        });
    }
    agreed.extend(asking.join_all().await.into_iter().flatten());
    agreed
}

/// Notes what a client cannot be told: that a server came back as another than it introduced itself
/// as.
pub(crate) fn compare(server: &Server, before: &Hello, now: &Hello) {
    if let (Hello::Session(before), Hello::Session(now)) = (before, now)
        && before.version != now.version
    {
        let (before, now) = (&before.version, &now.version);
        tracing::warn!(server = %server.name(), %before, %now, "came back with another version");
    }
    let gone = capabilities_gone(before.introduction(), now.introduction());
    if !gone.is_empty() {
        tracing::warn!(server = %server.name(), ?gone, "came back with fewer capabilities");
    }
}

fn capabilities_gone(before: &str, now: &str) -> Vec<String> {
    let names = |introduction: &str| -> Vec<String> {
        let hello = Members::of(introduction).ok();
        let all = hello.as_ref().and_then(|hello| hello.object("capabilities").ok().flatten());
        all.iter().flat_map(|all| all.iter()).map(|(name, _)| name.to_owned()).collect()
    };
    let now = names(now);
    names(before).into_iter().filter(|name| !now.contains(name)).collect()
}

/// Tells a client that sees one server alone which of its lists it may have to read again: those
/// of which the server itself says that it tells when they change.
pub(crate) fn tell_changes(client: &Client, upstream: &Upstream) {
    let hello = Members::of(upstream.introduction()).ok();
    let all = hello.as_ref().and_then(|hello| hello.object("capabilities").ok().flatten());
    for list in ["tools", "prompts", "resources"] {
        let tells = all.as_ref().and_then(|all| all.object(list).ok().flatten());
        if tells.is_some_and(|tells| tells.get("listChanged") == Some("true")) {
            let method = format!("notifications/{list}/list_changed");
            client.tell(Message::notification(&method, "{}"));
        }
    }
}

/// Notices the end of a client's own session, and opens it again if the client would miss it:
/// what it subscribed to, and the log, come without a call.
pub(crate) fn watch(client: Weak<Client>, server: Weak<Server>, upstream: Weak<Upstream>) {
    tokio::spawn(watch_end(client, server, upstream));
}

async fn watch_end(client: Weak<Client>, server: Weak<Server>, upstream: Weak<Upstream>) {
    let Some(ended) = upstream.upgrade().map(|upstream| upstream.connection.ended()) else {
        return;
    };
    let opened = Instant::now();
    let error = ended.await;
    let (missed, brief) = {
        // Gone means that we let go of it ourselves.
        let (Some(server), Some(upstream)) = (server.upgrade(), upstream.upgrade()) else { return };
        let Some(client) = client.upgrade() else { return };
        tracing::warn!(server = %server.name(), %error, "a client's session ended");
        let slot = client.slot(&server);
        client.lost(&slot, &upstream);
        let logs = client.level().is_some() && offers(&upstream, "logging");
        let missed = logs || !client.subscriptions(server.name()).is_empty();
        (missed, slot.lived(opened.elapsed()))
    };
    for attempt in brief..if missed { ATTEMPTS_MAX } else { 0 } {
        sleep(pause_before(attempt)).await;
        let (Some(client), Some(server)) = (client.upgrade(), server.upgrade()) else { return };
        match server.session(&client).await {
            Ok(_) | Err(Failure::Stopping) => return,
            Err(failure) => tracing::debug!(server = %server.name(), %failure, "still away"),
        }
    }
}

/// None before the first attempt. A server that comes up and dies at once is not at its first.
fn pause_before(attempt: u32) -> Duration {
    let seconds = attempt.checked_sub(1).map_or(0, |doublings| 1_u64 << doublings.min(5));
    Duration::from_secs(seconds).min(PAUSE_MAX)
}

/// What a client is told about a question whose server is gone.
pub(crate) fn withdrawn(id: u64) -> Message {
    let params = format!(r#"{{"requestId":{id},"reason":"the server is gone"}}"#);
    Message::notification("notifications/cancelled", &params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_gone_is_named() {
        let hello = |capabilities: &str| format!(r#"{{"capabilities":{capabilities}}}"#);
        let before = hello(r#"{"tools":{},"logging":{},"resources":{"subscribe":true}}"#);
        let now = hello(r#"{"tools":{"listChanged":true},"prompts":{}}"#);
        assert_eq!(capabilities_gone(&before, &now), ["logging", "resources"]);
        assert_eq!(capabilities_gone(&now, "{}"), ["tools", "prompts"]);
        assert!(capabilities_gone("[]", &now).is_empty());
    }
}
