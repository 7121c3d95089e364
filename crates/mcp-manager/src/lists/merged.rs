//! The lists of several servers put together, a page at a time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mcp_wire::{Era, Members, Request, quoted};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::cursor::Place;
use super::page::{End, Enough, Start, Walk, walk};
use super::{COLLISIONS, ListKind, MISSING};
use crate::client::Client;
use crate::failure::Failure;
use crate::handles::Owner;
use crate::keep::Keep;
use crate::scope::Scope;
use crate::server::Server;
use crate::stateless;

/// Items and bytes of one page of ours. Many clients never ask for a second page, so nearly
/// everybody's tools fit on the first.
const PAGE_ITEMS: usize = 1_000;
const PAGE_BYTES: usize = 4 << 20;

type Parts = BTreeMap<usize, Result<Walk, Failure>>;

/// One page of the lists of every server in `scope`, in the order of the configuration.
///
/// Every server has its own `list_timeout`: one that does not answer in time is left out and
/// named in `_meta`.
pub(crate) async fn merged(
    keep: &Keep,
    scope: &Scope,
    kind: ListKind,
    client: Option<&Arc<Client>>,
    request: &Request,
) -> Result<String, Failure> {
    let era = if request.version().is_some() { Era::Modern } else { Era::Legacy };
    let place = Place::of(&keep.seal, scope, kind, request)?;
    let mut fetching = JoinSet::new();
    for (index, server) in scope.servers().iter().enumerate().skip(place.server) {
        if server.is_disabled() {
            continue;
        }
        let (start, skip) = match index == place.server {
            true => (place.start.clone(), place.skip),
            false => (Start::default(), 0),
        };
        let (server, client, request) = (Arc::clone(server), client.cloned(), request.clone());
        fetching.spawn(async move {
            let limit = server.settings().list_timeout;
            let enough = Enough { items: PAGE_ITEMS + skip, bytes: PAGE_BYTES };
            let part = part(&server, kind, client, &request, era, start, enough);
            (index, timeout(limit, part).await.unwrap_or_else(|_| Err(late(&server, limit))))
        });
    }
    let parts = fetching.join_all().await.into_iter().collect();
    if let Some(client) = client {
        client.listed();
    }
    Ok(Sheet::new(keep, Owner::of(client, request), scope, kind).fill(&parts, place).render(era))
}

async fn part(
    server: &Arc<Server>,
    kind: ListKind,
    client: Option<Arc<Client>>,
    request: &Request,
    era: Era,
    start: Start,
    enough: Enough,
) -> Result<Walk, Failure> {
    let params = request.params().filter(|_| era == Era::Modern);
    let meta = params.as_ref().and_then(|params| params.get("_meta"));
    let connect = async || match &client {
        Some(client) if era == Era::Legacy => server.session(client).await,
        _ => match server.ours().await? {
            ours if era == Era::Modern && ours.era() == Era::Legacy => {
                stateless::reach(server, client.as_ref(), ours, request).await
            }
            ours => Ok(ours),
        },
    };
    let upstream = connect().await?;
    let client = client.as_ref().filter(|_| era == Era::Legacy);
    match walk(server, &upstream, client, kind, meta, start.clone(), enough).await {
        // Its connection died under it, and to read a list again does no harm.
        Err(_) if !upstream.is_alive() => {
            walk(server, &connect().await?, client, kind, meta, start, enough).await
        }
        read => read,
    }
}

fn late(server: &Server, after: Duration) -> Failure {
    Failure::Timeout { server: server.name().to_owned(), after }
}

/// A page of ours while it is being written.
struct Sheet<'s> {
    keep: &'s Keep,
    owner: Owner,
    scope: &'s Scope,
    kind: ListKind,
    items: String,
    count: usize,
    missing: Vec<String>,
    collisions: Vec<String>,
    next: Option<Place>,
}

impl<'s> Sheet<'s> {
    fn new(keep: &'s Keep, owner: Owner, scope: &'s Scope, kind: ListKind) -> Self {
        let (items, missing, collisions) = (String::new(), Vec::new(), Vec::new());
        Self { keep, owner, scope, kind, items, count: 0, missing, collisions, next: None }
    }

