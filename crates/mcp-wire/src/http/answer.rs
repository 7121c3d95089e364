//! One call over HTTP: the POST, and its answer as JSON or as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::client::{Connection, Shared};
use super::cursor::Cursor;
use super::endpoint::Target;
use super::farewell::Farewell;
use super::listen::resume;
use super::response;
use super::stream::{Item, MessageStream};
use crate::claim::{Claim, claim, ours, rewritten};
use crate::stats::Counters;
use crate::{CallError, Event, Kind, Message, Request, headers};

/// How long a stream may go on after the answer before its connection is closed.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// A call that waits. Dropped before its answer, it tells the server to stop.
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    id: u64,
    /// The caller's id and progress token, as JSON text.
    caller_id: Box<str>,
    token: Option<Box<str>>,
    /// A session's request: closing its connection is not enough to cancel it, and its stream can
    /// be taken up again.
    in_session: bool,
    /// Resolves when the connection is closed while this waits.
    closed: Pin<Box<dyn Future<Output = CallError> + Send>>,
    state: State,
    /// Dropped after what is said at the end has begun.
    _under_way: Farewell,
}

enum State {
    Sending(Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send>>),
    Streaming(Box<MessageStream>, Connection),
    Resuming(Pin<Box<dyn Future<Output = Resumed> + Send>>),
    Over,
}

type Resumed = Result<(Box<MessageStream>, Connection), CallError>;

enum Answer {
    Whole(Message),
    Stream(Box<MessageStream>, Connection),
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Waiting").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Waiting {
    pub(super) fn new(shared: Arc<Shared>, id: u64, mut request: Request) -> Self {
        let message = request.message();
        let caller_id: Box<str> = message.id().unwrap_or("null").into();
        let token_range = request.token();
        let text = |range: &std::ops::Range<usize>| message.as_str().get(range.clone());
        let token = token_range.as_ref().and_then(text).map(Box::from);
        let id_range = message.id().and_then(|id| message.range_of(id));
        let initializes = request.method() == "initialize";
        let extra = stateless_headers(&request);
        let in_session = request.version().is_none() && !initializes;
        for range in [id_range, token_range].into_iter().flatten() {
            request.draft_mut().replace(range, id.to_string());
        }
        let body = request.into_draft().finish();
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let sender = Arc::clone(&shared);
        let sending = async move {
            let (response, connection) = sender.post(body, extra).await?;
            if initializes {
                sender.set_session(&response);
            }
            sender.understand(response, connection, in_session).await
        };
        let closed = Box::pin(shared.closed());
        let state = State::Sending(Box::pin(sending));
        let _under_way = shared.target.farewells.begin();
        Self { shared, id, caller_id, token, in_session, closed, state, _under_way }
    }

    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Event, CallError>> {
        let polled = ready!(self.poll_event(context));
        if !matches!(polled, Ok(Event::Message(_))) {
            let state = std::mem::replace(&mut self.state, State::Over);
            if let (Ok(_), State::Streaming(stream, connection)) = (&polled, state) {
                let rest = finish(Arc::clone(&self.shared.target), stream, connection);
                tokio::spawn(timeout(END_TIMEOUT, rest));
            }
        }
        Poll::Ready(polled)
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, CallError>> {
        if matches!(self.state, State::Over) {
            return Poll::Ready(Err(broken_off()));
        }
        if let Poll::Ready(error) = self.closed.as_mut().poll(context) {
            return Poll::Ready(Err(error));
        }
        loop {
            match &mut self.state {
                State::Sending(sending) => match ready!(sending.as_mut().poll(context))? {
                    Answer::Whole(message) => {
                        Counters::add(&self.shared.counters.received);
                        return Poll::Ready(self.whole(message));
                    }
                    Answer::Stream(stream, connection) => {
                        self.state = State::Streaming(stream, connection);
                    }
                },
                State::Streaming(stream, _) => match ready!(stream.poll_next(context)) {
                    Ok(Item::Message(message)) => {
                        Counters::add(&self.shared.counters.received);
                        if let Some(event) = self.place(message) {
                            return Poll::Ready(Ok(event));
                        }
                        Counters::add(&self.shared.counters.stray);
                    }
                    Ok(Item::Malformed(error, answers)) => {
                        Counters::add(&self.shared.counters.malformed);
                        if answers == Some(self.id) {
                            return Poll::Ready(Err(CallError::Unreadable(error)));
                        }
                    }
                    Ok(Item::End) => self.resume(broken_off())?,
                    Err(error @ CallError::Closed { .. }) => self.resume(error)?,
                    Err(error) => return Poll::Ready(Err(error)),
                },
                State::Resuming(resuming) => {
                    let (stream, connection) = ready!(resuming.as_mut().poll(context))?;
                    self.state = State::Streaming(stream, connection);
                }
                State::Over => return Poll::Ready(Err(broken_off())),
            }
        }
    }

    /// The stream has ended before the answer: goes on where it broke off, if events had ids.
    fn resume(&mut self, broke: CallError) -> Result<(), CallError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Streaming(stream, _) if self.in_session => {
                let cursor = stream.into_cursor();
                if cursor.last_event_id().is_none() {
                    return Err(broke);
                }
                let shared = Arc::clone(&self.shared);
                self.state = State::Resuming(Box::pin(resume(shared, cursor, broke)));
                Ok(())
            }
            _ => Err(broke),
        }
    }

    /// A body that is one message must be our answer. An error may lack the id: the server could
    /// refuse the request before it read as far.
    fn whole(&self, message: Message) -> Result<Event, CallError> {
        let named = ours(message.id()) == Some(self.id);
        let unnamed = message.kind() == Kind::Error && matches!(message.id(), None | Some("null"));
        match message.kind() {
            Kind::Result | Kind::Error if named || unnamed => Ok(Event::Reply(message)),
            _ => {
                Counters::add(&self.shared.counters.stray);
                let why = "the body is not the answer to this request".to_owned();
                Err(CallError::Protocol { why })
            }
        }
    }

    /// Where a message of the stream belongs; `None` if it belongs to no call of ours.
    fn place(&self, message: Message) -> Option<Event> {
        match message.kind() {
            Kind::Result | Kind::Error => {
                (ours(message.id()) == Some(self.id)).then_some(Event::Reply(message))
            }
            Kind::Request => Some(Event::Message(message)),
            Kind::Notification => {
                let (range, theirs) = match claim(&message) {
                    Claim::Nobody => return Some(Event::Message(message)),
                    Claim::Token(range) => (range, self.token.as_deref()?),
                    Claim::Subscription(range) => (range, &*self.caller_id),
                };
                let mine = ours(message.as_str().get(range.clone())) == Some(self.id);
                mine.then(|| Event::Message(rewritten(message, range, theirs)))
            }
        }
    }
}

