//! Asks one server for what its listeners want to hear, and for no more.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_wire::{
    CallError, Era, Event, Exchange, Kind, Members, Message, Request, elements, quoted,
    stateless_meta, unquoted,
};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::board::{Answer, Step, Wanted};
use super::streams::Streams;
use super::{Feed, Lists};
use crate::client::converse;
use crate::dispatch::ENDLESS;
use crate::link::own_info;
use crate::server::{Server, offers};
use crate::upstream::Upstream;

/// After a stream of changes has broken, it is opened again so much later, and twice as late each
/// time that this fails.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Starts the task that serves the listeners of `server`; it ends with the last of them.
pub(super) fn begin(server: &Arc<Server>, feed: &Arc<Feed>) {
    let (arrivals, itself) = (server.arrivals(), Arc::downgrade(server));
    let feed = Arc::clone(feed);
    let driver = Driver { server: itself, feed, arrivals, missed: false, pause: PAUSE_MIN };
    tokio::spawn(async move {
        let mut closed = driver.feed.closed.subscribe();
        tokio::select! {
            () = driver.run() => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    });
}

/// Holds nothing of the server while it waits: a server that is let go of must be able to end.
struct Driver {
    server: Weak<Server>,
    feed: Arc<Feed>,
    arrivals: watch::Receiver<u64>,
    /// Whether something may have changed while nobody heard it.
    missed: bool,
    pause: Duration,
}

/// Why a connection is not listened to any more.
enum End {
    /// Nobody wants to hear anything.
    Idle,
    /// It broke, or another one has taken its place.
    Lost,
}

impl Driver {
    async fn run(mut self) {
        loop {
            if self.retires() {
                return;
            }
            let Some(server) = self.server.upgrade() else { return };
            let upstream = heard_over(&server).await;
            drop(server);
            let Some(upstream) = upstream else {
                // A server that is down is not started for its news; it tells when it is back.
                tokio::select! {
                    arrived = self.arrivals.changed() => if arrived.is_err() { return },
                    () = self.feed.wanted.notified() => {}
                }
                continue;
            };
            self.arrivals.mark_unchanged();
            self.feed.lock().board.renew();
            let end = match upstream.era() {
                Era::Legacy => self.subscribe(upstream).await,
                Era::Modern => self.listen(upstream).await,
            };
            if let End::Lost = end {
                self.missed = true;
                tokio::select! {
                    () = sleep(self.pause) => self.pause = (self.pause * 2).min(PAUSE_MAX),
                    arrived = self.arrivals.changed() => if arrived.is_err() { return },
                }
            }
        }
    }

    /// Whether there is nothing more to do: then the next listener begins another driver.
    fn retires(&self) -> bool {
        let mut state = self.feed.lock();
        let idle = state.board.is_idle();
        if idle {
            state.driven = false;
        }
        idle
    }

    /// What was asked for is done; whoever waits for it may look.
    fn settled(&mut self) {
        if std::mem::take(&mut self.missed) {
            self.feed.missed();
        }
        self.pause = PAUSE_MIN;
        self.feed.settled.send_replace(());
    }

    /// Keeps a session subscribed to what is wanted. Its changes come by its inbox.
    async fn subscribe(&mut self, upstream: Arc<Upstream>) -> End {
        let ended = upstream.connection.ended();
        tokio::pin!(ended);
        let kept = Arc::downgrade(&upstream);
        drop(upstream);
        loop {
            loop {
                let step = self.feed.lock().board.next_step();
                let Some(step) = step else { break };
                let (Some(server), Some(upstream)) = (self.server.upgrade(), kept.upgrade()) else {
                    return End::Lost;
                };
                let outcome = take(&server, &upstream, &step).await;
                if upstream.connection.is_ended() {
                    return End::Lost;
                }
                self.feed.lock().board.stepped(step, outcome);
            }
            self.settled();
            if self.feed.lock().board.is_idle() {
                return End::Idle;
            }
            tokio::select! {
                () = self.feed.wanted.notified() => {}
                _ = &mut ended => return End::Lost,
                arrived = self.arrivals.changed() => {
                    if arrived.is_err() || !self.is_current(&kept).await {
                        return End::Lost;
                    }
                }
            }
        }
    }

    /// Whether the server would still be listened to over this connection.
    async fn is_current(&self, upstream: &Weak<Upstream>) -> bool {
        let Some(server) = self.server.upgrade() else { return false };
        let current = heard_over(&server).await;
        current.is_some_and(|current| std::ptr::eq(Arc::as_ptr(&current), upstream.as_ptr()))
    }

    /// Keeps one stream of changes open, for all that is wanted.
    async fn listen(&mut self, upstream: Arc<Upstream>) -> End {
        let kept = Arc::downgrade(&upstream);
        drop(upstream);
        let mut streams = Streams::default();
        let mut asked = Wanted::default();
        loop {
            let mut wanted = self.feed.lock().board.wanted();
            let Some(upstream) = kept.upgrade() else { return End::Lost };
            wanted.lists = wanted.lists.within(has_lists(&upstream));
            if wanted != asked {
                let newer = if wanted == Wanted::default() {
                    None
                } else {
                    let Some(server) = self.server.upgrade() else { return End::Lost };
                    match self.open(&server, &upstream, &wanted, &mut streams).await {
                        Ok(stream) => stream,
                        Err(Broken) => return End::Lost,
                    }
                };
                streams.replace(newer);
                asked = wanted;
                let board = &self.feed.lock().board;
                asked.resources.retain(|uri| !matches!(board.answer(uri), Answer::No(_)));
            }
            drop(upstream);
            self.settled();
            if self.feed.lock().board.is_idle() {
                return End::Idle;
            }
            tokio::select! {
                () = self.feed.wanted.notified() => {}
                event = streams.next() => match event {
                    Ok(Event::Message(message)) => self.hear(&message),
                    Ok(Event::Reply(_)) | Err(_) => return End::Lost,
                },
                arrived = self.arrivals.changed() => {
                    if arrived.is_err() || !self.is_current(&kept).await {
                        return End::Lost;
                    }
                }
            }
        }
    }

    /// Opens a stream for `wanted`, and waits until the server says what it grants. No stream if it
    /// grants nothing at all.
    async fn open(
        &self,
        server: &Arc<Server>,
        upstream: &Upstream,
        wanted: &Wanted,
        older: &mut Streams,
    ) -> Result<Option<Exchange>, Broken> {
        let request = listen_request(wanted).map_err(|_| Broken)?;
        let mut stream = upstream.connection.call(request, ENDLESS);
        let granted = self.acknowledged(&mut stream, older);
        let granted = timeout(server.timing().timeout, granted).await;
        let refuse_all = |why: &str| {
            let mut state = self.feed.lock();
            for uri in &wanted.resources {
                state.board.answered(uri, Answer::No(why.into()));
            }
        };
        match granted {
            Ok(Ok(Ok(uris))) => {
                let mut state = self.feed.lock();
                for uri in &wanted.resources {
                    let answer = match uris.contains(&**uri) {
                        true => Answer::Yes,
                        false => Answer::No("the server does not announce its changes".into()),
                    };
                    state.board.answered(uri, answer);
                }
                drop(state);
                Ok(Some(stream))
            }
            Ok(Ok(Err(why))) => {
                refuse_all(&why);
                Ok(None)
            }
            Ok(Err(CallError::Closed { .. } | CallError::Connect { .. })) => Err(Broken),
            Ok(Err(error)) => {
                tracing::debug!(server = %server.name(), %error, "no stream of changes");
                Err(Broken)
            }
            Err(_) => {
                refuse_all("the server did not say in time what it announces");
                Ok(None)
            }
        }
    }

    /// The resources that a new stream is for; or why the server does not open it. The older stream
    /// is heard meanwhile.
    async fn acknowledged(
        &self,
        stream: &mut Exchange,
        older: &mut Streams,
    ) -> Result<Result<BTreeSet<String>, String>, CallError> {
        loop {
            let event = tokio::select! {
                event = stream.next() => event?,
                event = older.next() => {
                    match event {
                        Ok(Event::Message(message)) => self.hear(&message),
                        // What it would have said, the newer one will.
                        _ => older.ended(),
                    }
                    continue;
                }
            };
            match event {
                Event::Message(message) if message.method() == ACKNOWLEDGED => {
                    return Ok(Ok(granted(&message)));
                }
                Event::Message(message) => self.hear(&message),
                Event::Reply(reply) => {
                    let why = reply.error_json().unwrap_or("the stream ended at once");
                    return Ok(Err(why.to_owned()));
                }
            }
        }
    }

    fn hear(&self, message: &Message) {
        if let Some(server) = self.server.upgrade() {
            server.hear(message);
        }
    }
}

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// The connection broke.
struct Broken;

/// The connection over which a server's changes are heard, if it is open.
async fn heard_over(server: &Arc<Server>) -> Option<Arc<Upstream>> {
    let ours = server.ready()?;
    if server.settings().shareable() && ours.era() == Era::Modern {
        // The session that clients share is the one whose log level they choose.
        return server.shared(0).await.ok().or(Some(ours));
    }
    Some(ours)
}

/// Asks a server with sessions for one thing; or why it does not do it.
async fn take(server: &Arc<Server>, upstream: &Arc<Upstream>, step: &Step) -> Result<(), Arc<str>> {
    let (method, params) = match step {
        Step::Subscribe(uri) => ("resources/subscribe", format!(r#"{{"uri":{}}}"#, quoted(uri))),
        Step::Unsubscribe(uri) => {
            ("resources/unsubscribe", format!(r#"{{"uri":{}}}"#, quoted(uri)))
        }
        Step::SetLevel(level) => ("logging/setLevel", format!(r#"{{"level":"{}"}}"#, level.name())),
    };
    if matches!(step, Step::SetLevel(_)) && !offers(upstream, "logging") {
        return Ok(());
    }
    let request = Request::read(Message::request("0", method, &params));
    let request = request.map_err(|error| Arc::from(error.to_string()))?;
    match converse(None, server, upstream, request).await {
        Ok(reply) if reply.kind() == Kind::Result => Ok(()),
        Ok(reply) => Err(reply.error_json().unwrap_or_default().into()),
        Err(error) => Err(error.to_string().into()),
    }
}

fn listen_request(wanted: &Wanted) -> Result<Request, mcp_wire::MembersError> {
    let meta = stateless_meta(mcp_wire::MODERN_VERSION, "{}", Some(&own_info()));
    let mut filter = wanted.lists.as_filter();
    if !wanted.resources.is_empty() {
        let uris: Vec<String> = wanted.resources.iter().map(|uri| quoted(uri)).collect();
        let comma = if filter.is_empty() { "" } else { "," };
        filter.push_str(&format!("{comma}\"resourceSubscriptions\":[{}]", uris.join(",")));
    }
    let params = format!(r#"{{"_meta":{{{meta}}},"notifications":{{{filter}}}}}"#);
    Request::read(Message::request("0", "subscriptions/listen", &params))
}

/// The resources that an acknowledgement names.
fn granted(message: &Message) -> BTreeSet<String> {
    let params = message.params().and_then(|params| Members::of(params).ok());
    let filter = params.as_ref().and_then(|params| params.object("notifications").ok()?);
    let uris = filter.as_ref().and_then(|filter| elements(filter.get("resourceSubscriptions")?));
    uris.into_iter().flatten().filter_map(|uri| Some(unquoted(uri)?.into_owned())).collect()
}

/// The lists that a server has, whether or not it says that it announces their changes.
fn has_lists(upstream: &Upstream) -> Lists {
    let each =
        [("tools", Lists::TOOLS), ("prompts", Lists::PROMPTS), ("resources", Lists::RESOURCES)];
    let has = each.into_iter().filter(|(name, _)| offers(upstream, name));
    has.fold(Lists::NONE, |all, (_, list)| all.with(list))
}
