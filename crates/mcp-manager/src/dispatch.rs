//! The life of a request.

use std::sync::Arc;
use std::time::Duration;

use mcp_bulkhead::Ask;
use mcp_wire::{Era, Message, Request, Timing};
use tokio::sync::OwnedSemaphorePermit;

use crate::again::Again;
use crate::bridge::{self, Bridge, cross};
use crate::care::Care;
use crate::client::{Client, converse};
use crate::ears;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::fallback;
use crate::handles::Owner;
use crate::keep::Keep;
use crate::listen;
use crate::lists::{self, ListKind};
use crate::load::{Busy, Hop};
use crate::memory::Change;
use crate::route::route;
use crate::scope::Scope;
use crate::server::{Server, offers};
use crate::stateless;
use crate::upstream::Upstream;

/// One request on its way to a server.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a request, who sent it, and what they see")]
pub struct Call {
    /// The request.
    pub request: Request,
    /// The client, if it has a session. A stateless request stands for itself.
    pub client: Option<Arc<Client>>,
    /// What the client sees of the fleet.
    pub scope: Scope,
}

/// Takes a call to its server, unless its client takes it back before it has been sent.
pub(crate) async fn dispatch(keep: &Arc<Keep>, call: Call) -> Result<Exchange, Failure> {
    let Some(client) = call.client.clone() else { return send(keep, call).await };
    let mut flight = client.begin(call.request.message().id().unwrap_or("null"))?;
    tokio::select! {
        biased;
        sent = send(keep, call) => sent.map(|exchange| exchange.of(client, flight)),
        _ = &mut flight.cancelled => Err(Failure::Cancelled),
    }
}

/// What this function does is what the product does with a request.
async fn send(keep: &Arc<Keep>, call: Call) -> Result<Exchange, Failure> {
    let Call { mut request, client, scope } = call;
    let scope = scope.now();
    if let Some(exchange) = answer_here(keep, &scope, client.as_ref(), &request).await? {
        return Ok(exchange);
    }
    let message = request.message().clone();
    let owner = Owner::of(client.as_ref(), &request);
    let named = route(&keep.handles, owner, &scope, &mut request).await?;
    let mut steer = keep.rules.steer(&keep.roster, &named, &request, client.as_ref())?;
    let server = steer.server.clone().unwrap_or(named);
    let care = Care::of(&server, &request).steered(&steer);
    if let Some((other, permit)) = steer.mirror.take() {
        mirror(keep, other, client.clone(), request.clone(), permit);
    }
    care.treated.admit(server.name(), client.as_ref().map(|client| client.number()))?;
    care.treatment.deposit();
    let timeout = care.haste(&server, &request, 0);
    let first = Attempt { failed: &[], timeout, care: &care };
    let spare = care.fallback().is_some().then(|| request.clone());
    let exchange = match attempt(keep, &server, client.as_ref(), request, &first).await {
        Err(failure) => {
            return fall_back(keep, &server, client.as_ref(), &care, spare, failure).await;
        }
        Ok(exchange) => exchange,
    };
    let late = care.treated.hedge_after();
    let again = Again::new(Arc::clone(keep), owner, message, scope, care, timeout.is_some());
    Ok(exchange.repeatable(again).hedged(late))
}

