//! The connection over a byte stream (stdio, TCP, in process): one reader, one batching writer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::claim::salvaged_id;
use crate::connection::refusal;
use crate::lines::{LineError, LineReader};
use crate::mailbox::Mailbox;
use crate::outbox::{Outbox, OutboxWriter, SendError};
use crate::pending::{Incoming, Pending};
use crate::stats::{Counters, Stats};
use crate::{CallError, Event, Exchange, Limits, Message, Options, Request, Timing};

/// So many things in a row that are no message, and the stream is given up.
const MALFORMED_IN_A_ROW: u32 = 1000;

/// How long, once the last handle is gone, the peer may take to read what was sent before, and to
/// say its last words.
const LINGER: Duration = Duration::from_secs(10);

/// A handle on the connection; the last one dropped closes the writing side.
#[derive(Clone, Debug)]
pub(crate) struct Duplex {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    outbox: Outbox,
    counters: Counters,
    inbox: mpsc::Sender<Message>,
    /// Why the connection has ended, once it has.
    ended: watch::Sender<Option<CallError>>,
}

impl Duplex {
    pub(crate) fn open<R, W>(
        reader: R,
        writer: W,
        options: &Options,
        inbox: mpsc::Sender<Message>,
    ) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (outbox, queue) = Outbox::new(writer);
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending::new(options.exclusive)),
            outbox,
            counters: Counters::default(),
            inbox,
            ended: watch::Sender::new(None),
        });
        // The tasks hold no handle, so that the connection ends when its owners let go of it.
        let ended = shared.ended.subscribe();
        tokio::spawn(write(Arc::downgrade(&shared), queue, options.stall_timeout, ended));
        let ended = shared.ended.subscribe();
        tokio::spawn(read(Arc::downgrade(&shared), reader, options.limits, ended));
        Self { shared }
    }

    pub(crate) fn call(&self, mut request: Request, timing: Timing) -> Exchange {
        let mailbox = Arc::new(Mailbox::default());
        let token = request.token();
        let logs = request.logs();
        let begun = self.shared.pending().begin(request.draft_mut(), token, logs, &mailbox);
        let id = match begun {
            Ok(id) => id,
            Err(error) => return Exchange::ready(Err(error.before_sending())),
        };
        // The one request that the protocol forbids to cancel.
        let cancellable = request.method() != "initialize";
        let frame = request.into_draft().finish();
        let at = match self.shared.outbox.send_at(&frame) {
            Ok(at) => at,
            Err(error) => {
                self.shared.pending().end(id);
                return Exchange::ready(Err(self.shared.why_unsent(error)));
            }
        };
        let shared = Arc::clone(&self.shared);
        Exchange::duplex(Waiting { shared, mailbox, id, at, cancellable, over: false }, timing)
    }

    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), CallError> {
        self.shared.outbox.send(frame).map_err(|error| self.shared.why_unsent(error))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.shared.counters.snapshot(self.shared.pending().len())
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
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // No foreign code runs under the lock, so a poisoned table is still a consistent one.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why_unsent(&self, error: SendError) -> CallError {
        let gone = || CallError::Unsent { why: "the stream has ended".to_owned() };
        match error {
            SendError::Full => CallError::Overloaded,
            SendError::Closed => {
                self.ended.borrow().clone().map_or_else(gone, CallError::before_sending)
            }
        }
    }

    /// The first reason stays; every call that waits is told.
    fn end(&self, error: CallError) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(error.clone());
            }
            first
        });
        // First: who is told that nothing of a request was sent may send it elsewhere.
        self.outbox.abandon();
        self.pending().close(&error);
    }

    fn receive(&self, message: Message) {
        Counters::add(&self.counters.received);
        let incoming = self.pending().receive(message);
        match incoming {
            Incoming::Delivered => {}
            Incoming::Stray => Counters::add(&self.counters.stray),
            Incoming::Overflow(id) => {
                Counters::add(&self.counters.slow_callers);
                let _ = self.outbox.send(&cancellation(id, "the caller does not read"));
            }
            Incoming::Unsolicited(message) => {
                if let Err(error) = self.inbox.try_send(message) {
                    Counters::add(&self.counters.dropped);
                    if let Some(refusal) = refusal(&error.into_inner()) {
                        let _ = self.outbox.send(refusal.bytes());
                    }
                }
            }
        }
    }

    /// Something that is no message. If it was the answer to a call, its caller must not wait.
    fn malformed(&self, line: &[u8], error: crate::ParseError) {
        Counters::add(&self.counters.malformed);
        if let Some(id) = salvaged_id(line) {
            self.pending().fail(id, CallError::Unreadable(error));
        }
    }
}