    /// Writes what there is from `place` on, until the sheet is full.
    fn fill(mut self, parts: &Parts, place: Place) -> Self {
        for (index, part) in parts {
            let (start, skip) = match *index == place.server {
                true => (place.start.clone(), place.skip),
                false => (Start::default(), 0),
            };
            match part {
                Ok(walk) => self.add(*index, walk, start, skip),
                Err(failure) => self.lacks(*index, failure.code(), &failure.to_string()),
            }
            if self.next.is_some() {
                break;
            }
        }
        self
    }

    fn add(&mut self, index: usize, walk: &Walk, mut start: Start, mut skip: usize) {
        let server = &self.scope.servers()[index];
        for page in &walk.pages {
            let items = page.items(start.items);
            start.cursor.clone_from(&page.cursor);
            let length = items.len();
            for (position, item) in items.enumerate().skip(skip) {
                if self.is_full(item) {
                    self.next = Some(Place { server: index, start, skip: position });
                    return;
                }
                self.write(server, item);
            }
            skip = 0;
            start.pages += 1;
            start.items += length;
        }
        match walk.end {
            End::Whole => {}
            End::Enough => {
                start.cursor = walk.pages.last().and_then(|page| page.next.clone());
                self.next = Some(Place { server: index, start, skip: 0 });
            }
            End::Cut => {
                let why = format!("its list goes on after {} items: cut", start.items);
                self.lacks(index, "LIST_TRUNCATED", &why);
            }
        }
    }

    /// Whether the next item goes on the next sheet. One always fits.
    fn is_full(&self, item: &str) -> bool {
        self.count >= PAGE_ITEMS || (self.count > 0 && self.items.len() + item.len() > PAGE_BYTES)
    }

    /// Writes an item under the name that the client is to use; the rest of it as the server wrote
    /// it.
    fn write(&mut self, server: &Arc<Server>, item: &str) {
        let Ok(members) = Members::of(item) else { return };
        let subject = self.kind.subject();
        let (Some(raw), Some(name)) = (members.get(subject), members.text(subject)) else { return };
        if self.collides(&name) {
            return;
        }
        if self.kind == ListKind::Tasks {
            self.keep.handles.learn_listed(self.owner, server.id(), &name);
        }
        if self.count > 0 {
            self.items.push(',');
        }
        self.count += 1;
        let shown = self.kind.expose(self.scope, server, &name);
        if *shown == *name {
            self.items.push_str(item);
            return;
        }
        let start = raw.as_ptr() as usize - item.as_ptr() as usize;
        self.items.push_str(&item[..start]);
        self.items.push_str(&quoted(&shown));
        self.items.push_str(&item[start + raw.len()..]);
    }

    /// Whether several servers are known to offer this name and nothing keeps them apart: then it
    /// cannot be called, and is not shown, on whichever page it would stand.
    fn collides(&mut self, name: &str) -> bool {
        if self.scope.prefixes() || !self.kind.is_called_by_name() {
            return false;
        }
        let offers = |server: &&Arc<Server>| server.catalog().lists(self.kind, name);
        if self.scope.servers().iter().filter(offers).nth(1).is_none() {
            return false;
        }
        if !self.collisions.iter().any(|known| known == name) {
            tracing::warn!(%name, "several servers offer this name: it is left out");
            self.collisions.push(name.to_owned());
        }
        true
    }

    fn lacks(&mut self, index: usize, code: &str, why: &str) {
        let (name, why) = (quoted(self.scope.servers()[index].name()), quoted(why));
        self.missing.push(format!(r#"{{"server":{name},"code":"{code}","message":{why}}}"#));
    }

    fn render(self, era: Era) -> String {
        let mut out = String::with_capacity(self.items.len() + 256);
        // Writing to a string does not fail.
        let _ = write!(out, "{{\"{}\":[{}]", self.kind.member(), self.items);
        if let Some(next) = &self.next {
            let _ = write!(
                out,
                ",\"nextCursor\":{}",
                next.sealed(&self.keep.seal, self.scope, self.kind)
            );
        }
        if era == Era::Modern {
            out.push_str(r#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
        }
        if !self.missing.is_empty() || !self.collisions.is_empty() {
            let collisions: Vec<String> = self.collisions.iter().map(|name| quoted(name)).collect();
            let (missing, collisions) = (self.missing.join(","), collisions.join(","));
            let _ = write!(
                out,
                r#","_meta":{{"{MISSING}":[{missing}],"{COLLISIONS}":[{collisions}]}}"#
            );
        }
        out.push('}');
        out
    }
}