/// Sends a copy of a call to another server, and waits for no answer.
fn mirror(
    keep: &Arc<Keep>,
    server: Arc<Server>,
    client: Option<Arc<Client>>,
    request: Request,
    permit: OwnedSemaphorePermit,
) {
    let keep = Arc::clone(keep);
    tokio::spawn(async move {
        let care = Care::of(&server, &request);
        let only = Attempt { failed: &[], timeout: None, care: &care };
        let copied = attempt(&keep, &server, client.as_ref(), request, &only).await;
        let answered = match copied {
            Ok(exchange) => exchange.reply().await.map(drop),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = answered {
            tracing::debug!(server = %server.name(), %failure, "a copy of a call has failed");
        }
        drop(permit);
    });
}

/// Asks another server for what was not sent to its own, if there is one for that.
async fn fall_back(
    keep: &Arc<Keep>,
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    care: &Care,
    request: Option<Request>,
    failure: Failure,
) -> Result<Exchange, Failure> {
    let request = request.filter(|_| fallback::is_for_another(&failure));
    let other = request.as_ref().and_then(|request| fallback::of(keep, server, care, request));
    let (Some(request), Some(other)) = (request, other) else { return Err(failure) };
    tracing::info!(server = %server.name(), by = %other.name(), %failure, "a call falls back");
    let care = Care::of(&other, &request);
    let only = Attempt { failed: &[], timeout: None, care: &care };
    Box::pin(attempt(keep, &other, client, request, &only)).await
}

/// One attempt at a call.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    /// The replicas that have failed it: it rather goes to another one.
    pub(crate) failed: &'a [usize],
    /// How long it may be silent, where that is shorter than for the call.
    pub(crate) timeout: Option<Duration>,
    /// How it is treated.
    pub(crate) care: &'a Care,
}

/// Sends a request, as its server knows it, over the connection that is right for it.
pub(crate) async fn attempt(
    keep: &Arc<Keep>,
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    mut request: Request,
    attempt: &Attempt<'_>,
) -> Result<Exchange, Failure> {
    let ask = attempt.care.ask(client.map(|client| client.number()));
    let pass = attempt.care.treated.enter(server.name(), &request, ask).await?;
    let mut hop = connect(keep, server, client, &request, attempt.failed, ask).await?;
    hop.passes.tool = pass;
    let upstream = &hop.upstream;
    if let Some(exchange) = answer_for(keep, server, client, upstream, &request).await? {
        return Ok(exchange);
    }
    repeat_in_headers(server, upstream, &mut request).await?;
    let bridge = cross(&mut request, client.map(Arc::as_ref), upstream)?;
    if let Bridge::ToModern(carried) = bridge {
        let carry = stateless::carry(keep, server, client, hop, request, carried);
        return Box::pin(carry).await;
    }
    let endless = is_endless(&request);
    let mut timing = if endless { ENDLESS } else { server.timing() };
    timing.timeout = attempt.timeout.map_or(timing.timeout, |own| own.min(timing.timeout));
    let change = client.and_then(|_| Change::of(&request));
    let wire = upstream.connection.call(request, timing);
    let busy = Busy::new(hop, !endless);
    Ok(Exchange::sent(wire, busy, Arc::clone(server), bridge, change))
}

/// A subscription is meant to stay open: it ends with its client.
pub(crate) const ENDLESS: Timing = Timing { timeout: Duration::MAX, timeout_max: Duration::MAX };

fn is_endless(request: &Request) -> bool {
    request.method() == "subscriptions/listen"
}

/// What a fleet answers as one server, because no server alone could.
async fn answer_here(
    keep: &Keep,
    scope: &Scope,
    client: Option<&Arc<Client>>,
    request: &Request,
) -> Result<Option<Exchange>, Failure> {
    let modern = request.version().is_some();
    if request.method() == "ping" && !modern {
        return Ok(Some(Exchange::ready("{}")));
    }
    if scope.servers().iter().all(|server| server.is_disabled()) {
        return Err(Failure::NoServers);
    }
    let level = match (client, request.method()) {
        (Some(client), "logging/setLevel") if !modern => Some(client.set_level(request.message())),
        _ => None,
    };
    if scope.only().is_some() {
        // What the one server thinks of a level is its own matter.
        return Ok(None);
    }
    if let Some(kind) = ListKind::of(request.method()) {
        if modern && kind == ListKind::Tasks {
            return Err(Failure::MethodNotFound { method: request.method().to_owned() });
        }
        let list = Box::pin(lists::merged(keep, scope, kind, client, request)).await?;
        return Ok(Some(Exchange::ready(&list)));
    }
    match request.method() {
        "server/discover" if modern => Ok(Some(Exchange::ready(&crate::hello::discovered(scope)))),
        "subscriptions/listen" if modern => Box::pin(listen::begin(scope, request)).await.map(Some),
        "logging/setLevel" if !modern => {
            if let (Some(client), Some(level)) = (client, level) {
                let level = level?;
                Box::pin(spread(scope, client, request)).await;
                Box::pin(client.spread_level(level)).await;
            }
            Ok(Some(Exchange::ready("{}")))
        }
        _ => Ok(None),
    }
}

