//! Lists of tools, prompts and resources: of one server, and of many put together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mcp_wire::{Era, Members, Message, Request, elements, quoted, stateless_meta};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Client, converse};
use crate::failure::Failure;
use crate::scope::Scope;
use crate::server::{Server, offers};
use crate::upstream::{Upstream, own_info};

/// Pages and items that one server's list may have.
const PAGES_MAX: usize = 100;
const ITEMS_MAX: usize = 10_000;

/// Under which `_meta` member a merged list says whose part is missing.
pub const MISSING: &str = "mcp-manager/missing";
/// Under which `_meta` member a merged list says which names were left out, and why.
pub const COLLISIONS: &str = "mcp-manager/collisions";

/// The lists that MCP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl ListKind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    pub(crate) fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The lists that a notification says have changed: resources stand for templates as well,
    /// which are fetched with them.
    pub(crate) fn changed_by(method: &str) -> Option<Self> {
        match method {
            "notifications/tools/list_changed" => Some(Self::Tools),
            "notifications/prompts/list_changed" => Some(Self::Prompts),
            "notifications/resources/list_changed" => Some(Self::Resources),
            _ => None,
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// The member of the result that has the items.
    fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that identifies it.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    fn expose(self, scope: &Scope, server: &Server, name: &str) -> String {
        match self {
            Self::Tools | Self::Prompts => scope.expose(server, name),
            Self::Resources | Self::Templates => scope.expose_uri(server, name),
        }
    }
}

/// The pages of one server's list, as it sent them.
pub(crate) struct Pages {
    kind: ListKind,
    pages: Vec<Message>,
}

impl Pages {
    /// The items, as JSON texts.
    fn items(&self) -> impl Iterator<Item = &str> {
        self.pages.iter().flat_map(|page| items(page, self.kind)).take(ITEMS_MAX)
    }
}

fn items(page: &Message, kind: ListKind) -> Vec<&str> {
    let result = page.result_json().and_then(|result| Members::of(result).ok());
    let list = result.as_ref().and_then(|result| result.get(kind.member()));
    list.and_then(elements).unwrap_or_default()
}

/// Fetches all pages of a list, for `client` if its session is used. `meta` is that of the client's
/// request, if there is one.
pub(crate) async fn fetch(
    server: &Server,
    upstream: &Arc<Upstream>,
    client: Option<&Arc<Client>>,
    kind: ListKind,
    meta: Option<&str>,
) -> Result<Pages, Failure> {
    let mut pages = Vec::new();
    let mut cursor: Option<String> = None;
    while offers(upstream, kind.capability()) && pages.len() < PAGES_MAX {
        let params = list_params(upstream.era(), cursor.as_deref(), meta);
        let request = Request::read(Message::request("0", kind.method(), &params))?;
        let page = match converse(client, server, upstream, request).await {
            Ok(page) => page,
            Err(error) => return Err(upstream.explain(error).await),
        };
        if let Some(error) = page.error_json() {
            let why = format!("{} was answered with {error}", kind.method());
            return Err(Failure::Protocol { server: server.name().to_owned(), why });
        }
        let next = page.result_json().and_then(|result| Members::of(result).ok());
        let next = next.as_ref().and_then(|result| result.get("nextCursor")).map(str::to_owned);
        pages.push(page);
        let next = next.filter(|next| next != "null");
        // A cursor that leads to itself never ends.
        if next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    let pages = Pages { kind, pages };
    server.catalog().learn(kind, pages.items(), server.label(), client.is_none());
    Ok(pages)
}

fn list_params(era: Era, cursor: Option<&str>, meta: Option<&str>) -> String {
    let own = match era {
        Era::Modern => stateless_meta(mcp_wire::MODERN_VERSION, "{}", Some(&own_info())),
        Era::Legacy => String::new(),
    };
    // What a client of the other era put into its `_meta` means nothing to this server.
    let meta = match (era, meta) {
        (Era::Modern, Some(meta)) => format!("\"_meta\":{meta}"),
        (Era::Modern, None) => format!("\"_meta\":{{{own}}}"),
        (Era::Legacy, _) => String::new(),
    };
    let cursor = cursor.map(|cursor| format!("\"cursor\":{cursor}"));
    let members: Vec<String> = [cursor, Some(meta)].into_iter().flatten().collect();
    let members: Vec<&str> = members.iter().map(String::as_str).filter(|m| !m.is_empty()).collect();
    format!("{{{}}}", members.join(","))
}

/// The lists of every server in `scope`, put together in the order of the configuration.
///
/// Every server has its own `list_timeout`: one that does not answer in time is left out and
/// named in `_meta`.
pub(crate) async fn merged(
    scope: &Scope,
    kind: ListKind,
    client: Option<&Arc<Client>>,
    request: &Request,
) -> String {
    let era = if request.version().is_some() { Era::Modern } else { Era::Legacy };
    let meta = request.params().and_then(|params| params.get("_meta")).map(str::to_owned);
    let mut fetching = JoinSet::new();
    for (index, server) in scope.servers().iter().enumerate() {
        if server.is_disabled() {
            continue;
        }
        let (server, client, meta) = (Arc::clone(server), client.cloned(), meta.clone());
        fetching.spawn(async move {
            let limit = server.settings().list_timeout;
            let part = one(&server, kind, client, meta.as_deref(), era);
            (index, timeout(limit, part).await.unwrap_or_else(|_| Err(late(&server, limit))))
        });
    }
    let parts = fetching.join_all().await.into_iter().collect();
    if let Some(client) = client {
        client.listed();
    }
    render(scope, kind, &parts, era)
}

async fn one(
    server: &Server,
    kind: ListKind,
    client: Option<Arc<Client>>,
    meta: Option<&str>,
    era: Era,
) -> Result<Pages, Failure> {
    let meta = if era == Era::Modern { meta } else { None };
    let client = client.as_ref().filter(|_| era == Era::Legacy);
    let connect = async || match client {
        Some(client) => server.session(client).await,
        None => server.ours().await,
    };
    let upstream = connect().await?;
    match fetch(server, &upstream, client, kind, meta).await {
        // Its connection died under it, and to read a list again does no harm.
        Err(_) if !upstream.is_alive() => {
            fetch(server, &connect().await?, client, kind, meta).await
        }
        read => read,
    }
}

fn late(server: &Server, after: Duration) -> Failure {
    Failure::Timeout { server: server.name().to_owned(), after }
}

fn render(
    scope: &Scope,
    kind: ListKind,
    parts: &BTreeMap<usize, Result<Pages, Failure>>,
    era: Era,
) -> String {
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut missing = Vec::new();
    for (index, part) in parts {
        let server = &scope.servers()[*index];
        match part {
            Ok(pages) => {
                shown.extend(pages.items().filter_map(|item| exposed(scope, server, kind, item)));
            }
            Err(failure) => {
                let (name, why) = (quoted(server.name()), quoted(&failure.to_string()));
                let code = failure.code();
                missing.push(format!(r#"{{"server":{name},"code":"{code}","message":{why}}}"#));
            }
        }
    }
    let collisions = if scope.prefixes() { Vec::new() } else { collisions(&shown) };
    let length: usize = shown.iter().map(|(_, item)| item.len() + 1).sum();
    let mut out = String::with_capacity(length + 256);
    // Writing to a string does not fail.
    let _ = write!(out, "{{\"{}\":[", kind.member());
    let kept = shown.iter().filter(|(name, _)| !collisions.contains(name));
    for (position, (_, item)) in kept.enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push_str(item);
    }
    out.push(']');
    if era == Era::Modern {
        out.push_str(r#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    if !missing.is_empty() || !collisions.is_empty() {
        let collisions: Vec<String> = collisions.iter().map(|name| quoted(name)).collect();
        let (missing, collisions) = (missing.join(","), collisions.join(","));
        let _ =
            write!(out, r#","_meta":{{"{MISSING}":[{missing}],"{COLLISIONS}":[{collisions}]}}"#);
    }
    out.push('}');
    out
}

/// An item under the name that the client is to use; the rest of it as the server wrote it.
fn exposed(scope: &Scope, server: &Server, kind: ListKind, item: &str) -> Option<(String, String)> {
    let members = Members::of(item).ok()?;
    let (raw, name) = (members.get(kind.subject())?, members.text(kind.subject())?);
    let shown = kind.expose(scope, server, &name);
    if *shown == *name {
        return Some((shown, item.to_owned()));
    }
    let start = raw.as_ptr() as usize - item.as_ptr() as usize;
    let (before, after) = (&item[..start], &item[start + raw.len()..]);
    let item = format!("{before}{}{after}", quoted(&shown));
    Some((shown, item))
}

/// Names that occur more than once. None of them can be called, so none is shown.
fn collisions(shown: &[(String, String)]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut twice: Vec<String> = Vec::new();
    for (name, _) in shown {
        if !seen.insert(name) && !twice.contains(name) {
            tracing::warn!(%name, "several servers offer this name: it is left out");
            twice.push(name.clone());
        }
    }
    twice
}
