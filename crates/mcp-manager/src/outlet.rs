//! What waits for a client and belongs to none of its calls.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use mcp_wire::Message;
use tokio::sync::Notify;

/// Messages that wait for a client that has no stream open. The oldest go first.
const WAITING_MAX: usize = 256;

/// A bounded queue that anybody fills and the client's own stream empties.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    waiting: Mutex<VecDeque<Message>>,
    filled: Notify,
}

impl Outlet {
    pub(crate) fn push(&self, message: Message) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(message);
        drop(waiting);
        self.filled.notify_one();
    }

    /// The next message. Cancel safe.
    pub(crate) async fn next(&self) -> Message {
        loop {
            let message = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(message) = message {
                // Whoever reads in our place later must not wait for a signal that we used up.
                self.filled.notify_one();
                return message;
            }
            self.filled.notified().await;
        }
    }
}
