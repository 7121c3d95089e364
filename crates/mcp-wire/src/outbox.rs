//! Messages that wait to be written to a byte stream, and the task that writes them in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// What may wait. A peer that stops reading costs this much memory and no more.
const MESSAGES_MAX: usize = 1024;
const BYTES_MAX: usize = 64 << 20;

/// Frames that go out in one write, when that many wait.
const BATCH: usize = 64;
/// Frames larger than this are written from where they are rather than copied together.
const COPY_MAX: usize = 16 << 10;

/// The sending side: never waits.
#[derive(Clone, Debug)]
pub struct Outbox {
    queue: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// The other end of an [`Outbox`].
#[derive(Debug)]
pub struct OutboxWriter {
    queue: mpsc::Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
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

impl Outbox {
    /// An empty outbox and what writes it.
    pub fn new() -> (Self, OutboxWriter) {
        let (sender, queue) = mpsc::channel(MESSAGES_MAX);
        let bytes = Arc::new(AtomicUsize::new(0));
        (Self { queue: sender, bytes: Arc::clone(&bytes) }, OutboxWriter { queue, bytes })
    }

    /// Queues one message, given without a line end.
    pub fn send(&self, message: Bytes) -> Result<(), SendError> {
        let length = message.len();
        let waiting = self.bytes.fetch_add(length, Ordering::Relaxed);
        // One message always fits: a bound on messages alone would do for all but the largest.
        let refused = if waiting > 0 && waiting + length > BYTES_MAX {
            Some(SendError::Full)
        } else {
            match self.queue.try_send(message) {
                Ok(()) => None,
                Err(mpsc::error::TrySendError::Full(_)) => Some(SendError::Full),
                Err(mpsc::error::TrySendError::Closed(_)) => Some(SendError::Closed),
            }
        };
        refused.map_or(Ok(()), |error| {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            Err(error)
        })
    }
}

impl OutboxWriter {
    /// Writes every message as a line, as many in one write as are waiting.
    ///
    /// Ends when every [`Outbox`] is gone and nothing waits, or when the stream fails.
    pub async fn run<W: AsyncWrite + Unpin>(mut self, mut stream: W) -> std::io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut buffer = BytesMut::new();
        while self.queue.recv_many(&mut batch, BATCH).await > 0 {
            for frame in batch.drain(..) {
                self.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
                if frame.len() <= COPY_MAX {
                    buffer.extend_from_slice(&frame);
                } else {
                    stream.write_all(&buffer).await?;
                    buffer.clear();
                    stream.write_all(&frame).await?;
                }
                buffer.extend_from_slice(b"\n");
            }
            stream.write_all(&buffer).await?;
            stream.flush().await?;
            buffer.clear();
        }
        stream.shutdown().await
    }
}
