//! What a rule is: when it holds, and what then.

/// A rule: when it holds, and what is done then. The first that holds wins.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[non_exhaustive]
pub struct Rule {
    /// What people and counters call it; no two rules have the same.
    pub name: String,
    /// What has to be so. Default: nothing, and the rule always holds.
    #[cfg_attr(feature = "serde", serde(default))]
    pub when: Match,
    /// What is done. Default: [`Action::Pass`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub then: Action,
    /// Who gets a copy of some of the calls. Default: nobody.
    #[cfg_attr(feature = "serde", serde(default))]
    pub mirror: Option<Mirror>,
    /// How urgent the call is, 0 to 10, 10 the most. Default: what it would be without the rule.
    #[cfg_attr(feature = "serde", serde(default))]
    pub priority: Option<u8>,
    /// Who is asked when nobody else can answer. Default: nobody.
    #[cfg_attr(feature = "serde", serde(default))]
    pub fallback: Option<String>,
}

impl Rule {
    /// A rule that always holds and changes nothing.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What has to be so for a rule to hold: all of it. An empty list asks for nothing.
///
/// Names are matched by globs: `*` is any text (dots and slashes too), `?` one character. A list holds
/// if one of its globs does, and no glob holds of a name that is not there, not even `*`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields, default))]
#[non_exhaustive]
pub struct Match {
    /// Methods, such as `tools/call`.
    pub methods: Vec<String>,
    /// Tools, as their server names them.
    pub tools: Vec<String>,
    /// Servers that the call would go to without any rule.
    pub servers: Vec<String>,
    /// Clients, by the name under which the caller knows them.
    pub clients: Vec<String>,
    /// Tags of the call.
    pub tags: Tags,
    /// What the call's arguments have to say; all of it.
    pub arguments: Vec<Argument>,
}

/// Which tags a call has to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields, default))]
#[non_exhaustive]
pub struct Tags {
    /// One of these, unless there are none.
    pub any: Vec<String>,
    /// And all of these.
    pub all: Vec<String>,
}

/// What one of the arguments has to be.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[non_exhaustive]
pub struct Argument {
    /// Where it is: a JSON pointer (RFC 6901) from the arguments on, such as `/filter/0/name`.
    pub at: String,
    /// What it has to be.
    pub is: Condition,
}

impl Argument {
    /// What is at this place is so.
    #[must_use]
    pub fn new(at: impl Into<String>, is: Condition) -> Self {
        Self { at: at.into(), is }
    }
}

/// What an argument has to be. Of one that is not there only `Exists(false)` holds.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub enum Condition {
    /// It is this.
    Equals(Scalar),
    /// It is one of these.
    OneOf(Vec<Scalar>),
    /// It is there, whatever it is, or is not there.
    Exists(bool),
    /// It is a text that this glob matches.
    Glob(String),
    /// It is a number above this.
    Greater(f64),
    /// It is a number below this.
    Less(f64),
}

/// A value that is no array and no object. Numbers are doubles, as in JavaScript: beyond 2^53 two that
/// are next to each other may be the same.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(untagged))]
#[expect(clippy::exhaustive_enums, reason = "JSON will have no others")]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// `null`.
    Null,
}

/// What is done with a call.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub enum Action {
    /// It goes where it would go without any rule, and no later rule is asked.
    #[default]
    Pass,
    /// It goes to this server.
    Route(String),
    /// It goes to one of these, each by its weight.
    Split(Vec<Share>),
    /// It is refused, for this reason.
    Deny(String),
}

/// A server's share of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[non_exhaustive]
pub struct Share {
    /// The server.
    pub server: String,
    /// How much it gets, of the sum of all; 0 for nothing.
    pub weight: u32,
}

impl Share {
    /// A server and its weight.
    #[must_use]
    pub fn new(server: impl Into<String>, weight: u32) -> Self {
        Self { server: server.into(), weight }
    }
}

/// Who gets a copy of some of the calls.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[non_exhaustive]
pub struct Mirror {
    /// The server.
    pub server: String,
    /// Of how many; 0 to 1. Default: 1, and so of all.
    #[cfg_attr(feature = "serde", serde(default = "all"))]
    pub share: f64,
}

#[cfg(feature = "serde")]
fn all() -> f64 {
    1.0
}

impl Mirror {
    /// This server gets a copy of this share of the calls.
    #[must_use]
    pub fn new(server: impl Into<String>, share: f64) -> Self {
        Self { server: server.into(), share }
    }
}
