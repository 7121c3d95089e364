//! A response body that is a stream of events, read as messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::Body as _;
use hyper::body::Incoming;

use super::pool::broken;
use crate::sse::{SseDecoder, SseEvent};
use crate::{CallError, Limits, Message};

/// The messages of an event stream.
#[derive(Debug)]
pub(super) struct MessageStream {
    body: Incoming,
    decoder: SseDecoder,
    limits: Limits,
}

/// What an event stream brings.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    /// Something that is no message; the stream goes on.
    Malformed,
    /// The stream is over.
    End,
}

impl MessageStream {
    pub(super) fn new(body: Incoming, limits: Limits) -> Self {
        // An event is a message and its field names.
        let decoder = SseDecoder::new(limits.frame_bytes.saturating_add(1024));
        Self { body, decoder, limits }
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Item, CallError>> {
        loop {
            let event = self.decoder.next_event();
            match event.map_err(|error| CallError::Protocol { why: error.to_string() })? {
                Some(event) if carries_message(&event) => {
                    let parsed = Message::parse(event.data, &self.limits);
                    return Poll::Ready(Ok(parsed.map_or(Item::Malformed, Item::Message)));
                }
                Some(_) => continue,
                None => {}
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => return Poll::Ready(Ok(Item::End)),
                Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.decoder.push(data);
                    }
                }
            }
        }
    }
}

/// Priming events and events of other names are for other readers.
fn carries_message(event: &SseEvent) -> bool {
    !event.data.is_empty() && matches!(event.event.as_str(), "" | "message")
}
