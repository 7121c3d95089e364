//! Lists of tools, prompts, resources and tasks: of one server, and of many put together.

mod cursor;
mod merged;
mod page;

use crate::scope::Scope;
use crate::server::Server;

pub(crate) use self::merged::merged;
pub(crate) use self::page::fetch;

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
    Tasks,
}

impl ListKind {
    /// The lists that a server's catalog remembers.
    pub(crate) const ALL: [Self; 4] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    pub(crate) fn of(method: &str) -> Option<Self> {
        let every = Self::ALL.into_iter().chain([Self::Tasks]);
        every.into_iter().find(|kind| kind.method() == method)
    }

    fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Tasks => "tasks/list",
        }
    }

    fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
            Self::Tasks => "tasks",
        }
    }

    /// The member of the result that has the items.
    fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Tasks => "tasks",
        }
    }

    /// The member of an item that identifies it.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
            Self::Tasks => "taskId",
        }
    }

    /// Whether clients use the items by name, so that two of one name are one too many.
    fn is_called_by_name(self) -> bool {
        self != Self::Tasks
    }

    fn expose(self, scope: &Scope, server: &Server, name: &str) -> String {
        match self {
            Self::Tools | Self::Prompts => scope.expose(server, name),
            Self::Resources | Self::Templates => scope.expose_uri(server, name),
            Self::Tasks => name.to_owned(),
        }
    }
}