/// Sends a request that concerns every server to those that the client has a session with; the
/// others learn of it when they are reached.
async fn spread(scope: &Scope, client: &Arc<Client>, request: &Request) {
    let mut calls = tokio::task::JoinSet::new();
    for upstream in client.sessions().into_iter().filter(|upstream| offers(upstream, "logging")) {
        let server = scope.servers().iter().find(|server| server.id() == upstream.server());
        let Some(server) = server.cloned() else { continue };
        let (client, request) = (Arc::clone(client), request.clone());
        calls.spawn(async move { _ = converse(Some(&client), &server, &upstream, request).await });
    }
    calls.join_all().await;
}

/// The connection that a request goes over: the session of its client, or one of ours.
async fn connect(
    keep: &Keep,
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    request: &Request,
    failed: &[usize],
    ask: Ask,
) -> Result<Hop, Failure> {
    let line_up = server.line_up();
    let upstream = match client {
        Some(client) if request.version().is_none() => server.session(client).await?,
        _ if line_up.replicas.len() > 1 => match keep.handles.replica(server.name(), request) {
            Some(replica) => server.ours_at(replica).await?,
            None => return server.hop(&line_up, failed, ask).await,
        },
        _ => server.ours().await?,
    };
    line_up.lead(upstream, ask).await
}

/// What the server cannot be asked, or need not be: answered by what is known of it, and what is
/// kept for its clients.
async fn answer_for(
    keep: &Keep,
    server: &Arc<Server>,
    client: Option<&Arc<Client>>,
    upstream: &Upstream,
    request: &Request,
) -> Result<Option<Exchange>, Failure> {
    let to_session = upstream.era() == Era::Legacy && request.version().is_some();
    match request.method() {
        "server/discover" if to_session => {
            Ok(Some(Exchange::ready(&bridge::discovered(upstream.introduction()))))
        }
        "subscriptions/listen" if to_session => {
            let alone = Scope::one(&keep.roster, server);
            Box::pin(listen::begin(&alone, request)).await.map(Some)
        }
        "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
            Box::pin(ears::answer(client, server, upstream, request)).await
        }
        _ => Ok(None),
    }
}

/// A stateless server behind HTTP wants some arguments in headers as well.
async fn repeat_in_headers(
    server: &Server,
    upstream: &Upstream,
    request: &mut Request,
) -> Result<(), Failure> {
    if upstream.era() != Era::Modern || request.method() != "tools/call" {
        return Ok(());
    }
    let Some(tool) = request.name().map(str::to_owned) else { return Ok(()) };
    let params = match server.header_params(&tool).await {
        Some(Ok(params)) if !params.is_empty() => params,
        Some(Err(why)) if upstream.connection.is_http() => {
            let why = format!("tool {tool:?} cannot be called over HTTP: {why}");
            return Err(Failure::Protocol { server: server.name().to_owned(), why });
        }
        _ => return Ok(()),
    };
    let message: Message = request.message().clone();
    let members = message.params().and_then(|params| mcp_wire::Members::of(params).ok());
    let arguments = members.as_ref().and_then(|members| members.get("arguments"));
    let headers = params
        .iter()
        .filter_map(|param| Some((param.header.clone(), param.value(arguments)?)))
        .collect();
    request.set_headers(headers);
    Ok(())
}
