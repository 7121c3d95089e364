//! The reader of a stream: a response body that follows it to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use crate::replay::{Key, Take};
use crate::session::InUse;
use crate::shelf::Shelf;

/// A comment is sent after so much silence: it keeps proxies from closing the stream, and finds out
/// whether the client is still there.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);
pub(crate) const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Reads one stream of a session, which is in use for as long.
#[derive(Debug)]
pub(crate) struct Tail {
    shelf: Arc<Shelf>,
    key: Key,
    reader: u64,
    /// What comes before the events.
    opening: Option<Bytes>,
    silence: Pin<Box<Sleep>>,
    _session: InUse,
}

impl Tail {
    pub(crate) fn new(
        session: InUse,
        shelf: Arc<Shelf>,
        key: Key,
        reader: u64,
        opening: Option<Bytes>,
    ) -> Self {
        Self { shelf, key, reader, opening, silence: Box::pin(sleep(SILENCE)), _session: session }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(opening) = self.opening.take() {
            return Poll::Ready(Some(opening));
        }
        let event = match self.shelf.take(&self.key, self.reader, context.waker()) {
            Take::Event(event) => event,
            Take::End => return Poll::Ready(None),
            Take::Wait => {
                ready!(self.silence.as_mut().poll(context));
                COMMENT
            }
        };
        self.silence.as_mut().reset(Instant::now() + SILENCE);
        Poll::Ready(Some(event))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.shelf.leave(&self.key, self.reader);
    }
}