/// Resolves when the connection has no more use for its stream.
///
/// Closed, it has none at once. When nobody holds it any more, the peer gets a moment.
async fn over(mut ended: watch::Receiver<Option<CallError>>) {
    if ended.wait_for(Option::is_some).await.is_err() {
        tokio::time::sleep(LINGER).await;
    }
}

async fn read<R: AsyncRead + Unpin>(
    shared: Weak<Shared>,
    reader: R,
    limits: Limits,
    ended: watch::Receiver<Option<CallError>>,
) {
    tokio::select! {
        biased;
        () = receive(shared, reader, limits) => {}
        () = over(ended) => {}
    }
}

async fn receive<R: AsyncRead + Unpin>(shared: Weak<Shared>, reader: R, limits: Limits) {
    let mut reader = LineReader::new(reader, limits.frame_bytes);
    let mut malformed = 0;
    let end = loop {
        let line = match reader.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break CallError::Closed { why: "the server closed its output".to_owned() },
            Err(LineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                break CallError::Protocol { why: error.to_string() };
            }
            Err(LineError::Io(error)) => break CallError::Closed { why: error.to_string() },
            Err(error) => break CallError::Protocol { why: error.to_string() },
        };
        let Some(shared) = shared.upgrade() else { return };
        match Message::parse(line.clone(), &limits) {
            Ok(message) => {
                malformed = 0;
                shared.receive(message);
            }
            Err(error) => {
                malformed += 1;
                if malformed == 1 {
                    let start = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
                    tracing::warn!(%error, %start, "the server wrote what is no message");
                }
                shared.malformed(&line, error);
            }
        }
        if malformed == MALFORMED_IN_A_ROW {
            let why = format!("{malformed} lines in a row were no message");
            break CallError::Protocol { why };
        }
    };
    if let Some(shared) = shared.upgrade() {
        shared.end(end);
    }
}

async fn write(
    shared: Weak<Shared>,
    queue: OutboxWriter,
    stall: Duration,
    ended: watch::Receiver<Option<CallError>>,
) {
    // One that answers is busy, not stuck.
    let heard = || {
        let received = |shared: Arc<Shared>| shared.counters.received.load(Ordering::Relaxed);
        shared.upgrade().map_or(0, received)
    };
    let result = tokio::select! {
        result = queue.run_while(stall, heard) => result,
        () = over(ended) => Ok(()),
    };
    if let (Some(shared), Err(error)) = (shared.upgrade(), result) {
        shared.end(CallError::Closed { why: error.to_string() });
    }
}

fn cancellation(id: u64, reason: &str) -> Bytes {
    let reason = crate::quoted(reason);
    let params = format!(r#"{{"requestId":{id},"reason":{reason}}}"#);
    Message::notification("notifications/cancelled", &params).bytes().clone()
}

/// A call that waits. Dropped before its answer, it tells the peer to stop.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    id: u64,
    /// Where in the stream the request begins.
    at: u64,
    cancellable: bool,
    over: bool,
}

impl Waiting {
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Event, CallError>> {
        let polled = self.mailbox.poll_next(context);
        self.over = matches!(polled, Poll::Ready(Ok(Event::Reply(_)) | Err(_)));
        match polled {
            Poll::Ready(Err(error @ CallError::Closed { .. }))
                if !self.shared.outbox.has_taken(self.at) =>
            {
                Poll::Ready(Err(error.before_sending()))
            }
            polled => polled,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over && self.shared.pending().end(self.id) && self.cancellable {
            let _ = self.shared.outbox.send(&cancellation(self.id, "the caller has gone"));
        }
    }
}
