//! What a server sends, at the pace at which its client reads.

use std::time::Duration;

use bytes::Bytes;

use crate::{Message, Outbox, SendError};

/// An outbox cannot be waited on. When it is full a thousand messages wait in it already, so a
/// pause this long costs nobody anything.
const PAUSE: Duration = Duration::from_millis(1);

/// Sends to one client, in order, and waits where the client does not keep up.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    outbox: Outbox,
}

impl Sink {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox }
    }

    /// Sends `frame` as soon as there is room; nothing if the client has gone.
    pub(super) async fn send(&self, frame: Bytes) {
        while self.outbox.send(frame.clone()) == Err(SendError::Full) {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a notification whose `params` are a JSON text.
    pub(super) async fn notify(&self, method: &str, params: &str) {
        self.send(Message::notification(method, params).bytes().clone()).await;
    }
}
