//! Calls that wait for what their clients will say.
//!
//! A server with sessions asks its client while a call is under way. A stateless client cannot be
//! asked: its request is answered with the questions, and it calls again with the answers. In
//! between the call stays where it is, at the server, and is kept here.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_wire::{
    CallError, ErrorObject, Event, Members, MembersError, Message, Request, code, quoted,
};
use ring::digest::{SHA256, digest};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::bridge::Bridge;
use crate::client::Client;
use crate::dispatch::ENDLESS;
use crate::exchange::{Exchange, Sent};
use crate::failure::Failure;
use crate::keep::Keep;
use crate::server::{Server, lock};
use crate::stateless::{identity, level_of};

/// Calls of one fleet that may wait for their clients at a time. Each holds a session.
const PARKED_MAX: usize = 256;
/// How long a call waits for its client: long enough for a person to fill in a form.
const PARKED_TIME: Duration = Duration::from_secs(5 * 60);

/// The calls that wait.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// By number: whoever sends the channel of an entry takes the call away from its keeper.
    calls: Mutex<HashMap<u64, oneshot::Sender<oneshot::Sender<Held>>>>,
    /// Each wait has a number of its own, so no state is good for two.
    last: AtomicU64,
}

/// A call that waits.
#[derive(Debug)]
struct Held {
    sent: Box<Sent>,
    /// How it ended meanwhile, if it has.
    over: Option<Result<Message, CallError>>,
}

impl Parked {
    /// Lets go of every call, which cancels it at its server.
    pub(crate) fn clear(&self) {
        let calls = std::mem::take(&mut *lock(&self.calls));
        drop(calls);
    }

    fn enter(&self, number: u64) -> Option<oneshot::Receiver<oneshot::Sender<Held>>> {
        let mut calls = lock(&self.calls);
        if calls.len() >= PARKED_MAX {
            return None;
        }
        let (sender, wanted) = oneshot::channel();
        calls.insert(number, sender);
        Some(wanted)
    }

    /// The call of this number, once.
    async fn take(&self, number: u64) -> Option<Held> {
        let keeper = lock(&self.calls).remove(&number)?;
        let (sender, held) = oneshot::channel();
        keeper.send(sender).ok()?;
        held.await.ok()
    }
}

/// Answers a call's request with what its server asks, and keeps the call.
pub(crate) fn park(sent: Box<Sent>) -> Message {
    let outcome = match sent.asking().and_then(|asking| asking.keep.upgrade()) {
        Some(keep) => wait(&keep, sent),
        None => Err(Failure::Stopping),
    };
    outcome.unwrap_or_else(|failure| Message::error("0", &failure.to_error()))
}

fn wait(keep: &Arc<Keep>, mut sent: Box<Sent>) -> Result<Message, Failure> {
    let number = keep.parked.last.fetch_add(1, Ordering::Relaxed);
    let Some(wanted) = keep.parked.enter(number) else {
        let server = sent.server.name().to_owned();
        give_up(&mut sent);
        let why = format!("{PARKED_MAX} calls wait for their clients' answers already");
        return Err(Failure::Overloaded { server, why });
    };
    let Some(asking) = sent.asking() else { return Err(Failure::Stopping) };
    let purpose = purpose(sent.server.name(), &asking.request, asking.client)?;
    let state = keep.seal.close(&purpose, &number.to_string());
    let answer = Message::result("0", &asking.questions.demand(&state, sent.upstream.info()));
    sent.wire.renew(ENDLESS);
    // Its client has been asked, and does not answer the same twice: it is not sent again.
    sent.again = None;
    let (keep, until) = (Arc::downgrade(keep), Instant::now() + PARKED_TIME);
    tokio::spawn(async move {
        let kept = hold(Held { sent, over: None }, wanted, until).await;
        if let (Some(mut held), Some(keep)) = (kept, keep.upgrade()) {
            lock(&keep.parked.calls).remove(&number);
            give_up(&mut held.sent);
        }
    });
    Ok(answer)
}

