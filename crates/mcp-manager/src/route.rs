//! Which server a request is for, and what that server calls the thing it is about.

use std::sync::Arc;

use mcp_wire::{Request, quoted};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::handles::{Handles, Origin, Owner};
use crate::lists::ListKind;
use crate::names::Stripped;
use crate::scope::Scope;
use crate::server::Server;

/// Chooses the server in `scope` that `request` is for, and rewrites the request's names to the
/// server's own.
pub(crate) async fn route(
    handles: &Handles,
    owner: Owner,
    scope: &Scope,
    request: &mut Request,
) -> Result<Arc<Server>, Failure> {
    if let Some(server) = scope.only() {
        return Ok(Arc::clone(server));
    }
    match request.method() {
        "tools/call" => by_name(scope, request, ListKind::Tools, "tool").await,
        "prompts/get" => by_name(scope, request, ListKind::Prompts, "prompt").await,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            let uri = request.name().ok_or_else(|| lacks("uri"))?.to_owned();
            let (server, own) = by_uri(scope, &uri).await?;
            request.rename(&own);
            Ok(server)
        }
        "completion/complete" => by_reference(scope, request).await,
        "tasks/get" | "tasks/result" | "tasks/update" | "tasks/cancel" => {
            by_task(handles, owner, scope, request)
        }
        method => Err(Failure::MethodNotFound { method: method.to_owned() }),
    }
}

/// The server that made a task: nothing in the id of one says which that is.
fn by_task(
    handles: &Handles,
    owner: Owner,
    scope: &Scope,
    request: &Request,
) -> Result<Arc<Server>, Failure> {
    let id = request.name().ok_or_else(|| lacks("taskId"))?;
    let not_found = || Failure::NotFound { what: "task", name: id.to_owned() };
    match handles.task(owner, id).ok_or_else(not_found)? {
        Origin::At { server, .. } => {
            let mut servers = scope.servers().iter();
            servers.find(|known| *known.id() == server).cloned().ok_or_else(not_found)
        }
        Origin::Several { servers } => {
            let servers = servers.iter().map(|server| server.to_string()).collect();
            let way_out = "begin such tasks at /mcp/SERVER".to_owned();
            Err(Failure::Ambiguous { name: id.to_owned(), servers, way_out })
        }
    }
}

fn lacks(member: &str) -> Failure {
    Failure::Params { why: format!("{member:?} must be a string") }
}

async fn by_name(
    scope: &Scope,
    request: &mut Request,
    kind: ListKind,
    what: &'static str,
) -> Result<Arc<Server>, Failure> {
    let name = request.name().ok_or_else(|| lacks("name"))?.to_owned();
    let (server, own) = owner(scope, &name, kind, what).await?;
    request.rename(&own);
    Ok(server)
}

/// The server that offers `name`, and its own name for it.
async fn owner(
    scope: &Scope,
    name: &str,
    kind: ListKind,
    what: &'static str,
) -> Result<(Arc<Server>, String), Failure> {
    if !scope.prefixes() {
        let server = only_one(scope, name, what, |server| server.catalog().offers(kind, name))?;
        return Ok((server, name.to_owned()));
    }
    let mut stripped =
        scope.servers().iter().filter_map(|server| Some((server, server.label().strip(name)?)));
    let not_found = || Failure::NotFound { what, name: name.to_owned() };
    let (server, stripped) = stripped.next().ok_or_else(not_found)?;
    let own = match stripped {
        Stripped::Plain(own) => own.to_owned(),
        Stripped::Hashed(tail) => {
            if server.catalog().original(tail).is_none() && !server.catalog().offers(kind, tail) {
                Box::pin(server.look_again(&[kind])).await?;
            }
            server.catalog().original(tail).map_or_else(|| tail.to_owned(), String::from)
        }
    };
    Ok((Arc::clone(server), own))
}

/// A URI with its server's prefix, or one that a server gave out as it is (in a result, say).
async fn by_uri(scope: &Scope, uri: &str) -> Result<(Arc<Server>, String), Failure> {
    if scope.prefixes() {
        let servers = scope.servers().iter();
        let mut owned = servers.filter_map(|server| Some((server, server.label().strip_uri(uri)?)));
        if let Some((server, own)) = owned.next() {
            return Ok((Arc::clone(server), own.to_owned()));
        }
    }
    let server = match listing(scope, uri) {
        Err(Failure::NotFound { .. }) => {
            // Boxed: rare, and it would make every request's future larger.
            Box::pin(look_for_resources(scope)).await;
            listing(scope, uri)?
        }
        decided => decided?,
    };
    Ok((server, uri.to_owned()))
}

/// The server that is known to list this resource, or else a template that it fits.
fn listing(scope: &Scope, uri: &str) -> Result<Arc<Server>, Failure> {
    let of = |kind| only_one(scope, uri, "resource", |server| server.catalog().offers(kind, uri));
    match of(ListKind::Resources) {
        Err(Failure::NotFound { .. }) => of(ListKind::Templates),
        decided => decided,
    }
}

/// Reads again what resources there are: of servers that answer, and not longer than a list may
/// take.
async fn look_for_resources(scope: &Scope) {
    let ready = scope.servers().iter().filter(|server| server.ready().is_some()).cloned();
    let looking: JoinSet<_> = ready
        .map(|server| async move {
            let look = server.look_again(&[ListKind::Resources, ListKind::Templates]);
            // Who cannot say has what it was known to have.
            _ = timeout(server.settings().list_timeout, look).await;
        })
        .collect();
    looking.join_all().await;
}

fn only_one(
    scope: &Scope,
    name: &str,
    what: &'static str,
    offers: impl Fn(&Server) -> bool,
) -> Result<Arc<Server>, Failure> {
    let owners: Vec<_> = scope.servers().iter().filter(|server| offers(server)).collect();
    match &owners[..] {
        [] => Err(Failure::NotFound { what, name: name.to_owned() }),
        [server] => Ok(Arc::clone(server)),
        several => {
            let servers = several.iter().map(|server| server.name().to_owned()).collect();
            let way_out = match scope.prefixes() {
                true => {
                    let full = several.iter().map(|server| quoted(&scope.expose_uri(server, name)));
                    format!("say {}, or use /mcp/SERVER", full.collect::<Vec<_>>().join(" or "))
                }
                false => r#"set "namespace": "server", or use /mcp/SERVER"#.to_owned(),
            };
            Err(Failure::Ambiguous { name: name.to_owned(), servers, way_out })
        }
    }
}

/// `completion/complete` names a prompt or a resource template in `ref`.
async fn by_reference(scope: &Scope, request: &mut Request) -> Result<Arc<Server>, Failure> {
    let message = request.message().clone();
    let params = message.params().ok_or_else(|| lacks("ref"))?;
    let params = mcp_wire::Members::of(params)?;
    let reference = params.object("ref")?.ok_or_else(|| lacks("ref"))?;
    let (server, member, own) = if let Some(name) = reference.text("name") {
        let (server, own) = owner(scope, &name, ListKind::Prompts, "prompt").await?;
        (server, "name", own)
    } else {
        let uri = reference.text("uri").ok_or_else(|| lacks("ref.uri"))?;
        let (server, own) = by_uri(scope, &uri).await?;
        (server, "uri", own)
    };
    if let Some(part) = reference.get(member) {
        request.replace(part, &quoted(&own));
    }
    Ok(server)
}
