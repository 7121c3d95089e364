//! What a call brings back, in order.

use crate::Message;

/// One thing that happened on a call.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a call has messages on the way, and an answer")]
pub enum Event {
    /// A notification of this call, or a request that the peer makes because of it.
    Message(Message),
    /// The answer, a result or an error, under the id that *we* sent. Nothing follows it.
    Reply(Message),
}
