//! One client: what it sends, what runs for it, what it is told.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::broadcast;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};

use super::changes::{self, Filter, News};
use super::level::{SessionLevel, Threshold};
use super::reply::reply;
use super::sink::Sink;
use super::{Call, Change, Description, Level, Service, stateless};
use crate::{
    Era, ErrorObject, Kind, LEGACY_VERSIONS, Limits, LineReader, Members, Message, Request, code,
    meta, quoted,
};

/// Calls that one client may have running, listeners included.
const CALLS_MAX: usize = 128;

/// The state of one client's connection.
///
/// Calls run in tasks of their own and hand their answers back here, so that what is answered and
/// what is cancelled is decided in one place: nothing that was cancelled is answered.
pub(super) struct Session<S> {
    service: Arc<S>,
    about: Arc<Description>,
    sink: Sink,
    answers: JoinSet<Bytes>,
    running: HashMap<task::Id, Running>,
    legacy: Legacy,
}

/// A call that has not been answered.
struct Running {
    /// The client's id for it, as JSON text.
    id: Box<str>,
    abort: AbortHandle,
}

/// What only a client of the session era has.
#[derive(Default)]
struct Legacy {
    open: bool,
    level: SessionLevel,
    /// Set once the client is ready to be told.
    changes: Option<broadcast::Receiver<Change>>,
    wanted: Filter,
}

/// What has become of a request: an answer at once (a result as JSON text), or later.
type Begun = Result<Option<String>, ErrorObject>;

impl<S: Service> Session<S> {
    pub(super) fn new(service: Arc<S>, sink: Sink) -> Self {
        let about = Arc::new(service.describe());
        let wanted = Filter::lists(&about.capabilities);
        let legacy = Legacy { wanted, ..Legacy::default() };
        let (answers, running) = (JoinSet::new(), HashMap::new());
        Self { service, about, sink, answers, running, legacy }
    }

    /// Until the client closes its side.
    pub(super) async fn run<R: AsyncRead + Unpin>(mut self, reader: R, limits: Limits) {
        let mut reader = LineReader::new(reader, limits.frame_bytes);
        loop {
            tokio::select! {
                news = changes::pushed(&mut self.legacy.changes) => self.push(news).await,
                Some(ended) = self.answers.join_next_with_id() => self.answer(ended).await,
                line = reader.next() => match line {
                    Ok(Some(line)) => self.receive(line, &limits).await,
                    Ok(None) => return,
                    Err(error) => return tracing::debug!(%error, "a client is given up"),
                },
            }
        }
    }

    async fn push(&self, news: News) {
        for frame in self.legacy.wanted.notifications(news, "") {
            self.sink.send(frame).await;
        }
    }

    async fn answer(&mut self, ended: Result<(task::Id, Bytes), JoinError>) {
        // What a call changed is told before the call is answered.
        for news in changes::waiting(&mut self.legacy.changes) {
            self.push(news).await;
        }
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(running) = self.running.remove(&task) else { return };
        let frame = ended.map(|(_, frame)| frame).unwrap_or_else(|_| {
            let error = ErrorObject::new(code::INTERNAL_ERROR, "the server failed at this call");
            Message::error(&running.id, &error).bytes().clone()
        });
        self.sink.send(frame).await;
    }

    async fn receive(&mut self, line: Bytes, limits: &Limits) {
        let message = match Message::parse(line, limits) {
            Ok(message) => message,
            Err(error) => {
                let frame = Message::error("null", &error.into()).bytes().clone();
                return self.sink.send(frame).await;
            }
        };
        match message.kind() {
            Kind::Request => self.request(message).await,
            Kind::Notification => self.notified(&message),
            // We ask nothing, so this answers nothing.
            Kind::Result | Kind::Error => {}
        }
    }

    fn notified(&mut self, message: &Message) {
        match message.method() {
            "notifications/initialized" if self.legacy.open && self.legacy.changes.is_none() => {
                self.legacy.changes = self.service.changes();
            }
            "notifications/cancelled" => {
                let params = message.params().and_then(|params| Members::of(params).ok());
                let id = params.as_ref().and_then(|params| params.get("requestId"));
                self.running.retain(|_, running| {
                    let cancelled = id == Some(&*running.id);
                    if cancelled {
                        running.abort.abort();
                    }
                    !cancelled
                });
            }
            _ => {}
        }
    }

    async fn request(&mut self, message: Message) {
        let id = message.id().unwrap_or("null").to_owned();
        let method = message.method().to_owned();
        let (era, begun) = match Request::read(message) {
            Err(error) => (Era::Legacy, Err(invalid(error.to_string()))),
            // Whatever it may carry, this one opens a session.
            Ok(request) if method == "initialize" => (Era::Legacy, self.legacy(&id, request)),
            Ok(request) => match stateless::era(&request) {
                Err(error) => (Era::Modern, Err(error)),
                Ok(Era::Legacy) => (Era::Legacy, self.legacy(&id, request)),
                Ok(Era::Modern) => (Era::Modern, self.modern(&id, request)),
            },
        };
        if let Some(outcome) = begun.transpose() {
            self.sink.send(reply(&id, &method, era, &self.about, outcome)).await;
        }
    }

