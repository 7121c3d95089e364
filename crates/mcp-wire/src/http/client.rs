//! One client of an HTTP endpoint: a session of the legacy era, or stateless requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::response::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::answer::Waiting;
use super::endpoint::{Endpoint, Target};
use super::listen::listen;
use super::response;
use crate::connection::refusal;
use crate::stats::{Counters, Stats};
use crate::{CallError, Exchange, Limits, Members, Message, Options, Request, Timing, headers};

/// A handle; the last one dropped ends the session at the server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) target: Arc<Target>,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) in_flight: AtomicU64,
    next_id: AtomicU64,
    inbox: mpsc::Sender<Message>,
    ended: watch::Sender<Option<CallError>>,
    /// What the server gave in answer to `initialize`.
    session: OnceLock<HeaderValue>,
    version: OnceLock<HeaderValue>,
}

/// Notifications and answers need no reply, only an acknowledgement.
pub(super) const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const MESSAGE_TYPES: HeaderValue =
    HeaderValue::from_static("application/json, text/event-stream");
pub(super) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

impl Client {
    pub(crate) fn new(endpoint: Endpoint, options: &Options, inbox: mpsc::Sender<Message>) -> Self {
        let shared = Shared {
            target: endpoint.target,
            limits: options.limits,
            counters: Counters::default(),
            in_flight: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            inbox,
            ended: watch::Sender::new(None),
            session: OnceLock::new(),
            version: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn call(&self, request: Request, timing: Timing) -> Exchange {
        if let Some(error) = self.shared.ended.borrow().clone() {
            return Exchange::ready(Err(error.before_sending()));
        }
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        Exchange::http(Waiting::new(Arc::clone(&self.shared), id, request), timing)
    }

    pub(crate) async fn send(&self, message: Bytes) -> Result<(), CallError> {
        let ended = self.shared.ended.borrow().clone();
        ended.map_or(Ok(()), |error| Err(error.before_sending()))?;
        self.shared.deliver(message).await
    }

    /// The version that the server chose; from now on every request of the session names it.
    pub(crate) fn set_version(&self, version: &str) {
        if let Ok(value) = HeaderValue::from_str(version) {
            let _ = self.shared.version.set(value);
        }
    }

    /// Opens the stream for what belongs to no call, if the server has one.
    pub(crate) fn listen(&self) {
        tokio::spawn(listen(Arc::downgrade(&self.shared), self.ended()));
    }

    /// A message that belongs to no call.
    pub(super) fn receive(self, message: Message) {
        Counters::add(&self.shared.counters.received);
        if let Err(error) = self.shared.inbox.try_send(message) {
            Counters::add(&self.shared.counters.dropped);
            if let Some(refusal) = refusal(&error.into_inner()) {
                tokio::spawn(async move { self.send(refusal.bytes().clone()).await });
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let in_flight = self.shared.in_flight.load(Ordering::Relaxed);
        self.shared.counters.snapshot(in_flight as usize)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.shared.ended.borrow().is_some()
    }

    pub(crate) fn ended(&self) -> watch::Receiver<Option<CallError>> {
        self.shared.ended.subscribe()
    }

    pub(crate) fn close(&self, why: &str) {
        self.shared.end(CallError::Closed { why: why.to_owned() });
    }
}

impl Shared {
    pub(super) fn end(&self, error: CallError) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(error);
            }
            first
        });
    }

    /// Resolves when the connection is closed; not when the session is lost, for each call in
    /// flight will hear that from the server, and is safe to repeat only then.
    pub(super) fn closed(&self) -> impl Future<Output = CallError> + Send + use<> {
        let mut ended = self.ended.subscribe();
        async move {
            let closed = |ended: &Option<CallError>| {
                ended.as_ref().is_some_and(|error| *error != CallError::SessionLost)
            };
            let error = ended.wait_for(closed).await.ok().and_then(|error| error.clone());
            match error {
                Some(error) => error,
                None => std::future::pending().await,
            }
        }
    }

    pub(super) fn set_session(&self, response: &Response<Incoming>) {
        if let Some(session) = response.headers().get(headers::SESSION_ID) {
            let _ = self.session.set(session.clone());
        }
    }

    pub(super) fn give_back(&self, connection: Connection) {
        self.target.pool.give_back(connection);
    }

    /// Posts a message, with what every request of this client carries.
    pub(super) async fn post(
        &self,
        body: Bytes,
        extra: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(Response<Incoming>, Connection), CallError> {
        let request = self.request(Method::POST, MESSAGE_TYPES, body, extra);
        self.target.pool.send(request).await
    }

    pub(super) fn request(
        &self,
        method: Method,
        accept: HeaderValue,
        body: Bytes,
        extra: Vec<(HeaderName, HeaderValue)>,
    ) -> http::Request<Full<Bytes>> {
        let mut request = self.target.request(method, accept, body);
        let headers = request.headers_mut();
        let stateless = extra.iter().any(|(name, _)| name == headers::PROTOCOL_VERSION);
        if !stateless {
            let session = HeaderName::from_static(headers::SESSION_ID);
            let version = HeaderName::from_static(headers::PROTOCOL_VERSION);
            for (name, value) in [(session, &self.session), (version, &self.version)] {
                if let Some(value) = value.get() {
                    headers.insert(name, value.clone());
                }
            }
        }
        headers.extend(extra);
        request
    }

    pub(super) async fn deliver(&self, message: Bytes) -> Result<(), CallError> {
        let posted = async {
            let (response, connection) = self.post(message, Vec::new()).await?;
            let (head, body) = response.into_parts();
            let body = response::read(body, &self.limits).await?;
            self.give_back(connection);
            if head.status.is_success() { Ok(()) } else { Err(self.refused(&head, &body)) }
        };
        let late = CallError::Timeout { after: ACKNOWLEDGE_TIMEOUT };
        timeout(ACKNOWLEDGE_TIMEOUT, posted).await.unwrap_or(Err(late))
    }

    /// Whether an answer says that the session is gone: by 404, or as the examples of the official
    /// TypeScript SDK do, from which many servers were made, by 400 and an error -32000 that speaks
    /// of the session.
    pub(super) fn forgets(&self, status: StatusCode, body: &[u8]) -> bool {
        let speaks_of_it = || {
            let error = Message::parse(body.to_vec(), &self.limits).ok();
            let error = error.as_ref().and_then(|message| Members::of(message.error_json()?).ok());
            error.is_some_and(|error| {
                let message = error.text("message").unwrap_or_default().to_lowercase();
                error.get("code") == Some("-32000") && message.contains("session")
            })
        };
        self.session.get().is_some()
            && (status == StatusCode::NOT_FOUND
                || (status == StatusCode::BAD_REQUEST && speaks_of_it()))
    }

    pub(super) fn refused(&self, head: &Parts, body: &[u8]) -> CallError {
        if self.forgets(head.status, body) {
            self.end(CallError::SessionLost);
            return CallError::SessionLost;
        }
        response::refusal(head, body)
    }
}

pub(super) type Connection = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

impl Drop for Shared {
    /// Tells the server that the session is over, without making anybody wait.
    fn drop(&mut self) {
        if self.session.get().is_some() && *self.ended.borrow() != Some(CallError::SessionLost) {
            let request = self.request(Method::DELETE, MESSAGE_TYPES, Bytes::new(), Vec::new());
            let target = Arc::clone(&self.target);
            self.target.farewells.say(async move {
                let _ = timeout(GOODBYE_TIMEOUT, target.pool.send(request)).await;
            });
        }
    }
}
