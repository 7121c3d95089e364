//! The two halves of a WebSocket, as streams of lines.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::closed::Closed;
use super::socket::Socket;
use super::wakers::{Half, Wakers};
use crate::Limits;

/// After so long without a byte the peer is pinged.
const SILENCE: Duration = Duration::from_secs(15);
/// Pings that may stay without an answer; then the peer is given up.
const PINGS_MAX: u32 = 2;
/// How long a peer may say nothing at all.
pub(super) const SILENCE_MAX: Duration = SILENCE.saturating_mul(PINGS_MAX + 1);
/// How long a peer may take to agree that the connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Which side of the connection this is: clients mask what they send, servers must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 has two")]
pub enum Role {
    /// The side that connected.
    Client,
    /// The side that accepted.
    Server,
}

/// The messages that come, a line each. Line breaks inside of one become carriage returns, which are
/// white space to JSON where it allows any, and as illegal where it does not.
///
/// It answers pings and watches over the peer, both as long as somebody reads from it. Its errors
/// hold a [`Closed`].
pub struct Reader<S: Stream> {
    shared: Arc<Shared<S>>,
    /// What has not been read yet of the message at hand, and whether its line end is due.
    rest: Bytes,
    in_line: bool,
    heard_at: Instant,
    silence: Pin<Box<Sleep>>,
    unanswered: u32,
}

/// Takes lines, and sends each as one text message. What is written must be UTF-8.
///
/// A line that is written in pieces is sent in fragments.
pub struct Writer<S: Stream> {
    shared: Arc<Shared<S>>,
}

/// Closes the connection for a reason of one's own.
pub struct Closer<S: Stream> {
    shared: Arc<Shared<S>>,
}

/// What a WebSocket runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

struct Shared<S: Stream> {
    /// Gone once it has been closed.
    socket: Mutex<Option<Socket<S>>>,
    wakers: Arc<Wakers>,
    /// Wakes both halves: see [`Wakers`].
    waker: Waker,
}

/// The lines of a WebSocket over `io`, whose handshake is done.
///
/// Must be called on a tokio runtime.
pub fn lines<S: Stream>(io: S, role: Role, limits: &Limits) -> (Reader<S>, Writer<S>, Closer<S>) {
    let wakers = Wakers::new();
    let waker = Waker::from(Arc::clone(&wakers));
    let socket = Mutex::new(Some(Socket::new(io, role, limits)));
    let shared = Arc::new(Shared { socket, wakers, waker });
    let reader = Reader {
        shared: Arc::clone(&shared),
        rest: Bytes::new(),
        in_line: false,
        heard_at: Instant::now(),
        silence: Box::pin(sleep(SILENCE)),
        unanswered: 0,
    };
    (reader, Writer { shared: Arc::clone(&shared) }, Closer { shared })
}

impl<S: Stream> Shared<S> {
    /// Does something with the socket on behalf of the task of `context`, which is woken when it is
    /// worth trying again.
    fn with<T>(
        &self,
        half: Half,
        context: &Context<'_>,
        act: impl FnOnce(&mut Socket<S>, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let mut socket = self.lock();
        self.wakers.wait(half, context);
        let mut both = Context::from_waker(&self.waker);
        socket.as_mut().map(|socket| act(socket, &mut both))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Socket<S>>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Stream> Reader<S> {
    /// The next message, unless there is none yet; then the peer is looked after.
    fn poll_text(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let read = self.shared.with(Half::Reader, context, |socket, both| {
                (socket.poll_text(both), socket.take_heard())
            });
            let (text, heard) = read.unwrap_or((Poll::Ready(Err(Closed::ByUs.into())), false));
            if heard {
                self.heard_at = Instant::now();
                self.unanswered = 0;
            }
            if text.is_ready() {
                return text;
            }
            ready!(self.silence.as_mut().poll(context));
            let now = Instant::now();
            let due = self.heard_at + SILENCE;
            if due > now {
                self.silence.as_mut().reset(due);
                continue;
            }
            if self.unanswered == PINGS_MAX {
                let gone = self
                    .shared
                    .with(Half::Reader, context, |socket, _| socket.give_up(Closed::Silent));
                return Poll::Ready(Err(gone.unwrap_or_else(|| Closed::ByUs.into())));
            }
            self.unanswered += 1;
            self.silence.as_mut().reset(now + SILENCE);
            self.shared.with(Half::Reader, context, |socket, both| socket.ping(both));
        }
    }
}

impl<S: Stream> AsyncRead for Reader<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.in_line {
            self.rest = ready!(self.poll_text(context))?;
            self.in_line = true;
        }
        let start = buffer.filled().len();
        let taken = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        let text = &mut buffer.filled_mut()[start..];
        let mut breaks = 0;
        while let Some(at) = memchr::memchr(b'\n', &text[breaks..]) {
            breaks += at;
            text[breaks] = b'\r';
        }
        if self.rest.is_empty() && buffer.remaining() > 0 {
            buffer.put_slice(b"\n");
            self.in_line = false;
            self.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Writer<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        lines: &[u8],
    ) -> Poll<io::Result<usize>> {
        let shared = &self.shared;
        let written =
            shared.with(Half::Writer, context, |socket, both| socket.poll_write(both, lines));
        written.unwrap_or_else(|| Poll::Ready(Err(Closed::ByUs.into())))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &self.shared;
        let written = shared.with(Half::Writer, context, |socket, both| socket.poll_flush(both));
        written.unwrap_or_else(|| Poll::Ready(Err(Closed::ByUs.into())))
    }

    /// Closes the connection. What the peer still says can be read.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.shared.with(Half::Writer, context, |socket, both| {
            ready!(socket.poll_flush(both))?;
            socket.close(both);
            socket.poll_flush(both)
        });
        written.unwrap_or(Poll::Ready(Ok(())))
    }
}

impl<S: Stream> Closer<S> {
    /// Sets what the close will say, whoever closes: 1000 and nothing, unless this was called.
    ///
    /// The reason is cut after 123 bytes.
    pub fn set(&self, code: u16, reason: &str) {
        if let Some(socket) = self.shared.lock().as_mut() {
            socket.say_goodbye(code, reason);
        }
    }

    /// Closes the connection, and waits until the peer has agreed, or 2 s.
    ///
    /// What was written before is sent before.
    pub async fn close(self) {
        let socket = self.shared.lock().take();
        // Whoever still waits for one of the halves learns that it is over.
        self.shared.waker.wake_by_ref();
        if let Some(mut socket) = socket {
            socket.try_close();
            farewell(socket).await;
        }
    }
}

impl<S: Stream> Drop for Shared<S> {
    fn drop(&mut self) {
        let socket = self.socket.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut socket) = socket.filter(|socket| !socket.is_gone()) else { return };
        // At once, as far as that is possible: the runtime may be about to end.
        socket.try_close();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(farewell(socket));
        }
    }
}

async fn farewell<S: Stream>(mut socket: Socket<S>) {
    if !socket.is_gone() {
        let agreed = poll_fn(|context| socket.poll_farewell(context));
        // How it ends is nobody's business any more.
        let _ = timeout(CLOSE_TIMEOUT, agreed).await;
    }
}

impl<S: Stream> fmt::Debug for Reader<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for Writer<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for Closer<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Closer").finish_non_exhaustive()
    }
}
