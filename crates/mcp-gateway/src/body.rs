//! The bodies that we send: one message, or a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::activity::Busy;
use crate::tail::Tail;

/// What is done with a connection that stops being HTTP.
pub(crate) type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A response body.
pub(crate) struct Body {
    content: Content,
    /// What comes after it, if the connection is taken over.
    next: Option<Next>,
    /// Held until the body has been sent.
    busy: Option<Busy>,
}

enum Content {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
    Tail(Box<Tail>),
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            content: Content::Whole((!bytes.is_empty()).then_some(bytes)),
            next: None,
            busy: None,
        }
    }

    pub(crate) fn stream(chunks: mpsc::Receiver<Bytes>) -> Self {
        Self { content: Content::Stream(chunks), next: None, busy: None }
    }

    /// No body: what follows the answer is no HTTP, but this.
    #[cfg(feature = "ws")]
    pub(crate) fn upgraded(next: Next) -> Self {
        Self { content: Content::Whole(None), next: Some(next), busy: None }
    }

    pub(crate) fn take_next(&mut self) -> Option<Next> {
        self.next.take()
    }

    /// Follows a stream of a session.
    pub(crate) fn tail(tail: Tail) -> Self {
        Self { content: Content::Tail(Box::new(tail)), busy: None, next: None }
    }

    /// The same body, which keeps its connection busy until it has been sent.
    pub(crate) fn during(mut self, busy: Busy) -> Self {
        self.busy = Some(busy);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.get_mut().content {
            Content::Whole(bytes) => Poll::Ready(bytes.take()),
            Content::Stream(chunks) => chunks.poll_recv(context),
            Content::Tail(tail) => tail.poll_next(context),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Stream(_) | Content::Tail(_) => SizeHint::default(),
        }
    }
}