/// Attends to a call until it is taken, or the time is up: then it comes back.
async fn hold(
    mut held: Held,
    mut wanted: oneshot::Receiver<oneshot::Sender<Held>>,
    until: Instant,
) -> Option<Held> {
    loop {
        tokio::select! {
            biased;
            taker = &mut wanted => {
                // Nobody takes it when the fleet is stopped, or when whoever wanted it has gone:
                // dropped, it is cancelled at the server.
                return match taker {
                    Ok(taker) => { _ = taker.send(held); None }
                    Err(_) => None,
                };
            }
            () = sleep_until(until) => return Some(held),
            event = poll_fn(|context| held.sent.poll(Duration::MAX, context)),
                if held.over.is_none() =>
            {
                match event {
                    // No request is open that could hear of progress or read a log.
                    Some(Ok(Event::Message(message))) => _ = held.sent.show(message),
                    Some(Ok(Event::Reply(reply))) => held.over = Some(Ok(reply)),
                    Some(Err(error)) => held.over = Some(Err(error)),
                    None => {}
                }
            }
        }
    }
}

/// Tells the server that nobody will answer it.
fn give_up(sent: &mut Sent) {
    let Bridge::ToModern(carried) = &mut sent.bridge else { return };
    let Some(asking) = &mut carried.asking else { return };
    for question in asking.questions.take() {
        let error = ErrorObject::new(code::INTERNAL_ERROR, "the client did not answer in time");
        let answer = Message::error(question.id().unwrap_or("null"), &error);
        let upstream = Arc::clone(&sent.upstream);
        tokio::spawn(async move { _ = upstream.connection.send(answer.bytes().clone()).await });
    }
}

/// Goes on with the call that `request` brings answers for, if it does bring some.
pub(crate) async fn resume(
    keep: &Keep,
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    request: &Request,
) -> Result<Option<Exchange>, Failure> {
    let Some(params) = request.params() else { return Ok(None) };
    let Some(state) = params.get("requestState") else { return Ok(None) };
    let refused = |why: &str| Failure::Params { why: format!("requestState {why}") };
    let state = mcp_wire::unquoted(state).ok_or_else(|| refused("must be a string"))?;
    let responses = params.get("inputResponses").unwrap_or("{}");
    let responses = Members::of(responses)?;
    let level = level_of(request.meta().as_ref())?;
    let purpose = purpose(server.name(), request, client.map(|client| client.number()))?;
    let number = keep.seal.open(&purpose, &state).and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| {
        refused("was not given to this client for this request, or has been changed")
    })?;
    let held = keep.parked.take(number).await;
    let mut held = held.ok_or_else(|| refused("was used already, or is too old: call again"))?;
    let Bridge::ToModern(carried) = &mut held.sent.bridge else { return Err(Failure::Stopping) };
    carried.go_on(request, level);
    let Some(asking) = &mut carried.asking else { return Err(Failure::Stopping) };
    for answer in asking.questions.answers(&responses) {
        let sent = held.sent.upstream.connection.send(answer.bytes().clone()).await;
        if let Err(error) = sent {
            return Err(held.sent.upstream.explain(error).await);
        }
    }
    if let Some(over) = held.over {
        held.sent.wire = mcp_wire::Exchange::ready(over);
    }
    held.sent.wire.renew(server.timing());
    Ok(Some(Exchange::resumed(held.sent)))
}

/// What a state is sealed for: one client's request, whatever `_meta` it carries.
fn purpose(server: &str, request: &Request, client: Option<u64>) -> Result<String, MembersError> {
    let params = Members::of(request.message().params().unwrap_or("{}"))?;
    let mut own: Vec<_> = params
        .iter()
        .filter(|(name, _)| !matches!(*name, "_meta" | "inputResponses" | "requestState"))
        .map(|(name, value)| format!("{}:{}", quoted(name), canonical(value)))
        .collect();
    own.sort_unstable();
    let digest = digest(&SHA256, own.join(",").as_bytes());
    let (server, method) = (quoted(server), quoted(request.method()));
    let client = identity(request, client);
    Ok(format!("parked call: {client} {server} {method} {:?}", digest.as_ref()))
}

/// JSON text in which the order of members makes no difference: clients that keep their arguments
/// in hash tables write them in another order each time.
fn canonical(json: &str) -> String {
    fn write(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                out.push('{');
                for (name, value) in members {
                    out.push_str(&quoted(name));
                    out.push(':');
                    write(value, out);
                    out.push(',');
                }
                out.push('}');
            }
            serde_json::Value::Array(elements) => {
                out.push('[');
                for element in elements {
                    write(element, out);
                    out.push(',');
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
    // What this parser does not take (a number beyond its range) is compared as it was written.
    let Ok(value) = serde_json::from_str(json) else { return json.to_owned() };
    let mut out = String::with_capacity(json.len());
    write(&value, &mut out);
    out
}
