//! `/mcp` and `/mcp/{server}`: the protocol over HTTP, both eras.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use mcp_manager::{Call, Exchange, Failure, Fleet, Scope};
use mcp_wire::http::agreement;
use mcp_wire::{
    ErrorObject, Event, Kind, LEGACY_VERSIONS, Limits, MODERN_VERSION, Members, Message, Request,
    code, headers,
};
use tokio::time::timeout;

use crate::body::Body;
use crate::replay::{EventId, STANDALONE};
use crate::respond::{self, Answer};
use crate::session::{InUse, Sessions};
use crate::shelf::Shelf;
use crate::stopping::{self, Stopping};
use crate::store::Record;
use crate::{Options, modern, stream};

/// After so much silence an answer becomes a stream, whose comments show that we are alive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers HTTP requests on behalf of a fleet.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) sessions: Sessions,
    limits: Limits,
    pub(crate) options: Options,
    stopping: Stopping,
}

impl Endpoint {
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        options: Options,
        shelf: Shelf,
        stopping: Stopping,
    ) -> Self {
        let sessions = Sessions::new(shelf, options.sessions_max, options.session_idle);
        let mut limits = Limits::default();
        limits.frame_bytes = options.body_bytes_max;
        Self { fleet, sessions, limits, options, stopping }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_told()
    }

    pub(crate) async fn handle(&self, request: http::Request<Incoming>) -> Answer {
        let mut answer = self.answer(request).await;
        if self.stopping.is_told() {
            stopping::last(&mut answer);
        }
        answer
    }

    async fn answer(&self, request: http::Request<Incoming>) -> Answer {
        #[cfg(feature = "ws")]
        if crate::websocket::is_wanted(&request) {
            return self.websocket(request);
        }
        let (head, body) = request.into_parts();
        let scope = match self.scope(head.uri.path()) {
            Ok(scope) => scope,
            Err(answer) => return *answer,
        };
        match head.method {
            Method::POST => match self.read(&head.headers, body).await {
                Ok(bytes) => self.post(scope, &head.headers, bytes).await,
                Err(answer) => answer,
            },
            Method::GET if !is_modern(&head.headers) => self.get(&head.headers),
            Method::DELETE if !is_modern(&head.headers) => {
                Box::pin(self.delete(&head.headers)).await
            }
            _ => {
                let mut answer = respond::empty(StatusCode::METHOD_NOT_ALLOWED);
                let modern = is_modern(&head.headers);
                let allowed = if modern { "POST" } else { "POST, GET, DELETE" };
                let allowed = HeaderValue::from_static(allowed);
                answer.headers_mut().insert(http::header::ALLOW, allowed);
                answer
            }
        }
    }

    #[cfg(feature = "ws")]
    fn websocket(&self, mut request: http::Request<Incoming>) -> Answer {
        let scope = match self.scope(request.uri().path()) {
            Ok(scope) => scope,
            Err(answer) => return *answer,
        };
        if let Some(refused) = crate::websocket::refuses(&request) {
            return refused;
        }
        if self.stopping.is_told() {
            return stopping::refused(None);
        }
        let Some(place) = self.sessions.attach() else { return full("null") };
        let (fleet, limits) = (Arc::clone(&self.fleet), self.limits);
        let stopping = self.stopping.told.clone();
        let wind_up = self.options.drain_timeout;
        let face = crate::websocket::Face { fleet, scope, limits, place, stopping, wind_up };
        crate::websocket::accept(&mut request, face)
    }

    /// Goes on with the sessions of an earlier life. Those whose server is not there any more end.
    pub(crate) async fn restore(&self, records: Vec<Record>) {
        for record in records {
            let scope = match &record.server {
                Some(name) => self.fleet.just(name),
                None => Some(self.fleet.everything()),
            };
            let client = scope.map(|scope| self.fleet.reconnect(scope, record.memory.clone()));
            if !client.is_some_and(|client| self.sessions.restore(&client, &record)) {
                self.sessions.forget(&record.id).await;
            }
        }
    }

    /// What a path shows of the fleet. An unknown server is never "all servers".
    fn scope(&self, path: &str) -> Result<Scope, Box<Answer>> {
        let rest = path.strip_prefix("/mcp").unwrap_or("?");
        // With a slash and nothing behind it, somebody's name of a server came out empty.
        if rest.is_empty() {
            return Ok(self.fleet.everything());
        }
        let name = rest.strip_prefix('/').and_then(decoded);
        if let Some(scope) = name.as_deref().and_then(|name| self.fleet.just(name)) {
            return Ok(scope);
        }
        let why = match name {
            Some(name) => Failure::ServerNotFound { name }.to_error(),
            None => ErrorObject::new(code::INVALID_REQUEST, "the endpoint is /mcp or /mcp/SERVER"),
        };
        Err(Box::new(respond::error(StatusCode::NOT_FOUND, None, &why)))
    }

    async fn read(&self, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Answer> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case("application/json") {
            let why = "Content-Type must be application/json";
            return Err(respond::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let limit = self.options.body_bytes_max;
        let too_long = || {
            let why = format!("the body is longer than {limit} bytes");
            respond::text(StatusCode::PAYLOAD_TOO_LARGE, why)
        };
        // What is announced need not be waited for.
        if body.size_hint().lower() > limit as u64 {
            return Err(too_long());
        }
        match timeout(self.options.body_timeout, whole(body, limit)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
            Ok(Err(_)) => Err(respond::text(StatusCode::BAD_REQUEST, "the body broke off")),
            Err(_) => Err(respond::text(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        }
    }

    async fn post(&self, scope: Scope, headers: &HeaderMap, body: Bytes) -> Answer {
        let message = match Message::parse(body, &self.limits) {
            Ok(message) => message,
            Err(error) => return respond::error(StatusCode::BAD_REQUEST, None, &error.into()),
        };
        let id = message.id().map(str::to_owned);
        let request = match Request::read(message) {
            Ok(request) => request,
            Err(error) => {
                let error = modern::unreadable_params(&error);
                return respond::error(StatusCode::BAD_REQUEST, id.as_deref(), &error);
            }
        };
        if self.stopping.refuses_calls() && request.message().kind() == Kind::Request {
            return stopping::refused(id.as_deref());
        }
        if request.method() == "initialize" && request.version().is_none() {
            return Box::pin(self.initialize(scope, request)).await;
        }
        if modern::claims(headers, &request) {
            return self.stateless(scope, headers, request).await;
        }
        self.in_session(headers, request).await
    }

    /// A request that stands for itself.
    async fn stateless(&self, scope: Scope, headers: &HeaderMap, request: Request) -> Answer {
        let id = request.message().id();
        let refused = |error| respond::error(StatusCode::BAD_REQUEST, id, &error);
        match request.message().kind() {
            Kind::Request => {}
            // Nothing in this era is said to a server outside of requests, except that one is
            // cancelled, and over HTTP that is said by closing its stream.
            Kind::Notification => return respond::empty(StatusCode::ACCEPTED),
            Kind::Result | Kind::Error => {
                let why = "a stateless server asks nothing, so there is nothing to answer";
                return refused(ErrorObject::new(code::INVALID_REQUEST, why));
            }
        }
        if let Err(error) = agreement::check(headers, &request) {
            return refused(error);
        }
        if request.method() == "tools/call"
            && let Some(params) = self.fleet.header_params(&scope, &request).await
            && let Err(error) = modern::check_params(headers, &request, &params)
        {
            return refused(error);
        }
        let id = id.unwrap_or("null").to_owned();
        let dispatched = self.fleet.dispatch(Call { request, client: None, scope }).await;
        match first(dispatched).await {
            First::Reply(reply) => respond::json(modern_status(&reply), reply.with_id(&id)),
            First::Late(message, exchange) => stream::of_exchange(message, *exchange, id),
            First::Cancelled => nothing(),
            First::Failed(failure) => {
                let error = Message::error(&id, &failure.to_error());
                respond::json(modern_status(&error), error.bytes().clone())
            }
        }
    }

    async fn initialize(&self, scope: Scope, request: Request) -> Answer {
        let id = request.message().id().unwrap_or("null").to_owned();
        if !self.sessions.has_room() {
            return full(&id);
        }
        let client = self.fleet.connect(scope);
        let opened = match self.fleet.initialize(&client, &request).await {
            Ok(exchange) => exchange.reply().await,
            Err(failure) => Err(failure),
        };
        let reply = match opened {
            Ok(reply) => reply,
            Err(failure) => return respond::error(StatusCode::OK, Some(&id), &failure.to_error()),
        };
        let version = agreed(&reply).unwrap_or_default();
        let Some(session) = self.sessions.insert(client, &version).await else { return full(&id) };
        let mut answer = respond::json(StatusCode::OK, reply.with_id(&id));
        if let Ok(value) = HeaderValue::from_str(&session) {
            answer.headers_mut().insert(headers::SESSION_ID, value);
        }
        answer
    }

    async fn in_session(&self, headers: &HeaderMap, request: Request) -> Answer {
        let id = request.message().id().map(str::to_owned);
        let session = match self.session(headers) {
            Ok(session) => session,
            Err((status, error)) => return respond::error(status, id.as_deref(), &error),
        };
        let client = Arc::clone(session.client());
        if request.message().kind() != Kind::Request {
            Box::pin(client.receive(request.message().clone())).await;
            return respond::empty(StatusCode::ACCEPTED);
        }
        let scope = client.scope().clone();
        let dispatched = self.fleet.dispatch(Call { request, client: Some(client), scope }).await;
        let id = id.unwrap_or_else(|| "null".to_owned());
        match first(dispatched).await {
            First::Reply(reply) => respond::json(StatusCode::OK, reply.with_id(&id)),
            First::Late(message, exchange) => {
                let grace = self.options.resume_timeout;
                stream::of_call(message, *exchange, &id, session, grace)
            }
            First::Cancelled => nothing(),
            First::Failed(failure) => {
                respond::error(StatusCode::OK, Some(&id), &failure.to_error())
            }
        }
    }

    fn get(&self, headers: &HeaderMap) -> Answer {
        let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
        let accepts = |accept: &str| accept.contains("text/event-stream") || accept.contains("*/*");
        if !accept.is_some_and(accepts) {
            return respond::text(
                StatusCode::NOT_ACCEPTABLE,
                "Accept must allow text/event-stream",
            );
        }
        let session = match self.session(headers) {
            Ok(session) => session,
            Err((status, error)) => return respond::error(status, None, &error),
        };
        let mut last = headers.get_all(headers::LAST_EVENT_ID).iter();
        let last = (last.next().map(HeaderValue::to_str), last.next());
        // The rest of a call can be had until the end; other streams would never end.
        if self.stopping.is_told() && !matches!(last, (Some(Ok(id)), None) if is_of_call(id)) {
            return stopping::refused(None);
        }
        match last {
            (None, _) => stream::of_session(session),
            (Some(Ok(last)), None) => stream::resumed(session, last),
            _ => stream::resumed(session, ""),
        }
    }

    async fn delete(&self, headers: &HeaderMap) -> Answer {
        let id = headers.get(headers::SESSION_ID).and_then(|value| value.to_str().ok());
        let Some(id) = id else {
            return respond::error(StatusCode::BAD_REQUEST, None, &no_session());
        };
        match self.sessions.remove(id).await {
            true => respond::empty(StatusCode::OK),
            false => respond::error(StatusCode::NOT_FOUND, None, &gone()),
        }
    }

    fn session(&self, headers: &HeaderMap) -> Result<InUse, (StatusCode, ErrorObject)> {
        let version = headers.get(headers::PROTOCOL_VERSION).map(HeaderValue::to_str);
        if version.is_some_and(|version| !version.is_ok_and(|v| LEGACY_VERSIONS.contains(&v))) {
            let why = "MCP-Protocol-Version is none that a session can have";
            return Err((StatusCode::BAD_REQUEST, ErrorObject::new(code::INVALID_REQUEST, why)));
        }
        let mut ids = headers.get_all(headers::SESSION_ID).iter();
        let (Some(id), None) = (ids.next(), ids.next()) else {
            return Err((StatusCode::BAD_REQUEST, no_session()));
        };
        let session = id.to_str().ok().and_then(|id| self.sessions.get(id));
        session.ok_or_else(|| (StatusCode::NOT_FOUND, gone()))
    }
}

/// A whole body. Nearly every one comes in one piece, which is taken as it is.
async fn whole(
    body: Incoming,
    limit: usize,
) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let mut body = Limited::new(body, limit);
    let Some(Ok(first)) = body.frame().await.transpose()?.map(http_body::Frame::into_data) else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all = BytesMut::from(&first[..]);
    while let Some(frame) = body.frame().await.transpose()? {
        if let Ok(data) = frame.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}

/// Whether a stream that is gone on with answers a call.
fn is_of_call(last: &str) -> bool {
    EventId::parse(last).is_some_and(|id| id.stream != STANDALONE)
}

fn is_modern(headers: &HeaderMap) -> bool {
    let version = headers.get(headers::PROTOCOL_VERSION).and_then(|value| value.to_str().ok());
    version.is_some_and(|version| version >= MODERN_VERSION)
}

/// What comes first of an answer decides its form: JSON for a reply, a stream for everything else.
enum First {
    Reply(Message),
    /// A message, or nothing for too long.
    Late(Option<Message>, Box<Exchange>),
    Cancelled,
    Failed(Failure),
}

async fn first(dispatched: Result<Exchange, Failure>) -> First {
    let mut exchange = match dispatched {
        Ok(exchange) => exchange,
        Err(failure) => return First::of(failure),
    };
    match exchange.next_within(PATIENCE).await {
        Some(Ok(Event::Reply(reply))) => First::Reply(reply),
        Some(Ok(Event::Message(message))) => First::Late(Some(message), Box::new(exchange)),
        Some(Err(failure)) => First::of(failure),
        None => First::Late(None, Box::new(exchange)),
    }
}

/// Nobody waits for the answer to a cancelled request: its stream ends without one.
fn nothing() -> Answer {
    respond::events(Body::whole(Bytes::new()))
}

/// The version that an answer to `initialize` names.
fn agreed(reply: &Message) -> Option<String> {
    let result = Members::of(reply.result_json()?).ok()?;
    Some(result.text("protocolVersion")?.into_owned())
}

/// The HTTP status that the stateless era wants for an answer.
fn modern_status(reply: &Message) -> StatusCode {
    let error = reply.error_json().and_then(|error| Members::of(error).ok());
    let code = error.as_ref().and_then(|error| error.get("code")?.parse::<i64>().ok());
    match code {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    }
}

impl First {
    fn of(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            failure => Self::Failed(failure),
        }
    }
}

fn full(id: &str) -> Answer {
    let error =
        ErrorObject::new(code::INTERNAL_ERROR, "too many sessions are open, try again later")
            .with_data(r#"{"code":"MAX_SESSIONS_REACHED"}"#);
    respond::error(StatusCode::SERVICE_UNAVAILABLE, Some(id), &error)
}

fn gone() -> ErrorObject {
    ErrorObject::new(-32001, "the session does not exist or has ended: initialize again")
}

fn no_session() -> ErrorObject {
    ErrorObject::new(code::INVALID_REQUEST, "exactly one Mcp-Session-Id header is needed")
}

/// The text of one path segment; `None` if it is not one, or is badly escaped.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    if segment.is_empty() || segment.contains('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
