//! One client on a pair of streams, one message per line: what stdio and WebSocket have in common.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp_manager::{Call, Client, Failure, Fleet, Scope};
use mcp_wire::{
    ErrorObject, Event, Kind, Limits, LineError, LineReader, Message, Outbox, Request, SendError,
    code, stateless,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Requests of the client that may be in flight at a time.
const IN_FLIGHT_MAX: usize = 256;
/// How long what is in flight may take when the client has closed its side, and then what is to be
/// written.
const FAREWELL: Duration = Duration::from_secs(5);
/// A conversation that we end is over a little before the listener cuts it off in the middle of a
/// word.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// When a conversation is to end for our sake.
pub(crate) struct Stop<S> {
    pub(crate) told: S,
    /// How long what is in flight may take then.
    pub(crate) wind_up: Duration,
}

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has closed its side, in the way of its transport.
    Said,
    /// The client has gone.
    Gone,
    /// The client does not read what it is sent, and too much is waiting for it.
    Slow,
    /// We were asked to stop.
    Stopped,
}

/// Serves one client that sees `scope`, until it closes its side or has gone, or `stop` resolves.
///
/// When it has gone or does not read, its calls are cancelled at once.
pub(crate) async fn converse<R, W>(
    fleet: Arc<Fleet>,
    scope: Scope,
    limits: Limits,
    streams: (R, W),
    stop: Stop<impl Future<Output = ()>>,
) -> End
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (reader, writer) = streams;
    let (outbox, queue) = Outbox::new(writer);
    let cut = Arc::new(watch::Sender::new(None));
    // Dropped with this future, so that a stop leaves nothing behind that holds the client.
    let mut background = JoinSet::new();
    let cutting = Arc::clone(&cut);
    background.spawn(async move {
        if let Err(error) = queue.run().await {
            tracing::debug!(%error, "the client stopped reading");
            cutting.send_replace(Some(End::Gone));
        }
    });
    let client = fleet.connect(scope);
    let lost = cut.subscribe();
    let face = Arc::new(Face { fleet, client, outbox, cut, limits });
    let telling = background.spawn(tell(Arc::clone(&face)));
    let mut calls = JoinSet::new();
    let mut reader = LineReader::new(reader, limits.frame_bytes);
    let mut lost = pin!(loss(lost));
    let mut told = pin!(stop.told);
    let mut end = tokio::select! {
        biased;
        end = &mut lost => end,
        end = listen(&face, &mut reader, &mut calls) => end,
        () = &mut told => End::Stopped,
    };
    // A script that has said all it wanted still waits for the answers; a client that has gone does
    // not, nor does one that closes its side and then has us told to stop, as clients end a server.
    if matches!(end, End::Said | End::Stopped) {
        let (limit, heard) = match end {
            End::Stopped => (stop.wind_up.saturating_sub(LAST_WORDS), Some(&mut reader)),
            _ => (FAREWELL, None),
        };
        tokio::select! {
            biased;
            lost = &mut lost => end = lost,
            () = &mut told, if end == End::Said => {}
            _ = timeout(limit, finish(&face, heard, &mut calls)) => {}
        }
    }
    calls.shutdown().await;
    telling.abort();
    drop(face);
    if matches!(end, End::Said | End::Stopped) {
        let written = async { while background.join_next().await.is_some() {} };
        let _ = timeout(FAREWELL, written).await;
    }
    background.shutdown().await;
    end
}

struct Face {
    fleet: Arc<Fleet>,
    client: Arc<Client>,
    outbox: Outbox,
    /// Set when the client cannot be served any more.
    cut: Arc<watch::Sender<Option<End>>>,
    limits: Limits,
}

/// Resolves when the client cannot be served any more.
async fn loss(mut cut: watch::Receiver<Option<End>>) -> End {
    let lost = cut.wait_for(Option::is_some).await;
    // An error would mean that nobody serves the client any more.
    lost.map_or(End::Gone, |lost| lost.unwrap_or(End::Gone))
}