/// Reads what follows the answer, which is the end: then the connection can be used again.
async fn finish(target: Arc<Target>, mut stream: Box<MessageStream>, connection: Connection) {
    loop {
        match poll_fn(|context| stream.poll_next(context)).await {
            Ok(Item::Message(_) | Item::Malformed(..)) => {}
            Ok(Item::End) => return target.pool.give_back(connection),
            Err(_) => return,
        }
    }
}

fn broken_off() -> CallError {
    CallError::Closed { why: "the stream ended without an answer".to_owned() }
}

/// What the HTTP transport of a stateless request repeats in headers.
fn stateless_headers(request: &Request) -> Vec<(HeaderName, HeaderValue)> {
    let Some(version) = request.version() else { return Vec::new() };
    let mut extra = Vec::with_capacity(3 + request.headers().len());
    let mut add = |name: &str, value: &str| {
        let value = headers::encode_value(value);
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            extra.push((name, value));
        }
    };
    add(headers::PROTOCOL_VERSION, version);
    add(headers::METHOD, request.method());
    if let Some(name) = request.name() {
        add(headers::NAME, name);
    }
    for (name, value) in request.headers() {
        add(name, value);
    }
    extra
}

impl Shared {
    async fn understand(
        &self,
        response: Response<Incoming>,
        connection: Connection,
        in_session: bool,
    ) -> Result<Answer, CallError> {
        let (head, body) = response.into_parts();
        let status = head.status;
        response::check_encoding(&head)?;
        if status.is_success() && response::is_event_stream(&head) {
            let stream = MessageStream::new(body, self.limits, Cursor::default());
            return Ok(Answer::Stream(Box::new(stream), connection));
        }
        let body = response::read(body, &self.limits).await?;
        self.give_back(connection);
        // Within a session 404 says that it is gone, whatever the body; a stateless request gets
        // it for an unknown method, with an error to pass on.
        if in_session && (status == StatusCode::NOT_FOUND || self.forgets(status, &body)) {
            return Err(self.refused(&head, &body));
        }
        // Errors come with a status of their own, and say more than it.
        match Message::parse(body.clone(), &self.limits) {
            Ok(message) if status.is_success() || message.kind() == Kind::Error => {
                Ok(Answer::Whole(message))
            }
            Err(error) if status.is_success() => {
                Counters::add(&self.counters.malformed);
                Err(response::unreadable(&head, error))
            }
            _ => Err(self.refused(&head, &body)),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if matches!(self.state, State::Over) || !self.in_session {
            return;
        }
        let params = format!(r#"{{"requestId":{},"reason":"the caller has gone"}}"#, self.id);
        let message = Message::notification("notifications/cancelled", &params);
        // Also where the connection is closed already: the server does not know that.
        let shared = Arc::clone(&self.shared);
        self.shared.target.farewells.say(async move {
            let _ = shared.deliver(message.bytes().clone()).await;
        });
    }
}
