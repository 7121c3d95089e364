//! Streams that are asked for with GET: a session's own, and an answer's that broke off.

use std::future::poll_fn;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::header::HeaderName;
use http::response::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::sleep;

use super::client::{Client, Connection, EVENT_STREAM, Shared};
use super::cursor::Cursor;
use super::response::{check_encoding, is_event_stream, may_pass, refusal};
use super::stream::{Item, MessageStream};
use crate::CallError;
use crate::stats::Counters;

/// So many tries to take an answer's stream up again without hearing anything on it.
const TRIES_MAX: u32 = 5;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Reads the session's own stream for as long as somebody holds the client.
pub(super) async fn listen(client: Weak<Shared>, mut ended: watch::Receiver<Option<CallError>>) {
    tokio::select! {
        () = read_own(client) => {}
        // An error here means that the last handle is gone.
        _ = ended.wait_for(Option::is_some) => {}
    }
}

/// Holds no handle while it waits: some servers do not answer before they have something to say.
async fn read_own(client: Weak<Shared>) {
    let mut cursor = Cursor::default();
    let mut was_open = false;
    while let Some(shared) = client.upgrade() {
        let request = shared.asking_for_events(&cursor);
        let (target, limits) = (Arc::clone(&shared.target), shared.limits);
        drop(shared);
        cursor.begin_try();
        // A server that cannot be reached may only be starting again.
        if let Ok((response, connection)) = target.pool.send(request).await {
            let (head, body) = response.into_parts();
            if opens(&head).is_ok() {
                was_open = true;
                let mut stream = MessageStream::new(body, limits, cursor);
                hear(&client, &mut stream).await;
                cursor = stream.into_cursor();
                drop(connection);
            } else if !may_pass(head.status) {
                // Before it was ever open, 404 can mean that there is no such stream, as 405 does.
                if let Some(shared) = client.upgrade()
                    && was_open
                    && head.status == StatusCode::NOT_FOUND
                {
                    shared.refused(&head, &[]);
                }
                return;
            }
        }
        sleep(cursor.pause()).await;
    }
}

/// Passes on what comes, until the stream ends or the client has gone.
async fn hear(client: &Weak<Shared>, stream: &mut MessageStream) {
    loop {
        let item = poll_fn(|context| stream.poll_next(context)).await;
        let Some(shared) = client.upgrade() else { return };
        match item {
            Ok(Item::Message(message)) => Client { shared }.receive(message),
            Ok(Item::Malformed(..)) => Counters::add(&shared.counters.malformed),
            Ok(Item::End) | Err(_) => return,
        }
    }
}

/// Takes the stream of an answer up again where it broke off, if the server can.
///
/// The call's deadline is the bound in time.
pub(super) async fn resume(
    shared: Arc<Shared>,
    mut cursor: Cursor,
    broke: CallError,
) -> Result<(Box<MessageStream>, Connection), CallError> {
    let mut last = broke;
    loop {
        sleep(cursor.pause()).await;
        if cursor.begin_try() > TRIES_MAX {
            return Err(last);
        }
        match shared.target.pool.send(shared.asking_for_events(&cursor)).await {
            Ok((response, connection)) => match shared.resumed(response) {
                Ok(body) => {
                    let stream = MessageStream::new(body, shared.limits, cursor);
                    return Ok((Box::new(stream), connection));
                }
                Err((error, true)) => last = not_resumed(&error),
                Err((error, false)) => return Err(not_resumed(&error)),
            },
            Err(error) => last = not_resumed(&error),
        }
    }
}

/// Never one of the errors that mean "unsent": the call had reached the server.
fn not_resumed(error: &CallError) -> CallError {
    let why = format!("the stream broke off before the answer, and cannot be resumed: {error}");
    CallError::Closed { why }
}

/// Whether a stream of events follows.
pub(super) fn opens(head: &Parts) -> Result<(), CallError> {
    if !head.status.is_success() {
        return Err(refusal(head, &[]));
    }
    if !is_event_stream(head) {
        return Err(CallError::Protocol { why: "it is no stream of events".to_owned() });
    }
    check_encoding(head)
}

impl Shared {
    fn asking_for_events(&self, cursor: &Cursor) -> Request<Full<Bytes>> {
        let id = cursor.last_event_id().map(|id| (LAST_EVENT_ID, id));
        self.request(Method::GET, EVENT_STREAM, Bytes::new(), id.into_iter().collect())
    }

    /// The body of a stream that was taken up again, or why not, and whether to try once more.
    fn resumed(&self, response: Response<Incoming>) -> Result<Incoming, (CallError, bool)> {
        let (head, body) = response.into_parts();
        match opens(&head) {
            Ok(()) => Ok(body),
            Err(_) if head.status == StatusCode::NOT_FOUND => {
                Err((self.refused(&head, &[]), false))
            }
            Err(error) => Err((error, may_pass(head.status))),
        }
    }
}
