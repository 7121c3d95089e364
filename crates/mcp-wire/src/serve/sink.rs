//! What a server sends, at the pace at which its client reads.

use bytes::Bytes;

use crate::{Message, Outbox};

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
        let _ = self.outbox.send_when_room(frame).await;
    }

    /// Sends a notification whose `params` are a JSON text.
    pub(super) async fn notify(&self, method: &str, params: &str) {
        self.send(Message::notification(method, params).bytes().clone()).await;
    }
}
