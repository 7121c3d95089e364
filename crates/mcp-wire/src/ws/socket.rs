//! The connection below the two halves: frames in, frames out, and how it closes.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::Role;
use super::closed::{Closed, code, of_read};
use crate::Limits;

/// Bytes read at a time. tungstenite sets them to zero first, so more is not faster.
const CHUNK: usize = 16 << 10;
/// Bytes of lines that are made into frames before they are written: more in one go would only
/// wait in a second place.
const BATCH: usize = 64 << 10;
/// Control frames are queued behind at most so many bytes, and then so many of their own. Beyond
/// that, the last pong replaces the one before, which RFC 6455 allows (section 5.5.3).
const CONTROL_BEHIND: usize = 4 << 10;
const CONTROL_BYTES: usize = 1 << 10;
/// A buffer that grew beyond this is given back when it is empty.
const OUTPUT_KEPT: usize = 64 << 10;

/// A WebSocket over `S`, its handshake done.
pub(super) struct Socket<S> {
    io: S,
    role: Role,
    context: WebSocketContext,
    /// Frames that `io` has not taken yet.
    output: BytesMut,
    /// The beginning of a line has left as a fragment: what follows continues it.
    mid_line: bool,
    /// Bytes have come since this was last asked.
    heard: bool,
    /// Nothing more is read, for this reason.
    ended: Option<Closed>,
    /// What the close says, if it is ours to say.
    goodbye: (u16, String),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(io: S, role: Role, limits: &Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(CHUNK)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES)
            .max_message_size(Some(limits.frame_bytes))
            .max_frame_size(Some(limits.frame_bytes));
        let is = match role {
            Role::Client => tungstenite::protocol::Role::Client,
            Role::Server => tungstenite::protocol::Role::Server,
        };
        let context = WebSocketContext::new(is, Some(config));
        Self {
            io,
            role,
            context,
            output: BytesMut::new(),
            mid_line: false,
            heard: false,
            ended: None,
            goodbye: (code::NORMAL, String::new()),
        }
    }

    /// The next text message. After an error there is none.
    pub(super) fn poll_text(&mut self, waiting: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if let Some(closed) = &self.ended {
            return Poll::Ready(Err(closed.clone().into()));
        }
        let polled = self.poll_message(waiting);
        if let Poll::Ready(Err(error)) = &polled {
            let closed = error.get_ref().and_then(|inner| inner.downcast_ref());
            self.ended = Some(closed.cloned().unwrap_or(Closed::Lost));
        }
        // Pongs and the answer to a close leave now, if they can. If writing fails, the writing half
        // hears of it.
        let _ = self.poll_flush(waiting);
        polled
    }

    fn poll_message(&mut self, waiting: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let (context, mut pipe) = self.pipe(waiting);
            let closed = match context.read(&mut pipe) {
                Ok(Message::Text(text)) => return Poll::Ready(Ok(text.into())),
                Ok(Message::Binary(_)) => {
                    let why = "messages must be text".to_owned();
                    Closed::Broken { code: code::UNSUPPORTED, why }
                }
                Ok(Message::Close(frame)) => {
                    // This reads nothing: it writes the answer.
                    let _ = context.flush(&mut pipe);
                    let code = frame.as_ref().map(|frame| frame.code.into());
                    let reason = frame.map(|frame| frame.reason.as_str().to_owned());
                    Closed::ByPeer { code, reason: reason.unwrap_or_default() }
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(error) => match of_read(error) {
                    Ok(closed) => closed,
                    Err(error) => return Poll::Ready(Err(error)),
                },
            };
            if let Closed::Broken { code, why } = &closed {
                self.say_goodbye(*code, why);
                self.close(waiting);
            }
            return Poll::Ready(Err(closed.into()));
        }
    }

    /// Takes lines, as many as make sense at a time, and says how many bytes that was.
    pub(super) fn poll_write(
        &mut self,
        waiting: &mut Context<'_>,
        lines: &[u8],
    ) -> Poll<io::Result<usize>> {
        // One batch at a time, so that what is not written stays with the caller, who bounds it.
        ready!(self.poll_flush(waiting))?;
        if !self.context.can_write() {
            return Poll::Ready(Err(self.ended.clone().unwrap_or(Closed::ByUs).into()));
        }
        let mut taken = 0;
        while taken < lines.len() && self.output.len() < BATCH {
            let rest = &lines[taken..];
            let (line, whole) = match memchr::memchr(b'\n', rest) {
                Some(end) => (&rest[..end], true),
                None => (rest, false),
            };
            self.put(line, whole)?;
            taken += line.len() + usize::from(whole);
        }
        Poll::Ready(Ok(taken))
    }

    /// Queues a line, or a part of one, as a frame. A line without anything on it is none.
    fn put(&mut self, line: &[u8], whole: bool) -> io::Result<()> {
        if line.is_empty() && !self.mid_line {
            return Ok(());
        }
        let kind = if self.mid_line { Data::Continue } else { Data::Text };
        let mut frame = Frame::message(Bytes::copy_from_slice(line), OpCode::Data(kind), whole);
        if self.role == Role::Client {
            let mut mask = [0; 4];
            let random = SystemRandom::new().fill(&mut mask);
            random.map_err(|_| io::Error::other("the system has no randomness to give"))?;
            frame.header_mut().mask = Some(mask);
        }
        self.output.reserve(frame.len());
        frame.format(&mut (&mut self.output).writer()).map_err(io::Error::other)?;
        self.mid_line = !whole;
        Ok(())
    }

    /// Writes all that is queued.
    pub(super) fn poll_flush(&mut self, waiting: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.output.is_empty() {
                match ready!(Pin::new(&mut self.io).poll_write(waiting, &self.output))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.output.advance(written),
                }
            }
            // There is room for control frames again.
            let (context, mut pipe) = self.pipe(waiting);
            let _ = context.flush(&mut pipe);
            if self.output.is_empty() {
                break;
            }
        }
        if self.output.capacity() > OUTPUT_KEPT {
            self.output = BytesMut::new();
        }
        Pin::new(&mut self.io).poll_flush(waiting)
    }

    /// Queues a ping, unless the queue is full: then the peer has more to answer than it does.
    pub(super) fn ping(&mut self, waiting: &mut Context<'_>) {
        let (context, mut pipe) = self.pipe(waiting);
        let _ = context.write(&mut pipe, Message::Ping(Bytes::new()));
        let _ = self.poll_flush(waiting);
    }

    /// Sets what the close will say.
    pub(super) fn say_goodbye(&mut self, code: u16, why: &str) {
        self.goodbye = (code, reason(why).to_owned());
    }

    /// Queues a close, unless there was one. Nothing is sent after it.
    pub(super) fn close(&mut self, waiting: &mut Context<'_>) {
        let (code, reason) = &self.goodbye;
        let frame = CloseFrame { code: (*code).into(), reason: reason.as_str().into() };
        let (context, mut pipe) = self.pipe(waiting);
        let _ = context.close(&mut pipe, Some(frame));
        let _ = self.poll_flush(waiting);
    }

    /// The same, without anybody who waits for room.
    pub(super) fn try_close(&mut self) {
        self.close(&mut Context::from_waker(Waker::noop()));
    }

    /// Gives the peer up.
    pub(super) fn give_up(&mut self, closed: Closed) -> io::Error {
        self.ended = Some(closed.clone());
        closed.into()
    }

    /// Whether bytes have come since this was last asked.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Whether there is nobody to say goodbye to.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.ended, Some(Closed::Lost | Closed::Silent))
    }

    /// Sees a close to its end: everything is written, and the peer has agreed or left.
    pub(super) fn poll_farewell(&mut self, waiting: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(waiting))?;
        if !matches!(self.ended, Some(Closed::Broken { .. })) {
            loop {
                let (context, mut pipe) = self.pipe(waiting);
                match context.read(&mut pipe) {
                    Ok(_) => {}
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Poll::Pending;
                    }
                    Err(_) => return Pin::new(&mut self.io).poll_shutdown(waiting),
                }
            }
        }
        // Frames cannot be told apart any more. What the peer was still sending is read away: to
        // leave it unread would reset the connection, and our last words with it.
        ready!(Pin::new(&mut self.io).poll_shutdown(waiting))?;
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_read(waiting, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// The frames' side of the connection, and the bytes' side.
    fn pipe<'a, 'w>(
        &'a mut self,
        waiting: &'a mut Context<'w>,
    ) -> (&'a mut WebSocketContext, Pipe<'a, 'w, S>) {
        let Self { io, context, output, heard, .. } = self;
        (context, Pipe { io, output, heard, waiting })
    }
}

/// As much of `why` as fits: a control frame has 125 bytes, two of them for the code.
fn reason(why: &str) -> &str {
    let mut end = why.len().min(123);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    &why[..end]
}

/// What tungstenite reads from, and writes control frames to.
struct Pipe<'a, 'w, S> {
    io: &'a mut S,
    output: &'a mut BytesMut,
    heard: &'a mut bool,
    waiting: &'a mut Context<'w>,
}

impl<S: AsyncRead + Unpin> Read for Pipe<'_, '_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(into);
        match Pin::new(&mut *self.io).poll_read(self.waiting, &mut buffer) {
            Poll::Ready(read) => read?,
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        *self.heard |= !buffer.filled().is_empty();
        Ok(buffer.filled().len())
    }
}

impl<S> Write for Pipe<'_, '_, S> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        if self.output.len() > CONTROL_BEHIND {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.output.extend_from_slice(frame);
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
