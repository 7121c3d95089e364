//! Where the messages of one call wait for its caller: ordered, bounded, one reader.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{CallError, Event};

/// How much may wait for a caller that does not read.
const MESSAGES_MAX: usize = 4096;
const BYTES_MAX: usize = 64 << 20;

/// A queue from a connection's reader to one caller.
///
/// A channel of the async runtime would do, but it allocates a block of slots for each call, and
/// nearly every call receives exactly one message. It also bounds messages, not bytes.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    bytes: usize,
    failed: Option<CallError>,
    reader: Option<Waker>,
}

impl Mailbox {
    /// Adds an event, or says which bound it would exceed.
    ///
    /// The bounds hold for what comes before the answer; the answer itself always fits, since it
    /// is the last and was bounded when it was read.
    pub(crate) fn push(&self, event: Event) -> Result<(), CallError> {
        let mut state = self.lock();
        if let Event::Message(message) = &event {
            let bytes = state.bytes + message.bytes().len();
            if state.waiting.len() >= MESSAGES_MAX {
                return Err(CallError::SlowCaller { limit: MESSAGES_MAX });
            }
            if bytes > BYTES_MAX && !state.waiting.is_empty() {
                return Err(CallError::SlowCaller { limit: BYTES_MAX });
            }
            state.bytes = bytes;
        }
        state.waiting.push_back(event);
        wake(state);
        Ok(())
    }

    /// Ends the call without an answer. What waits is still read first; the first failure stays.
    pub(crate) fn fail(&self, error: CallError) {
        let mut state = self.lock();
        state.failed.get_or_insert(error);
        wake(state);
    }

    /// The next event, in order.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Event, CallError>> {
        let mut state = self.lock();
        if let Some(event) = state.waiting.pop_front() {
            if let Event::Message(message) = &event {
                state.bytes -= message.bytes().len();
            }
            return Poll::Ready(Ok(event));
        }
        if let Some(error) = &state.failed {
            return Poll::Ready(Err(error.clone()));
        }
        match &mut state.reader {
            Some(waker) if waker.will_wake(context.waker()) => {}
            reader => *reader = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so a poisoned queue is still a consistent one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the reader after the lock is gone, so that it does not run into it.
fn wake(mut state: MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    fn what_waits_is_bounded_in_bytes_but_one_message_and_the_answer_always_fit() {
        let mailbox = Mailbox::default();
        let note = Message::notification("m", &format!("[\"{}\"]", "x".repeat(1 << 20)));
        let reply = Message::result("1", &format!("\"{}\"", "x".repeat(1 << 20)));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            for _ in 0..63 {
                assert_eq!(mailbox.push(Event::Message(note.clone())), Ok(()));
            }
            let refused = mailbox.push(Event::Message(note.clone()));
            assert_eq!(refused, Err(CallError::SlowCaller { limit: BYTES_MAX }));
            for _ in 0..63 {
                assert!(mailbox.poll_next(&mut context).is_ready());
            }
            assert!(mailbox.poll_next(&mut context).is_pending());
        }
        mailbox.lock().bytes = BYTES_MAX;
        assert_eq!(mailbox.push(Event::Message(note)), Ok(()));
        assert_eq!(mailbox.push(Event::Reply(reply)), Ok(()));
    }
}
