//! Messages on their way into a byte stream: written at once where that is possible, and in
//! batches by a task where it is not.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that may wait, beside one message of any size. A peer that stops reading costs this much
/// memory and no more.
const WAITING_MAX: usize = 4 << 20;
/// How often a stream that takes nothing is looked at before it is given up: it may have done so for
/// a part more than it may.
const LOOKS: u32 = 5;
/// A buffer that grew beyond this is given back when it is empty.
const BUFFER_KEPT: usize = 64 << 10;

/// The sending side. Clones send into the same stream; when the last one is dropped, what waits is
/// written and the stream is closed.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
    _open: Arc<Open>,
}

/// What writes when the stream is not ready: run it in a task.
#[derive(Debug)]
pub struct OutboxWriter {
    shared: Arc<Shared>,
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too much is waiting already.
    #[error("too many messages are waiting to be sent")]
    Full,
    /// The stream has ended.
    #[error("the stream has ended")]
    Closed,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The writer has something to do.
    work: Notify,
    /// There is room again.
    room: Notify,
}

struct State {
    /// Gone once it has failed or been closed.
    stream: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    waiting: BytesMut,
    /// How many bytes the stream has taken so far.
    taken: u64,
    /// The last write was not finished: the writer task goes on with it.
    stuck: bool,
    /// No sender is left.
    closing: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("State");
        shown.field("waiting", &self.waiting.len()).field("stuck", &self.stuck).finish()
    }
}

impl Outbox {
    /// An outbox for `stream`, and what writes when the stream is not ready.
    pub fn new<W>(stream: W) -> (Self, OutboxWriter)
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let state = State {
            stream: Some(Box::new(stream)),
            waiting: BytesMut::new(),
            taken: 0,
            stuck: false,
            closing: false,
        };
        let (work, room) = (Notify::new(), Notify::new());
        let shared = Arc::new(Shared { state: Mutex::new(state), work, room });
        let open = Arc::new(Open { shared: Arc::clone(&shared) });
        (Self { shared: Arc::clone(&shared), _open: open }, OutboxWriter { shared })
    }

    /// Sends one message as a line; given without a line end.
    ///
    /// Never waits. Written from here if the stream takes it, which saves waking the task.
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        self.send_at(message).map(drop)
    }

    /// The same; where in the stream the message begins.
    pub(crate) fn send_at(&self, message: &[u8]) -> Result<u64, SendError> {
        let mut state = self.shared.lock();
        if state.stream.is_none() {
            return Err(SendError::Closed);
        }
        let waiting = state.waiting.len();
        if waiting > 0 && waiting + message.len() > WAITING_MAX {
            return Err(SendError::Full);
        }
        let at = state.taken + waiting as u64;
        state.waiting.reserve(message.len() + 1);
        state.waiting.extend_from_slice(message);
        state.waiting.extend_from_slice(b"\n");
        if state.stuck {
            return Ok(at);
        }
        // The task's waker is registered when the task takes over; nobody waits here.
        let mut nobody = Context::from_waker(Waker::noop());
        if !matches!(state.poll_write(&mut nobody), Poll::Ready(Ok(()))) {
            state.stuck = true;
            drop(state);
            self.shared.work.notify_one();
        }
        Ok(at)
    }

    /// Whether the stream has taken anything of the message that begins `at` this place.
    pub(crate) fn has_taken(&self, at: u64) -> bool {
        self.shared.lock().taken > at
    }

    /// Writes nothing more: what waits was not sent, and will not be.
    pub(crate) fn abandon(&self) {
        self.shared.abandon();
    }

    /// Sends one message, and waits while there is no room for it.
    pub async fn send_when_room(&self, message: Bytes) -> Result<(), SendError> {
        loop {
            let room = self.shared.room.notified();
            match self.send(&message) {
                Err(SendError::Full) => room.await,
                done => return done,
            }
        }
    }
}

impl OutboxWriter {
    /// Writes what the senders could not, until all of them are gone or the stream fails; then
    /// closes the stream.
    ///
    /// Dropping the future closes the stream at once.
    pub async fn run(self) -> std::io::Result<()> {
        self.run_while(Duration::MAX, || 0).await
    }

    /// The same; fails when the stream takes nothing for as long as `stall`, and `signs` of life,
    /// which are counted, do not change meanwhile either.
    pub(crate) async fn run_while(
        self,
        stall: Duration,
        signs: impl Fn() -> u64,
    ) -> std::io::Result<()> {
        loop {
            self.shared.work.notified().await;
            self.write_all(stall, &signs).await?;
            // Everybody who waits looks again; whoever finds no room waits for the next time.
            self.shared.room.notify_waiters();
            if self.shared.lock().closing {
                break;
            }
        }
        std::future::poll_fn(|context| self.shared.lock().poll_close(context)).await
    }

    async fn write_all(&self, stall: Duration, signs: impl Fn() -> u64) -> std::io::Result<()> {
        let mut written = std::pin::pin!(std::future::poll_fn(|context| {
            let mut state = self.shared.lock();
            let written = ready!(state.poll_write(context));
            state.stuck = false;
            Poll::Ready(written)
        }));
        let life = || (self.shared.lock().taken, signs());
        let (mut before, mut quiet) = (life(), 0);
        while quiet < LOOKS {
            if let Ok(written) = timeout(stall / LOOKS, &mut written).await {
                return written;
            }
            let now = life();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
        let why = format!("nothing of what was sent was read for {stall:?}");
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
    }
}

impl State {
    /// Writes all that waits.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let stream = self.stream.as_mut().ok_or_else(closed)?;
        while !self.waiting.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &self.waiting))? {
                0 => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                written => {
                    self.waiting.advance(written);
                    self.taken += written as u64;
                }
            }
        }
        if self.waiting.capacity() > BUFFER_KEPT {
            self.waiting = BytesMut::new();
        }
        Pin::new(stream).poll_flush(context)
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn abandon(&self) {
        let stream = self.lock().stream.take();
        self.room.notify_waiters();
        // Closing it may take a system call: not under the lock.
        drop(stream);
    }
}

impl Drop for OutboxWriter {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// What all senders share: gone with the last of them.
#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_waits_when_it_is_abandoned_was_not_sent_and_never_is() {
        let (near, mut far) = duplex(8);
        let (outbox, writer) = Outbox::new(near);
        let first = outbox.send_at(b"0123456789").expect("room");
        let second = outbox.send_at(b"behind").expect("room");
        assert_eq!((outbox.has_taken(first), outbox.has_taken(second)), (true, false));
        outbox.abandon();
        assert_eq!(outbox.send(b"later"), Err(SendError::Closed));
        let mut written = String::new();
        let (run, read) = tokio::join!(writer.run(), far.read_to_string(&mut written));
        assert!(run.is_err() && read.is_ok());
        assert_eq!((written.as_str(), outbox.has_taken(second)), ("01234567", false));
    }
}