    fn modern(&mut self, id: &str, request: Request) -> Begun {
        match request.method() {
            "server/discover" => Ok(Some(stateless::discovery(&self.about))),
            "subscriptions/listen" => {
                let changes = self.service.changes().ok_or_else(|| not_found(&request))?;
                let params = request.params();
                let filter = Filter::accepted(params.as_ref(), &self.about.capabilities)?;
                let (own, sink) = (id.to_owned(), self.sink.clone());
                let work = async move { Ok(changes::listen(&own, filter, changes, &sink).await) };
                self.spawn(id, &request, Era::Modern, work)
            }
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                Err(not_found(&request))
            }
            _ => {
                let level =
                    request.meta().and_then(|meta| Level::named(&meta.text(meta::LOG_LEVEL)?));
                self.call(id, request, Era::Modern, Threshold::Request(level))
            }
        }
    }

    fn legacy(&mut self, id: &str, request: Request) -> Begun {
        let empty = || Ok(Some("{}".to_owned()));
        match request.method() {
            "initialize" => self.initialize(&request).map(Some),
            "ping" => empty(),
            _ if !self.legacy.open => {
                let demand = "send `initialize` first, or a `_meta` with a protocol version";
                Err(invalid(demand))
            }
            "logging/setLevel" => {
                let level =
                    request.params().and_then(|params| Level::named(&params.text("level")?));
                self.legacy.level.set(level.ok_or_else(|| invalid("no such `level`"))?);
                empty()
            }
            "resources/subscribe" | "resources/unsubscribe"
                if changes::subscribable(&self.about.capabilities) =>
            {
                let uri = request.name().ok_or_else(|| invalid("`uri` must be a string"))?;
                if request.method() == "resources/subscribe" {
                    self.legacy.wanted.subscribe(uri)?;
                } else {
                    self.legacy.wanted.unsubscribe(uri);
                }
                empty()
            }
            "resources/subscribe"
            | "resources/unsubscribe"
            | "server/discover"
            | "subscriptions/listen" => Err(not_found(&request)),
            _ => {
                let threshold = Threshold::Session(self.legacy.level.clone());
                self.call(id, request, Era::Legacy, threshold)
            }
        }
    }

    fn initialize(&mut self, request: &Request) -> Result<String, ErrorObject> {
        let params = request.params();
        let asked = params.as_ref().and_then(|params| params.text("protocolVersion"));
        let asked = asked.ok_or_else(|| invalid("`protocolVersion` must be a string"))?;
        let ours = LEGACY_VERSIONS.iter().find(|version| **version == asked);
        // A client that speaks none of our versions is told the newest one, and decides.
        let version = quoted(ours.or(LEGACY_VERSIONS.last()).unwrap_or(&""));
        self.legacy.open = true;
        let Description { server_info, capabilities, instructions } = &*self.about;
        let instructions = instructions.as_ref();
        let instructions = instructions.map(|text| format!(r#","instructions":{}"#, quoted(text)));
        let instructions = instructions.unwrap_or_default();
        Ok(format!(
            r#"{{"protocolVersion":{version},"capabilities":{capabilities},"serverInfo":{server_info}{instructions}}}"#
        ))
    }

    fn call(&mut self, id: &str, request: Request, era: Era, threshold: Threshold) -> Begun {
        let service = Arc::clone(&self.service);
        let call = Call::new(request.clone(), era, self.sink.clone(), threshold);
        self.spawn(id, &request, era, async move { service.call(call).await })
    }

    fn spawn<F>(&mut self, id: &str, request: &Request, era: Era, work: F) -> Begun
    where
        F: Future<Output = Result<String, ErrorObject>> + Send + 'static,
    {
        if self.running.len() >= CALLS_MAX {
            let why = format!("{CALLS_MAX} requests are running already, try again later");
            return Err(ErrorObject::new(code::INTERNAL_ERROR, why));
        }
        if self.running.values().any(|running| &*running.id == id) {
            let why = "a request with this id is running already";
            return Err(ErrorObject::new(code::INVALID_REQUEST, why));
        }
        let (own, method) = (id.to_owned(), request.method().to_owned());
        let about = Arc::clone(&self.about);
        let abort =
            self.answers.spawn(async move { reply(&own, &method, era, &about, work.await) });
        self.running.insert(abort.id(), Running { id: id.into(), abort });
        Ok(None)
    }
}

fn invalid(why: impl Into<String>) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, why)
}

fn not_found(request: &Request) -> ErrorObject {
    let method = quoted(request.method());
    ErrorObject::new(code::METHOD_NOT_FOUND, format!("unknown method {method}"))
}
