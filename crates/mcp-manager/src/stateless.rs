//! A stateless request to a server that has sessions: which session it goes over, and what comes
//! back of it.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::serve::Level;
use mcp_wire::{CallError, Draft, Event, Kind, Members, Message, Request, meta, quoted};
use tokio::time::{Sleep, sleep};

use crate::bridge::Bridge;
use crate::client::Client;
use crate::exchange::{Exchange, Sent};
use crate::failure::Failure;
use crate::keep::Keep;
use crate::lease::Lease;
use crate::load::{Busy, Hop};
use crate::park;
use crate::profile::Offer;
use crate::questions::{Askable, Questions};
use crate::server::Server;
use crate::shape;
use crate::upstream::Upstream;

/// Over HTTP servers log on a stream of its own, which may be a little behind the answer: a client
/// that wants the log gets its answer so much later.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// Servers that ask several things at once write them one after the other: what comes so soon
/// after the first question goes to the client together with it.
const ASKED_TOGETHER: Duration = Duration::from_millis(20);

/// One such request under way.
#[derive(Debug)]
pub(crate) struct Carried {
    cacheable: bool,
    /// The least severe log message that the client wants to see.
    level: Option<Level>,
    /// The name of the call in its progress, where it has changed.
    token: Token,
    /// What a call has that the server may ask something because of.
    pub(crate) asking: Option<Box<Asking>>,
}

/// What a call has that its server may ask something because of, or log for.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) lease: Lease,
    pub(crate) questions: Questions,
    /// Runs since the first question, for those that come with it.
    gathering: Option<Pin<Box<Sleep>>>,
    /// The answer, while log messages may still come over another stream.
    last: Option<(Message, Pin<Box<Sleep>>)>,
    /// Where the call waits for its client. A call does not keep its fleet alive.
    pub(crate) keep: Weak<Keep>,
    /// The client's request, and which client that is.
    pub(crate) request: Request,
    pub(crate) client: Option<u64>,
}

/// What progress is reported under.
#[derive(Debug)]
enum Token {
    /// What the request said, which the connection sees to.
    Own,
    /// What a later request said: the call goes on in its name. Without a name, in silence.
    Later(Option<String>),
}

/// What a client wants of the session.
struct Wants {
    /// `None` if it can do nothing that a server would have to know.
    offer: Option<Arc<Offer>>,
    askable: Askable,
    level: Option<Level>,
}

impl Wants {
    fn of(request: &Request, client: Option<&Arc<Client>>) -> Result<Self, Failure> {
        let meta = request.meta();
        let part = |name| meta.as_ref().and_then(|meta| meta.get(name));
        let capabilities = part(meta::CLIENT_CAPABILITIES).unwrap_or("{}");
        let members = Members::of(capabilities)?;
        let askable = Askable::new(&members);
        let level = level_of(meta.as_ref())?;
        let says_nothing = members.iter().next().is_none();
        let capabilities = if says_nothing { "{}" } else { capabilities };
        let offer = match (says_nothing, level) {
            (true, None) => None,
            _ => Some(Offer::new(capabilities, client.map(|client| client.number()))?),
        };
        Ok(Self { offer, askable, level })
    }

    /// Whether the call needs a session for itself: in one that several share, nobody could tell
    /// whose question it is, or whose log message.
    fn needs_lease(&self, method: &str) -> bool {
        let may_ask = matches!(method, "tools/call" | "prompts/get" | "resources/read");
        self.level.is_some() || (may_ask && self.askable.any())
    }
}

/// The log level that a request names in its `_meta`.
pub(crate) fn level_of(meta: Option<&Members<'_>>) -> Result<Option<Level>, Failure> {
    let Some(json) = meta.and_then(|meta| meta.get(meta::LOG_LEVEL)) else { return Ok(None) };
    let level = mcp_wire::unquoted(json).and_then(|name| Level::named(&name));
    let why = || format!("_meta[{:?}] is no log level", meta::LOG_LEVEL);
    level.map(Some).ok_or_else(|| Failure::Params { why: why() })
}

