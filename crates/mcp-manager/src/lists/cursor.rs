//! The cursors of merged lists: sealed, because they carry those of the servers; and all that there
//! is, because nothing is kept for whoever asks for a first page and never for the second.

use mcp_wire::{Request, quoted};

use super::ListKind;
use super::page::Start;
use crate::failure::Failure;
use crate::scope::Scope;
use crate::seal::Seal;

/// A place in the lists of several servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The server, by its position in the scope.
    pub(super) server: usize,
    /// Which page of its list.
    pub(super) start: Start,
    /// How many items of that page were shown already.
    pub(super) skip: usize,
}

impl Place {
    /// Where the page that `request` asks for begins.
    pub(super) fn of(
        seal: &Seal,
        scope: &Scope,
        kind: ListKind,
        request: &Request,
    ) -> Result<Self, Failure> {
        let params = request.params();
        let cursor = params.as_ref().and_then(|params| params.get("cursor"));
        // Some clients write out what they leave open.
        let Some(cursor) = cursor.filter(|cursor| *cursor != "null") else {
            return Ok(Self::default());
        };
        let opened = mcp_wire::unquoted(cursor)
            .and_then(|sealed| seal.open(&purpose(scope, kind), &sealed))
            .and_then(|text| Self::parsed(&text, scope));
        opened.ok_or_else(|| Failure::Params {
            why: format!(
                "the cursor is none of ours for {}, or from before a restart: list from the start",
                kind.method()
            ),
        })
    }

    /// As a client carries it, as JSON text.
    pub(super) fn sealed(&self, seal: &Seal, scope: &Scope, kind: ListKind) -> String {
        let Self { server, start, skip } = self;
        let name = scope.servers().get(*server).map_or("", |server| server.name());
        let cursor = start.cursor.as_deref().unwrap_or("null");
        let text = format!("[{},{cursor},{},{},{skip}]", quoted(name), start.pages, start.items);
        quoted(&seal.close(&purpose(scope, kind), &text))
    }

    fn parsed(text: &str, scope: &Scope) -> Option<Self> {
        let parts = mcp_wire::elements(text)?;
        let [name, cursor, pages, items, skip] = parts[..] else { return None };
        let name = mcp_wire::unquoted(name)?;
        let server = scope.servers().iter().position(|server| server.name() == name)?;
        let cursor = Some(cursor).filter(|cursor| *cursor != "null").map(str::to_owned);
        let start = Start { cursor, pages: pages.parse().ok()?, items: items.parse().ok()? };
        Some(Self { server, start, skip: skip.parse().ok()? })
    }
}

/// A cursor of one list opens no other.
fn purpose(scope: &Scope, kind: ListKind) -> String {
    let names: Vec<String> = scope.servers().iter().map(|server| quoted(server.name())).collect();
    format!("cursor {} {}", kind.method(), names.join(","))
}
