//! Event streams: the answer to one request, or a session's own.

use std::time::Duration;

use bytes::Bytes;
use mcp_manager::Exchange;
use mcp_wire::{Event, Message, sse};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::respond::{self, Answer};
use crate::session::InUse;

/// Events that may wait for a client to read them. What comes on top waits in the exchange, which
/// is bounded as well and gives up on clients that do not read at all.
const WAITING_MAX: usize = 16;
/// A comment is sent after so much silence: it keeps proxies from closing the stream, and finds out
/// whether the client is still there.
const SILENCE: Duration = Duration::from_secs(15);
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Streams an exchange whose first event has been read, unless it is late.
pub(crate) fn of_exchange(
    first: Option<Message>,
    mut exchange: Exchange,
    id: String,
    session: Option<InUse>,
) -> Answer {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let _session = session;
        if let Some(first) = first
            && sender.send(event(first.bytes())).await.is_err()
        {
            return;
        }
        loop {
            let next = tokio::select! {
                next = timeout(SILENCE, exchange.next()) => next,
                // The client has gone. Dropping the exchange tells the server.
                () = sender.closed() => return,
            };
            let (chunk, last) = match next {
                Err(_) => (COMMENT, false),
                Ok(Ok(Event::Message(message))) => (event(message.bytes()), false),
                Ok(Ok(Event::Reply(reply))) => (event(&reply.with_id(&id)), true),
                Ok(Err(mcp_manager::Failure::Cancelled)) => return,
                Ok(Err(failure)) => (event(Message::error(&id, &failure.to_error()).bytes()), true),
            };
            if sender.send(chunk).await.is_err() || last {
                return;
            }
        }
    });
    respond::events(receiver)
}

/// Streams what belongs to none of a session's calls.
pub(crate) fn of_session(session: InUse) -> Answer {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let over = session.take_stream();
    let client = session.client().clone();
    tokio::spawn(async move {
        // The stream holds the client, not the use of the session: a session whose client only
        // listens is still in use, so both are held.
        let _session = session;
        tokio::pin!(over);
        loop {
            let chunk = tokio::select! {
                next = timeout(SILENCE, client.next_message()) => match next {
                    Ok(message) => event(message.bytes()),
                    Err(_) => COMMENT,
                },
                () = &mut over => return,
                () = sender.closed() => return,
            };
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    respond::events(receiver)
}

fn event(message: &[u8]) -> Bytes {
    sse::encode_event(None, message)
}