/// The session that a list is fetched over for a stateless request: one that knows what the client
/// can do, for lists may differ.
pub(crate) async fn reach(
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    ours: Arc<Upstream>,
    request: &Request,
) -> Result<Arc<Upstream>, Failure> {
    match Wants::of(request, client)?.offer {
        Some(offer) if !server.settings().shareable() => server.session_offering(&offer).await,
        _ => Ok(ours),
    }
}

/// Sends a stateless request over a session: `ours`, if the client can do nothing of note.
pub(crate) async fn carry(
    keep: &Arc<Keep>,
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    mut ours: Hop,
    mut request: Request,
    mut carried: Carried,
) -> Result<Exchange, Failure> {
    if let Some(exchange) = park::resume(keep, server, client, &request).await? {
        return Ok(exchange);
    }
    let wants = Wants::of(&request, client)?;
    carried.level = wants.level;
    let passes = std::mem::take(&mut ours.passes);
    let mut hop: Hop = match &wants.offer {
        Some(offer) if !server.settings().shareable() => {
            if wants.needs_lease(request.method()) {
                let lease = server.lease(offer).await?;
                if let Some(level) = wants.level {
                    lease.set_level(level).await;
                }
                lease.hear_changes().await;
                let upstream = Arc::clone(lease.upstream());
                let (questions, keep) = (Questions::new(wants.askable), Arc::downgrade(keep));
                let (request, client) = (request.clone(), client.map(|client| client.number()));
                let (gathering, last) = (None, None);
                let asking = Asking { lease, questions, gathering, last, keep, request, client };
                carried.asking = Some(Box::new(asking));
                upstream.into()
            } else {
                server.session_offering(offer).await?.into()
            }
        }
        _ => ours,
    };
    hop.passes = passes;
    request.clear_version();
    let wire = hop.upstream.connection.call(request, server.timing());
    let busy = Busy::new(hop, true);
    Ok(Exchange::sent(wire, busy, Arc::clone(server), Bridge::ToModern(carried), None))
}

impl Sent {
    /// The next event of the call. Cancel safe.
    pub(crate) fn poll(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, CallError>>> {
        let Bridge::ToModern(Carried { level, asking: Some(asking), .. }) = &mut self.bridge else {
            return self.wire.poll_within(patience, context);
        };
        if asking.last.is_none() {
            match self.wire.poll_within(patience, context) {
                Poll::Ready(Some(Ok(Event::Reply(reply))))
                    if level.is_some() && self.upstream.connection.is_http() =>
                {
                    asking.last = Some((reply, Box::pin(sleep(LAST_WORDS))));
                }
                Poll::Ready(event) => return Poll::Ready(event),
                Poll::Pending => {}
            }
        }
        asking.poll_aside(context).map(|event| Some(Ok(event)))
    }

    /// Whether this is a stateless request to a server that has sessions.
    pub(crate) fn is_carried(&self) -> bool {
        matches!(self.bridge, Bridge::ToModern(_))
    }

    /// Whether it is time to tell the client of such a request what the server asks.
    pub(crate) fn waits(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.bridge {
            Bridge::ToModern(Carried { asking: Some(asking), .. }) => asking.waits(context),
            _ => false,
        }
    }

    /// A message on the way of such a request, as its client is to see it; `None` if it is not for
    /// the client.
    pub(crate) fn show(&mut self, message: Message) -> Option<Message> {
        self.server.hear_update(&message);
        match &mut self.bridge {
            Bridge::ToModern(carried) => carried.show(&self.upstream, message),
            _ => Some(message),
        }
    }

    pub(crate) fn asking(&self) -> Option<&Asking> {
        match &self.bridge {
            Bridge::ToModern(carried) => carried.asking.as_deref(),
            _ => None,
        }
    }
}

impl Asking {
    fn waits(&mut self, context: &mut Context<'_>) -> bool {
        if self.questions.is_empty() || self.last.is_some() {
            self.gathering = None;
            return false;
        }
        let pause = self.gathering.get_or_insert_with(|| Box::pin(sleep(ASKED_TOGETHER)));
        let over = pause.as_mut().poll(context).is_ready();
        if over {
            self.gathering = None;
        }
        over
    }

