//! One connection to a server, whatever it runs over.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::duplex::Duplex;
use crate::{CallError, ErrorObject, Exchange, Kind, Limits, Message, Request, Stats, Timing};

/// Messages that may wait for the owner of a connection.
const INBOX_MESSAGES: usize = 1024;

/// How a connection behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What one message may be.
    pub limits: Limits,

    /// Whether one client alone uses the connection. Default: no.
    ///
    /// On such a connection a message that names no call (a log line, a sampling request) is part
    /// of the newest call in flight that calls a tool, gets a prompt or reads a resource, or else
    /// of the newest at all, so that it stays in order with that call's answer. On a shared one it
    /// goes to the [`Inbox`], because nobody can say whose it is.
    pub exclusive: bool,

    /// How long a peer on a byte stream may read nothing of what waits for it, and say nothing
    /// either, before the connection is given up. Default: 30 s.
    ///
    /// Until then up to 4 MiB wait, and calls beyond that are refused. A peer that works for long
    /// and reads nothing meanwhile needs more; too much keeps calls waiting for one that is lost.
    pub stall_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let (limits, stall_timeout) = (Limits::default(), Duration::from_secs(30));
        Self { limits, exclusive: false, stall_timeout }
    }
}

/// A connection to one server: many calls at a time, each with messages of its own.
///
/// Cheap to clone. The connection closes when the last clone and the last [`Exchange`] are gone.
#[derive(Clone, Debug)]
pub struct Connection {
    kind: Transport,
}

#[derive(Clone, Debug)]
enum Transport {
    Duplex(Duplex),
    #[cfg(feature = "http")]
    Http(crate::http::Client),
}

/// What a server sends that belongs to no call. Bounded: what does not fit is counted and dropped.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<Message>,
}

impl Inbox {
    /// The next message; `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

/// What a request is told that nobody will answer: the peer may be waiting for it.
pub(crate) fn refusal(message: &Message) -> Option<Message> {
    let error = ErrorObject::new(crate::code::INTERNAL_ERROR, "nobody can answer this");
    let id = message.id().filter(|_| message.kind() == Kind::Request);
    id.map(|id| Message::error(id, &error))
}

impl Connection {
    /// A connection over two byte streams that carry a message per line: a child's stdin and
    /// stdout, the halves of a TCP stream, or an in-process pipe.
    ///
    /// Starts its tasks on the current tokio runtime.
    pub fn over_streams<R, W>(reader: R, writer: W, options: &Options) -> (Self, Inbox)
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, messages) = mpsc::channel(INBOX_MESSAGES);
        let duplex = Duplex::open(reader, writer, options, sender);
        (Self { kind: Transport::Duplex(duplex) }, Inbox { messages })
    }

    /// A connection to a streamable HTTP endpoint. Nothing is sent before the first call.
    #[cfg(feature = "http")]
    pub fn over_http(endpoint: crate::http::Endpoint, options: &Options) -> (Self, Inbox) {
        let (sender, messages) = mpsc::channel(INBOX_MESSAGES);
        let client = crate::http::Client::new(endpoint, options, sender);
        (Self { kind: Transport::Http(client) }, Inbox { messages })
    }

    /// Sends a request. Its id, progress token and subscription are mapped to ones of ours, and
    /// back in everything that comes for it.
    pub fn call(&self, request: Request, timing: Timing) -> Exchange {
        match &self.kind {
            Transport::Duplex(duplex) => duplex.call(request, timing),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.call(request, timing),
        }
    }

    /// Sends a notification, or the answer to a request of the server, as it is.
    pub async fn send(&self, message: Bytes) -> Result<(), CallError> {
        match &self.kind {
            Transport::Duplex(duplex) => duplex.send(&message),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.send(message).await,
        }
    }

    /// The server has opened a session of this version: what follows belongs to it.
    pub(crate) fn begin_session(&self, version: &str) {
        match &self.kind {
            Transport::Duplex(_) => _ = version,
            #[cfg(feature = "http")]
            Transport::Http(client) => client.set_version(version),
        }
    }

    /// Opens the channel for what belongs to no call, on transports that do not have it anyway.
    pub(crate) fn listen(&self) {
        match &self.kind {
            Transport::Duplex(_) => {}
            #[cfg(feature = "http")]
            Transport::Http(client) => client.listen(),
        }
    }

    /// Whether it runs over HTTP: requests carry headers, and what the server says comes over many
    /// streams, in no order among them.
    pub fn is_http(&self) -> bool {
        match &self.kind {
            Transport::Duplex(_) => false,
            #[cfg(feature = "http")]
            Transport::Http(_) => true,
        }
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        match &self.kind {
            Transport::Duplex(duplex) => duplex.stats(),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.stats(),
        }
    }

    /// Resolves when the connection has ended, and says why.
    ///
    /// Holds no handle: waiting for the end does not put it off.
    pub fn ended(&self) -> impl Future<Output = CallError> + Send + use<> {
        let mut ended: watch::Receiver<Option<CallError>> = match &self.kind {
            Transport::Duplex(duplex) => duplex.ended(),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.ended(),
        };
        async move {
            let gone = CallError::Closed { why: "the connection was dropped".to_owned() };
            match ended.wait_for(Option::is_some).await {
                Ok(error) => error.clone().unwrap_or(gone),
                Err(_) => gone,
            }
        }
    }

    /// Whether the connection has ended.
    pub fn is_ended(&self) -> bool {
        match &self.kind {
            Transport::Duplex(duplex) => duplex.is_ended(),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.is_ended(),
        }
    }

    /// Ends the connection now: every call in flight fails with [`CallError::Closed`].
    pub fn close(&self, why: &str) {
        match &self.kind {
            Transport::Duplex(duplex) => duplex.close(why),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.close(why),
        }
    }
}
