//! One page of one server's list, and the walk from page to page.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use mcp_wire::{Era, Members, Message, Request, elements, stateless_meta};

use super::ListKind;
use crate::client::{Client, converse};
use crate::failure::Failure;
use crate::link::own_info;
use crate::server::{Server, offers};
use crate::upstream::Upstream;

/// Pages and items that one walk through a server's list may have: a cursor may lead in a circle,
/// and a list may have no end.
const PAGES_MAX: usize = 100;
const ITEMS_MAX: usize = 10_000;
/// Bytes of a list that are read for the catalog: all its pages are held until the last is there.
const FETCH_BYTES_MAX: usize = 64 << 20;

/// A page as the server sent it.
#[derive(Debug)]
pub(super) struct Page {
    message: Message,
    /// Where its items stand: found once, because a page is gone through several times.
    items: Vec<Range<usize>>,
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

/// How much one walk reads, to the end of the page with which it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enough {
    pub(super) items: usize,
    pub(super) bytes: usize,
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
        let list = result.as_ref().and_then(|result| result.get(kind.member()));
        let items = list.and_then(elements).unwrap_or_default();
        // One too many is enough to see that the list is too long.
        let items = items.into_iter().take(ITEMS_MAX + 1);
        let items = items.filter_map(|item| message.range_of(item)).collect();
        Self { message, items, cursor, next }
    }

    /// The items, as JSON texts, if so many stand `before` this page: none beyond the last that is
    /// read of any list.
    pub(super) fn items(&self, before: usize) -> impl ExactSizeIterator<Item = &str> {
        let items = &self.items[..self.items.len().min(ITEMS_MAX.saturating_sub(before))];
        let text = self.message.as_str();
        items.iter().map(move |item| &text[item.clone()])
    }

    fn bytes(&self) -> usize {
        self.message.bytes().len()
    }
}

/// Reads the pages of a list from `start` on until there is `enough`, for `client` if its
/// session is used. `meta` is that of the client's request, if there is one.
pub(super) async fn walk(
    server: &Server,
    upstream: &Arc<Upstream>,
    client: Option<&Arc<Client>>,
    kind: ListKind,
    meta: Option<&str>,
    start: Start,
    enough: Enough,
) -> Result<Walk, Failure> {
    let from_the_beginning = start == Start::default();
    let Start { mut cursor, pages: before, mut items } = start;
    let mut pages: Vec<Page> = Vec::new();
    let mut seen: HashSet<String> = cursor.iter().cloned().collect();
    let (mut count, mut bytes) = (0, 0);
    let end = loop {
        if !offers(upstream, kind.capability()) {
            break End::Whole;
        }
        let message = ask(server, upstream, client, kind, meta, cursor.as_deref()).await?;
        let page = Page::new(message, kind, cursor.take());
        let length = page.items.len();
        (count, items, bytes) = (count + length, items + length, bytes + page.bytes());
        cursor = page.next.clone();
        pages.push(page);
        let Some(next) = &cursor else {
            break if items > ITEMS_MAX { End::Cut } else { End::Whole };
        };
        let circle = !seen.insert(next.clone());
        if circle || before + pages.len() >= PAGES_MAX || items >= ITEMS_MAX {
            break End::Cut;
        }
        if count >= enough.items || bytes >= enough.bytes {
            break End::Enough;
        }
    };
    // What was read in part says nothing of what is not there any more.
    let ours = client.is_none() && server.replica_of(upstream).is_some();
    let anew = ours && from_the_beginning && end == End::Whole;
    let texts = pages.iter().flat_map(|page| page.items(0)).take(ITEMS_MAX);
    server.catalog().learn(kind, texts, server.label(), anew);
    Ok(Walk { pages, end })
}

/// Reads a whole list, for what the catalog remembers of it.
pub(crate) async fn fetch(
    server: &Server,
    upstream: &Arc<Upstream>,
    kind: ListKind,
) -> Result<(), Failure> {
    let enough = Enough { items: ITEMS_MAX, bytes: FETCH_BYTES_MAX };
    walk(server, upstream, None, kind, None, Start::default(), enough).await.map(drop)
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
