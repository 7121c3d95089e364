//! A response body that is a stream of events, read as messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::Body as _;
use hyper::body::Incoming;

use super::cursor::Cursor;
use super::response::broken;
use crate::claim::salvaged_id;
use crate::sse::{SseDecoder, SseEvent};
use crate::{CallError, Limits, Message, ParseError};

/// The events of a body.
#[derive(Debug)]
pub(super) struct EventStream {
    body: Incoming,
    decoder: SseDecoder,
}

/// The messages of an event stream.
#[derive(Debug)]
pub(super) struct MessageStream {
    events: EventStream,
    limits: Limits,
    cursor: Cursor,
}

/// What an event stream brings.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    /// Something that is no message; the stream goes on. If it was to be an answer, to which
    /// request.
    Malformed(ParseError, Option<u64>),
    /// The stream is over.
    End,
}

impl EventStream {
    pub(super) fn new(body: Incoming, limits: &Limits) -> Self {
        // An event is a message and its field names.
        let decoder = SseDecoder::new(limits.frame_bytes.saturating_add(1024));
        Self { body, decoder }
    }

    /// The next event; `None` at the end.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<SseEvent>, CallError>> {
        loop {
            let event = self.decoder.next_event();
            let event = event.map_err(|error| CallError::Protocol { why: error.to_string() })?;
            if event.is_some() {
                return Poll::Ready(Ok(event));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => return Poll::Ready(Ok(None)),
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

impl MessageStream {
    /// The messages of `body`, which goes on where `cursor` stands.
    pub(super) fn new(body: Incoming, limits: Limits, cursor: Cursor) -> Self {
        Self { events: EventStream::new(body, &limits), limits, cursor }
    }

    /// Where it can be taken up again.
    pub(super) fn into_cursor(self) -> Cursor {
        self.cursor
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Item, CallError>> {
        loop {
            let Some(mut event) = ready!(self.events.poll_next(context))? else {
                return Poll::Ready(Ok(Item::End));
            };
            self.cursor.hear(&mut event);
            if carries_message(&event) {
                let parsed = Message::parse(event.data.clone(), &self.limits);
                let malformed = |error| Item::Malformed(error, salvaged_id(&event.data));
                return Poll::Ready(Ok(parsed.map_or_else(malformed, Item::Message)));
            }
        }
    }
}

/// Priming events and events of other names are for other readers.
pub(super) fn carries_message(event: &SseEvent) -> bool {
    !event.data.is_empty() && matches!(event.event.as_str(), "" | "message")
}
