//! The streams of changes that are open at one stateless server: one, and for a while the one that
//! it took the place of.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::{CallError, Event, Exchange};
use tokio::time::{Sleep, sleep};

/// How long an older stream is heard beside the one in its place: some servers acknowledge a stream
/// before they write to it.
const OVERLAP: Duration = Duration::from_secs(1);
/// Older streams that are heard at a time.
const OLDER_MAX: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Option<Exchange>,
    older: VecDeque<(Pin<Box<Sleep>>, Exchange)>,
}

impl Streams {
    /// Puts `newer` in the place of what is open.
    pub(super) fn replace(&mut self, newer: Option<Exchange>) {
        if let Some(older) = std::mem::replace(&mut self.open, newer) {
            self.older.truncate(OLDER_MAX - 1);
            self.older.push_front((Box::pin(sleep(OVERLAP)), older));
        }
    }

    /// What is open has ended.
    pub(super) fn ended(&mut self) {
        self.open = None;
    }

    /// The next event of any of them; an end is told of the open one only. Waits for ever if there
    /// is none.
    pub(super) async fn next(&mut self) -> Result<Event, CallError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, CallError>> {
        let mut heard = None;
        self.older.retain_mut(|(over, stream)| {
            if heard.is_some() {
                return true;
            }
            if over.as_mut().poll(context).is_ready() {
                return false;
            }
            match stream.poll_next(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(Event::Message(message))) => {
                    heard = Some(message);
                    true
                }
                Poll::Ready(_) => false,
            }
        });
        match (heard, &mut self.open) {
            (Some(message), _) => Poll::Ready(Ok(Event::Message(message))),
            (None, Some(open)) => open.poll_next(context),
            (None, None) => Poll::Pending,
        }
    }
}
