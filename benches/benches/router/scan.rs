//! Rules without an index: one after the other.

use globset::{Glob, GlobMatcher, GlobSet, GlobSetBuilder};
use mcp_router::{Ask, Condition, Rule, Scalar};
use serde_json::Value;

/// A list of names, taken apart as far as a scan can.
enum Names {
    Exact(Vec<String>),
    Globs(Vec<GlobMatcher>),
}

struct One {
    methods: Names,
    tools: Names,
    servers: Names,
    clients: Names,
    arguments: Vec<(String, String)>,
}

pub(crate) struct Scan(Vec<One>);

impl Scan {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let one = |rule: &Rule| One {
            methods: Names::new(&rule.when.methods),
            tools: Names::new(&rule.when.tools),
            servers: Names::new(&rule.when.servers),
            clients: Names::new(&rule.when.clients),
            arguments: rule
                .when
                .arguments
                .iter()
                .map(|one| (one.at.clone(), text(&one.is)))
                .collect(),
        };
        Self(rules.iter().map(one).collect())
    }

    pub(crate) fn first(&self, ask: &Ask<'_>) -> Option<usize> {
        // Read once, and only if a rule asks.
        let mut tree: Option<Value> = None;
        self.0.iter().position(|rule| {
            rule.tools.hold(ask.tool)
                && rule.servers.hold(ask.server)
                && rule.clients.hold(ask.client)
                && rule.methods.hold(Some(ask.method))
                && rule.arguments.iter().all(|(at, value)| {
                    let read = || serde_json::from_str(ask.arguments).unwrap_or_default();
                    let found = tree.get_or_insert_with(read).pointer(at);
                    found.and_then(Value::as_str) == Some(value)
                })
        })
    }
}

impl Names {
    fn new(list: &[String]) -> Self {
        if list.iter().any(|one| one.contains(['*', '?'])) {
            Self::Globs(list.iter().map(|one| glob(one).compile_matcher()).collect())
        } else {
            Self::Exact(list.to_vec())
        }
    }

    fn hold(&self, name: Option<&str>) -> bool {
        match (self, name) {
            (Self::Exact(list), _) if list.is_empty() => true,
            (Self::Exact(list), Some(name)) => list.iter().any(|one| one == name),
            (Self::Globs(list), Some(name)) => list.iter().any(|one| one.is_match(name)),
            (_, None) => false,
        }
    }
}

fn glob(text: &str) -> Glob {
    Glob::new(text).expect("a glob")
}

/// The benchmark's rules have no other conditions.
fn text(condition: &Condition) -> String {
    match condition {
        Condition::Equals(Scalar::Text(text)) => text.clone(),
        other => panic!("no rule here says {other:?}"),
    }
}

/// The globs of tools of these rules, one each.
pub(crate) fn globset(rules: &[Rule]) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for rule in rules {
        builder.add(glob(&rule.when.tools[0]));
    }
    builder.build().expect("a set of globs")
}