/// Takes what the client says, until it has said all.
async fn listen<R: AsyncRead + Unpin>(
    face: &Arc<Face>,
    reader: &mut LineReader<R>,
    calls: &mut JoinSet<()>,
) -> End {
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut ahead = None;
    loop {
        let line = match ahead.take() {
            Some(line) => line,
            None => reader.next().await,
        };
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => return End::Said,
            Err(LineError::Io(error)) => return gone(&error),
            Err(error) => {
                face.refuse(None, &ErrorObject::new(code::INVALID_REQUEST, error.to_string()));
                return End::Said;
            }
        };
        while calls.try_join_next().is_some() {}
        let Some(message) = face.parse(line) else { continue };
        if message.kind() != Kind::Request {
            face.client.receive(message).await;
            continue;
        }
        if message.method() == "initialize" {
            // What follows belongs to the session that this begins. Reading one line ahead finds
            // out whether the client is still there.
            let mut opening = pin!(face.call(message));
            loop {
                tokio::select! {
                    biased;
                    () = &mut opening => break,
                    line = reader.next(), if ahead.is_none() => match line {
                        Err(LineError::Io(error)) => return gone(&error),
                        line => ahead = Some(line),
                    }
                }
            }
            continue;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return End::Gone };
        let face = Arc::clone(face);
        calls.spawn(async move {
            face.call(message).await;
            drop(place);
        });
    }
}

/// Waits for the calls in flight. With `reader`, what the client says meanwhile is taken, as a
/// server may wait for its answer; but no new request.
async fn finish<R: AsyncRead + Unpin>(
    face: &Face,
    mut reader: Option<&mut LineReader<R>>,
    calls: &mut JoinSet<()>,
) {
    loop {
        let heard = async {
            match &mut reader {
                Some(reader) => reader.next().await,
                None => std::future::pending().await,
            }
        };
        let line = tokio::select! {
            biased;
            ended = calls.join_next() => match ended {
                Some(_) => continue,
                None => return,
            },
            line = heard => line,
        };
        let Ok(Some(line)) = line else { return };
        match face.parse(line) {
            Some(request) if request.kind() == Kind::Request => {
                face.refuse(request.id(), &Failure::Stopping.to_error());
            }
            Some(message) => face.client.receive(message).await,
            None => {}
        }
    }
}

fn gone(error: &std::io::Error) -> End {
    tracing::debug!(%error, "the client has gone");
    End::Gone
}

impl Face {
    /// The message on a line, unless it is none: then the client is told.
    fn parse(&self, line: Bytes) -> Option<Message> {
        let parsed = Message::parse(line, &self.limits);
        parsed.map_err(|error| self.refuse(None, &error.into())).ok()
    }

    async fn call(&self, message: Message) {
        let id = message.id().unwrap_or("null").to_owned();
        let request = match Request::read(message) {
            Ok(request) => request,
            Err(error) => {
                let error = ErrorObject::new(code::INVALID_PARAMS, format!("params: {error}"));
                return self.refuse(Some(&id), &error);
            }
        };
        if request.version().is_some()
            && let Err(error) = stateless::check(&request)
        {
            return self.refuse(Some(&id), &error);
        }
        let dispatched = if request.method() == "initialize" && request.version().is_none() {
            self.fleet.initialize(&self.client, &request).await
        } else {
            let (client, scope) = (Some(Arc::clone(&self.client)), self.client.scope().clone());
            self.fleet.dispatch(Call { request, client, scope }).await
        };
        let mut exchange = match dispatched {
            Ok(exchange) => exchange,
            Err(failure) => return self.refuse(Some(&id), &failure.to_error()),
        };
        loop {
            match exchange.next().await {
                Ok(Event::Message(message)) => self.send(message.bytes()),
                Ok(Event::Reply(reply)) => return self.send(&reply.with_id(&id)),
                // The client said that it does not want an answer any more.
                Err(Failure::Cancelled) => return,
                Err(failure) => return self.refuse(Some(&id), &failure.to_error()),
            }
        }
    }

    fn refuse(&self, id: Option<&str>, error: &ErrorObject) {
        self.send(Message::error(id.unwrap_or("null"), error).bytes());
    }

    /// A client that a message cannot be sent to must not go on as if it had been.
    fn send(&self, message: &[u8]) {
        if let Err(error) = self.outbox.send(message) {
            let end = if error == SendError::Full { End::Slow } else { End::Gone };
            let first = self.cut.send_if_modified(|cut| {
                let first = cut.is_none();
                cut.get_or_insert(end);
                first
            });
            if first && end == End::Slow {
                tracing::warn!("a client does not read what it is sent, and is let go of");
            }
        }
    }
}

/// Passes on what belongs to none of the client's calls.
async fn tell(face: Arc<Face>) {
    loop {
        let message = face.client.next_message().await;
        face.send(message.bytes());
    }
}
