//! What can change about a server, and how much of it somebody has yet to hear.

use std::collections::BTreeSet;
use std::sync::Arc;

use mcp_wire::Members;

/// Some of the lists that a server announces changes of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists(u8);

impl Lists {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const TOOLS: Self = Self(1);
    pub(crate) const PROMPTS: Self = Self(2);
    /// Templates are resources here: the protocol has one announcement for both.
    pub(crate) const RESOURCES: Self = Self(4);
    pub(crate) const ALL: Self = Self(7);

    const EACH: [(Self, &'static str, &'static str, &'static str); 3] = [
        (Self::TOOLS, "tools", "toolsListChanged", "notifications/tools/list_changed"),
        (Self::PROMPTS, "prompts", "promptsListChanged", "notifications/prompts/list_changed"),
        (
            Self::RESOURCES,
            "resources",
            "resourcesListChanged",
            "notifications/resources/list_changed",
        ),
    ];

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The list that a notification of this method is about.
    pub(crate) fn changed_by(method: &str) -> Option<Self> {
        Self::EACH.iter().find(|each| each.3 == method).map(|each| each.0)
    }

    /// The lists whose changes a server announces, by its capabilities.
    pub(crate) fn announced(capabilities: &Members<'_>) -> Self {
        let announces = |name: &str| {
            let capability = capabilities.object(name).ok().flatten();
            capability.is_some_and(|members| members.get("listChanged") == Some("true"))
        };
        Self::of(announces, |each| each.1)
    }

    /// The lists that the filter of a `subscriptions/listen` names.
    pub(crate) fn named(filter: &Members<'_>) -> Self {
        Self::of(|name| filter.get(name) == Some("true"), |each| each.2)
    }

    fn of(
        has: impl Fn(&str) -> bool,
        name: impl Fn(&(Self, &'static str, &'static str, &'static str)) -> &'static str,
    ) -> Self {
        let found = Self::EACH.iter().filter(|each| has(name(each)));
        found.fold(Self::NONE, |all, each| all.with(each.0))
    }

    /// The members of such a filter that name these lists, as JSON text.
    pub(crate) fn as_filter(self) -> String {
        let named = Self::EACH.iter().filter(|each| self.contains(each.0));
        named.map(|each| format!("\"{}\":true", each.2)).collect::<Vec<_>>().join(",")
    }

    /// One of them, if there is one.
    fn first(self) -> Option<Self> {
        Self::EACH.iter().map(|each| each.0).find(|each| self.contains(*each))
    }

    /// The method of the notification that one list has changed.
    fn method(self) -> &'static str {
        Self::EACH.iter().find(|each| each.0 == self).map_or("", |each| each.3)
    }
}

/// Something that a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// This one list.
    List(Lists),
    /// The resource with this URI of the server's own.
    Resource(Arc<str>),
}

impl Change {
    /// The method of the notification that says so.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::List(list) => list.method(),
            Self::Resource(_) => "notifications/resources/updated",
        }
    }
}

/// Changes that a listener has yet to hear of: a set, not a queue, so that a thousand changes of one
/// thing are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(super) lists: Lists,
    pub(super) resources: BTreeSet<Arc<str>>,
}

impl Pending {
    /// The next change, lists first.
    pub(super) fn take(&mut self) -> Option<Change> {
        if let Some(list) = self.lists.first() {
            self.lists = self.lists.without(list);
            return Some(Change::List(list));
        }
        self.resources.pop_first().map(Change::Resource)
    }
}
