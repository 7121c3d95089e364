//! What a server is known to offer: names that lead back, and headers that tools demand.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use mcp_wire::Members;

use crate::header_params::{HeaderParams, header_params};
use crate::lists::ListKind;
use crate::names::{Label, Stripped};

/// Names that are remembered per server and kind.
const NAMES_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tools: HashMap<Box<str>, Tool>,
    prompts: HashSet<Box<str>>,
    resources: HashSet<Box<str>>,
    templates: HashSet<Box<str>>,
    /// What names that cannot be told from themselves stand for: the exposed form without the
    /// server's part.
    shortened: HashMap<Box<str>, Box<str>>,
}

#[derive(Debug)]
struct Tool {
    headers: HeaderParams,
    /// Whether it changes nothing.
    read_only: bool,
    /// Whether a call that may have been carried out does no harm when it is made again.
    repeatable: bool,
}

impl Catalog {
    /// Remembers the items (JSON texts) of a list that the server gave. `anew`: instead of what is
    /// known already; otherwise beside it, because sessions of different clients may differ.
    pub(crate) fn learn<'i>(
        &self,
        kind: ListKind,
        items: impl Iterator<Item = &'i str>,
        label: &Label,
        anew: bool,
    ) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if anew {
            known.forget(kind);
        }
        for item in items {
            let Ok(members) = Members::of(item) else { continue };
            let Some(name) = members.text(kind.subject()) else { continue };
            if known.count(kind) >= NAMES_MAX {
                return;
            }
            if matches!(kind, ListKind::Tools | ListKind::Prompts)
                && let Some(Stripped::Hashed(tail)) = label.strip(&label.expose(&name))
            {
                known.shortened.insert(tail.into(), name.as_ref().into());
            }
            let name: Box<str> = name.as_ref().into();
            match kind {
                ListKind::Tools => {
                    let schema = members.get("inputSchema").unwrap_or("{}");
                    let headers = header_params(schema);
                    let read_only = says(&members, &["readOnlyHint"]);
                    let repeatable = says(&members, &["readOnlyHint", "idempotentHint"]);
                    known.tools.insert(name, Tool { headers, read_only, repeatable });
                }
                ListKind::Prompts => _ = known.prompts.insert(name),
                ListKind::Resources => _ = known.resources.insert(name),
                ListKind::Templates => _ = known.templates.insert(name),
                ListKind::Tasks => {}
            }
        }
    }

    /// Whether the server is known to offer it.
    pub(crate) fn offers(&self, kind: ListKind, name: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match kind {
            ListKind::Tools => known.tools.contains_key(name),
            ListKind::Prompts => known.prompts.contains(name),
            ListKind::Resources => known.resources.contains(name),
            ListKind::Templates => known.templates.iter().any(|template| fits(template, name)),
            ListKind::Tasks => false,
        }
    }

    /// Whether the server is known to list exactly this.
    pub(crate) fn lists(&self, kind: ListKind, name: &str) -> bool {
        match kind {
            ListKind::Templates => {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
                known.templates.contains(name)
            }
            _ => self.offers(kind, name),
        }
    }

    /// The server's own name for a shortened one, if it is known.
    pub(crate) fn original(&self, tail: &str) -> Option<Box<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.shortened.get(tail).cloned()
    }

    /// The headers that a call of `tool` has to carry; `None` if the tool is not known.
    pub(crate) fn headers(&self, tool: &str) -> Option<HeaderParams> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tools.get(tool).map(|tool| tool.headers.clone())
    }

    /// Whether `tool` is known to do no harm when it is called twice.
    pub(crate) fn is_repeatable(&self, tool: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tools.get(tool).is_some_and(|tool| tool.repeatable)
    }

    /// Whether `tool` is known to change nothing.
    pub(crate) fn is_read_only(&self, tool: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tools.get(tool).is_some_and(|tool| tool.read_only)
    }

    /// How many tools are known.
    pub(crate) fn tools(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).tools.len()
    }
}

impl Known {
    fn forget(&mut self, kind: ListKind) {
        match kind {
            ListKind::Tools => self.tools.clear(),
            ListKind::Prompts => self.prompts.clear(),
            ListKind::Resources => self.resources.clear(),
            ListKind::Templates => self.templates.clear(),
            ListKind::Tasks => {}
        }
    }

    fn count(&self, kind: ListKind) -> usize {
        match kind {
            ListKind::Tools => self.tools.len(),
            ListKind::Prompts => self.prompts.len(),
            ListKind::Resources => self.resources.len(),
            ListKind::Templates => self.templates.len(),
            ListKind::Tasks => 0,
        }
    }
}

/// Whether a tool says one of these of itself: that it changes nothing, or nothing more when it is
/// called again.
fn says(tool: &Members<'_>, hints: &[&str]) -> bool {
    let Ok(Some(annotations)) = tool.object("annotations") else { return false };
    hints.iter().any(|hint| annotations.get(hint) == Some("true"))
}

/// Whether `uri` can be an expansion of `template` (RFC 6570): what stands between the
/// expressions occurs in it, in order.
fn fits(template: &str, uri: &str) -> bool {
    let mut rest = uri;
    let mut pieces = template.split('{');
    let first = pieces.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for piece in pieces {
        let literal = piece.split_once('}').map_or("", |(_, literal)| literal);
        let Some(at) = rest.find(literal) else { return false };
        rest = &rest[at + literal.len()..];
    }
    template.ends_with('}') || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_matched_by_what_stands_between() {
        assert!(fits("note:///{key}", "note:///a/b"));
        assert!(fits("test://template/{id}/data", "test://template/7/data"));
        assert!(!fits("test://template/{id}/data", "test://template/7/date"));
        assert!(!fits("note:///{key}", "file:///a"));
        assert!(!fits("a{x}b", "abc"));
    }
}
