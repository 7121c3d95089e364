//! Event streams: the answer to one request, or a session's own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mcp_manager::{Client, Exchange, Failure};
use mcp_wire::{Event, Message, sse};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::body::Body;
use crate::replay::{Attached, Demand, EventId, Key, Refused, STANDALONE};
use crate::respond::{self, Answer};
use crate::session::InUse;
use crate::shelf::{self, Line};
use crate::tail::{COMMENT, SILENCE, Tail};

/// Events that may wait for a client to read them. What comes on top waits in the exchange, which
/// is bounded as well and gives up on clients that do not read at all.
const WAITING_MAX: usize = 16;
/// When a client whose stream was cut is to come back.
const RETRY: Duration = Duration::from_secs(1);

/// Streams the answer to a stateless request, whose first event has been read, unless it is late.
pub(crate) fn of_exchange(first: Option<Message>, mut exchange: Exchange, id: String) -> Answer {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        if let Some(first) = first
            && sender.send(plain(first.bytes())).await.is_err()
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
                Ok(Ok(Event::Message(message))) => (plain(message.bytes()), false),
                Ok(Ok(Event::Reply(reply))) => (plain(&reply.with_id(&id)), true),
                Ok(Err(Failure::Cancelled)) => return,
                Ok(Err(failure)) => (plain(Message::error(&id, &failure.to_error()).bytes()), true),
            };
            if sender.send(chunk).await.is_err() || last {
                return;
            }
        }
    });
    respond::events(Body::stream(receiver))
}

/// Streams the answer to a request of a session. The call outlives the stream for as long as `grace`,
/// so that the client can come back to it.
pub(crate) fn of_call(
    first: Option<Message>,
    exchange: Exchange,
    id: &str,
    session: InUse,
    grace: Duration,
) -> Answer {
    let (line, attached) = session.shelf().open(session.id(), id, session.is_primed());
    let answer = follow(session.again(), line.key.clone(), &attached, Some(id));
    let id = id.to_owned();
    tokio::spawn(async move {
        // The call uses its session, with or without a stream.
        let _session = session;
        pump(first, exchange, &id, &line, grace).await;
    });
    answer
}

async fn pump(
    first: Option<Message>,
    mut exchange: Exchange,
    id: &str,
    line: &Line,
    grace: Duration,
) {
    if let Some(first) = first {
        line.put(first.bytes(), false).await;
    }
    let (mut demand, mut end) = (line.change(None).await, None);
    loop {
        match demand {
            Demand::Gone => return,
            Demand::Nobody => _ = end.get_or_insert_with(|| Instant::now() + grace),
            Demand::Wanted | Demand::Full => end = None,
        }
        let event = tokio::select! {
            biased;
            change = line.change(Some(demand)) => {
                demand = change;
                continue;
            }
            event = exchange.next(), if demand != Demand::Full => event,
            // Nobody came back. Dropping the exchange tells the server.
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                return line.close();
            }
        };
        match event {
            Ok(Event::Message(message)) => line.put(message.bytes(), false).await,
            Ok(Event::Reply(reply)) => return line.put(&reply.with_id(id), true).await,
            Err(Failure::Cancelled) => return line.finish(),
            Err(failure) => {
                let error = Message::error(id, &failure.to_error());
                return line.put(error.bytes(), true).await;
            }
        }
    }
}

/// Streams what belongs to none of a session's calls, from where its last stream stopped.
pub(crate) fn of_session(session: InUse) -> Answer {
    let attached = session.shelf().listen(session.id(), session.is_primed());
    tell(&session);
    let key = Key { session: Arc::clone(session.id()), stream: STANDALONE };
    follow(session, key, &attached, None)
}

/// Goes on with the stream of an event that the client has had.
pub(crate) fn resumed(session: InUse, last: &str) -> Answer {
    let Some(id) = EventId::parse(last) else { return unknown() };
    let key = Key { session: Arc::clone(session.id()), stream: id.stream };
    let refused = match session.shelf().resume(&key, id.number) {
        Ok(attached) => {
            tell(&session);
            return follow(session, key, &attached, id.request);
        }
        Err(refused) => refused,
    };
    if refused == Refused::Over || id.number == EventId::END {
        // What server-sent events have to say "do not come back".
        return respond::empty(StatusCode::NO_CONTENT);
    }
    // A client that hears nothing waits for its answer; a status alone tells it little.
    let Some((request, error)) =
        id.request.and_then(|id| Some((id, shelf::lost(id, shelf::NOT_KEPT)?)))
    else {
        return unknown();
    };
    let event = shelf::encode(id.stream, EventId::END, Some(request), &error);
    respond::events(Body::whole(event))
}

fn unknown() -> Answer {
    let why = "Last-Event-ID names no event of this session that could be gone on from";
    respond::text(StatusCode::BAD_REQUEST, why)
}

/// Makes a session's own messages events of its stream, once there is somebody to tell.
fn tell(session: &InUse) {
    let Some(line) = session.shelf().standalone(session.id()) else { return };
    let client = Arc::clone(session.client());
    tokio::spawn(async move { tell_on(&client, &line).await });
}

async fn tell_on(client: &Client, line: &Line) {
    let mut demand = line.change(None).await;
    while demand != Demand::Gone {
        tokio::select! {
            biased;
            change = line.change(Some(demand)) => demand = change,
            message = client.next_message(), if demand != Demand::Full => {
                line.put(message.bytes(), false).await;
            }
        }
    }
}

fn follow(session: InUse, key: Key, attached: &Attached, request: Option<&str>) -> Answer {
    session.check();
    let id = EventId::new(key.stream, attached.after, request);
    let opening = opening(session.is_primed().then_some(id), attached.gap);
    let (shelf, reader) = (Arc::clone(session.shelf()), attached.reader);
    respond::events(Body::tail(Tail::new(session, shelf, key, reader, opening)))
}

/// What a stream begins with: where it can be gone on from before there was any event, and whether
/// something is missing.
fn opening(id: Option<EventId<'_>>, gap: bool) -> Option<Bytes> {
    let mut text = String::new();
    if gap {
        text += ": older events are gone\n\n";
    }
    if let Some(id) = id {
        text += &format!("id: {id}\nretry: {}\ndata: \n\n", RETRY.as_millis());
    }
    (!text.is_empty()).then(|| text.into())
}

fn plain(message: &[u8]) -> Bytes {
    sse::encode_event(None, message)
}
