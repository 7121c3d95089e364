//! One page of one server's list, and the walk from page to page.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_wire::{Era, Members, Message, Request, elements, stateless_meta};

use super::ListKind;
use crate::client::{Client, converse};
use crate::failure::Failure;
use crate::server::{Server, offers};
use crate::upstream::{Upstream, own_info};

/// Pages and items that one walk through a server's list may have: a cursor may lead in a circle,
/// and a list may have no end.
const PAGES_MAX: usize = 100;
const ITEMS_MAX: usize = 10_000;

/// A page as the server sent it.
#[derive(Debug)]
pub(super) struct Page {
    message: Message,
    kind: ListKind,
    /// The cursor that led here, as JSON text.
    pub(super) cursor: Option<String>,
    /// The cursor that leads on.
    pub(super) next: Option<String>,
}

/// Where a walk begins: after so many pages and items, with this cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) cursor: Option<String>,
    pub(super) pages: usize,
    pub(super) items: usize,
}

/// The pages of one server that were read at once.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) pages: Vec<Page>,
    pub(super) end: End,
}

/// Why a walk did not go further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The list is over.
    Whole,
    /// There is enough for now.
    Enough,
    /// The list is longer than any may be.
    Cut,
}

impl Page {
    fn new(message: Message, kind: ListKind, cursor: Option<String>) -> Self {
        let result = message.result_json().and_then(|result| Members::of(result).ok());
        let next = result.as_ref().and_then(|result| result.get("nextCursor"));
        let next = next.filter(|next| *next != "null").map(str::to_owned);
        Self { message, kind, cursor, next }
    }

    /// The items, as JSON texts.
    pub(super) fn items(&self) -> Vec<&str> {
        let result = self.message.result_json().and_then(|result| Members::of(result).ok());
        let list = result.as_ref().and_then(|result| result.get(self.kind.member()));
        list.and_then(elements).unwrap_or_default()
    }
}

/// Reads the pages of a list from `start` on until `enough` items are there, for `client` if its
/// session is used. `meta` is that of the client's request, if there is one.
pub(super) async fn walk(
    server: &Server,
    upstream: &Arc<Upstream>,
    client: Option<&Arc<Client>>,
    kind: ListKind,
    meta: Option<&str>,
    start: Start,
    enough: usize,
) -> Result<Walk, Failure> {
    let from_the_beginning = start == Start::default();
    let Start { mut cursor, pages: before, mut items } = start;
    let mut pages: Vec<Page> = Vec::new();
    let mut seen: HashSet<String> = cursor.iter().cloned().collect();
    let mut count = 0;
    let end = loop {
        if !offers(upstream, kind.capability()) {
            break End::Whole;
        }
        let message = ask(server, upstream, client, kind, meta, cursor.as_deref()).await?;
        let page = Page::new(message, kind, cursor.take());
        let length = page.items().len();
        (count, items) = (count + length, items + length);
        cursor = page.next.clone();
        pages.push(page);
        let Some(next) = &cursor else { break End::Whole };
        let circle = !seen.insert(next.clone());
        if circle || before + pages.len() >= PAGES_MAX || items >= ITEMS_MAX {
            break End::Cut;
        }
        if count >= enough {
            break End::Enough;
        }
    };
    // What was read in part says nothing of what is not there any more.
    let anew = client.is_none() && from_the_beginning && end == End::Whole;
    let texts = pages.iter().flat_map(Page::items).take(ITEMS_MAX);
    server.catalog().learn(kind, texts, server.label(), anew);
    Ok(Walk { pages, end })
}

/// Reads a whole list, for what the catalog remembers of it.
pub(crate) async fn fetch(
    server: &Server,
    upstream: &Arc<Upstream>,
    kind: ListKind,
) -> Result<(), Failure> {
    walk(server, upstream, None, kind, None, Start::default(), ITEMS_MAX).await.map(drop)
}

async fn ask(
    server: &Server,
    upstream: &Arc<Upstream>,
    client: Option<&Arc<Client>>,
    kind: ListKind,
    meta: Option<&str>,
    cursor: Option<&str>,
) -> Result<Message, Failure> {
    let params = params(upstream.era(), cursor, meta);
    let request = Request::read(Message::request("0", kind.method(), &params))?;
    let page = match converse(client, server, upstream, request).await {
        Ok(page) => page,
        Err(error) => return Err(upstream.explain(error).await),
    };
    match page.error_json() {
        None => Ok(page),
        Some(error) => {
            let why = format!("{} was answered with {error}", kind.method());
            Err(Failure::Protocol { server: server.name().to_owned(), why })
        }
    }
}

fn params(era: Era, cursor: Option<&str>, meta: Option<&str>) -> String {
    // What a client of the other era put into its `_meta` means nothing to this server.
    let meta = match (era, meta) {
        (Era::Modern, Some(meta)) => Some(format!("\"_meta\":{meta}")),
        (Era::Modern, None) => {
            let own = stateless_meta(mcp_wire::MODERN_VERSION, "{}", Some(&own_info()));
            Some(format!("\"_meta\":{{{own}}}"))
        }
        (Era::Legacy, _) => None,
    };
    let cursor = cursor.map(|cursor| format!("\"cursor\":{cursor}"));
    let members: Vec<String> = [cursor, meta].into_iter().flatten().collect();
    format!("{{{}}}", members.join(","))
}
