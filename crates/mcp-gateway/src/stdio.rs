//! The face for desktop clients: one client, on our own stdin and stdout.

use std::sync::Arc;
use std::time::Duration;

use mcp_manager::{Call, Client, Failure, Fleet};
use mcp_wire::{
    ErrorObject, Event, Kind, Limits, LineError, LineReader, Message, Outbox, Request, code,
    stateless,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Requests of the client that may be in flight at a time.
const IN_FLIGHT_MAX: usize = 256;
/// How long what is in flight may take when the client has closed its side, and then what is to be
/// written.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one client over a pair of streams, one message per line, until it closes its side.
pub async fn serve_stdio<R, W>(fleet: Arc<Fleet>, reader: R, writer: W)
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let mut limits = Limits::default();
    limits.frame_bytes = fleet.settings().frame_bytes_max;
    let (outbox, queue) = Outbox::new(writer);
    // Dropped with this future, so that a stop leaves nothing behind that holds the client.
    let mut background = JoinSet::new();
    background.spawn(async move {
        if let Err(error) = queue.run().await {
            tracing::debug!(%error, "the client stopped reading");
        }
    });
    let client = fleet.connect(fleet.everything());
    let face = Arc::new(Face { fleet, client, outbox });
    let telling = background.spawn(tell(Arc::clone(&face)));
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut calls = JoinSet::new();
    let mut reader = LineReader::new(reader, limits.frame_bytes);
    loop {
        let line = match reader.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(LineError::Io(error)) => {
                tracing::debug!(%error, "the client's side failed");
                break;
            }
            Err(error) => {
                face.refuse(None, &ErrorObject::new(code::INVALID_REQUEST, error.to_string()));
                break;
            }
        };
        while calls.try_join_next().is_some() {}
        let message = match Message::parse(line, &limits) {
            Ok(message) => message,
            Err(error) => {
                face.refuse(None, &error.into());
                continue;
            }
        };
        if message.kind() != Kind::Request {
            face.client.receive(message).await;
            continue;
        }
        if message.method() == "initialize" {
            // What follows belongs to the session that this begins.
            face.call(message).await;
            continue;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let face = Arc::clone(&face);
        calls.spawn(async move {
            face.call(message).await;
            drop(place);
        });
    }
    // A script that has said all it wanted still waits for the answers; a client that has gone does
    // not, and is not waited for long.
    let rest = async { while calls.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, rest).await;
    calls.shutdown().await;
    telling.abort();
    drop(face);
    let written = async { while background.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, written).await;
}

struct Face {
    fleet: Arc<Fleet>,
    client: Arc<Client>,
    outbox: Outbox,
}

impl Face {
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

    fn send(&self, message: &[u8]) {
        if let Err(error) = self.outbox.send(message) {
            tracing::warn!(%error, "a message to the client was dropped");
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