    /// What the server says in the call's session that names no call, while the call itself is
    /// silent; then the answer, if it is there already.
    fn poll_aside(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(message) = self.lease.poll_aside(context) {
            return Poll::Ready(Event::Message(message));
        }
        match self.last.take() {
            Some((reply, mut sleep)) => match sleep.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Event::Reply(reply)),
                Poll::Pending => {
                    self.last = Some((reply, sleep));
                    Poll::Pending
                }
            },
            None => Poll::Pending,
        }
    }
}

impl Carried {
    pub(crate) fn new(cacheable: bool) -> Self {
        Self { cacheable, level: None, token: Token::Own, asking: None }
    }

    /// A message on the way, as the client is to see it; `None` if it is not for the client.
    fn show(&mut self, upstream: &Arc<Upstream>, message: Message) -> Option<Message> {
        match (message.kind(), message.method()) {
            (Kind::Request, _) => {
                let refused = match &mut self.asking {
                    Some(asking) => asking.questions.ask(message),
                    None => Some(message),
                };
                if let Some(message) = refused {
                    upstream.attend_later(message);
                }
                None
            }
            (_, "notifications/cancelled") => {
                if let Some(asking) = &mut self.asking {
                    asking.questions.cancelled(&message);
                }
                None
            }
            (_, "notifications/message") => self.wants(&message).then_some(message),
            (_, "notifications/progress") => self.renamed(message),
            (_, method) => shape::is_known(method).then_some(message),
        }
    }

    fn wants(&self, message: &Message) -> bool {
        let Some(least) = self.level else { return false };
        let params = message.params().and_then(|params| Members::of(params).ok());
        let level = params.as_ref().and_then(|params| Level::named(&params.text("level")?));
        level.is_none_or(|level| level >= least)
    }

    fn renamed(&self, message: Message) -> Option<Message> {
        let token = match &self.token {
            Token::Own => return Some(message),
            Token::Later(token) => token.as_ref()?,
        };
        let params = Members::of(message.params()?).ok()?;
        let range = message.range_of(params.get(meta::PROGRESS_TOKEN)?)?;
        let mut draft = Draft::new(message.clone());
        draft.replace(range, token);
        Some(draft.into_message())
    }

    /// The answer, as the client's era has it.
    pub(crate) fn answer(&mut self, upstream: &Arc<Upstream>, reply: Message) -> Message {
        if let Some(asking) = &mut self.asking {
            asking.lease.settle();
            // It may have asked for another reason than this call, and would wait.
            asking.questions.take().for_each(|question| upstream.attend_later(question));
        }
        shape::answer(reply, self.cacheable, upstream.info())
    }

    /// The call goes on in the name of a later request of its client.
    pub(crate) fn go_on(&mut self, request: &Request, level: Option<Level>) {
        let meta = request.meta();
        let token = meta.as_ref().and_then(|meta| meta.get(meta::PROGRESS_TOKEN));
        self.token = Token::Later(token.map(str::to_owned));
        self.level = level;
    }
}

/// Which stateless client it is, as far as that can be told: its number if it has a connection of
/// its own to us, else what it calls itself.
pub(crate) fn identity(request: &Request, client: Option<u64>) -> String {
    match client {
        Some(number) => number.to_string(),
        None => {
            let meta = request.meta();
            let info = meta.as_ref().and_then(|meta| meta.get(meta::CLIENT_INFO));
            quoted(info.unwrap_or_default())
        }
    }
}
