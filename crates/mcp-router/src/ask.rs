//! What a call says of itself, and what is decided of it.

/// A call that wants to know where to go.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// Its method, such as `tools/call`.
    pub method: &'a str,
    /// The tool, as its server names it.
    pub tool: Option<&'a str>,
    /// The server that it would go to without any rule.
    pub server: Option<&'a str>,
    /// Who calls.
    pub client: Option<&'a str>,
    /// What else is known of it.
    pub tags: &'a [&'a str],
    /// The JSON text of its arguments, empty if there are none. It is read only if a rule asks for it.
    pub arguments: &'a str,
    /// What splits and mirrors go by: random bits, or a hash of what is to stay together. The same key
    /// goes to the same server as long as the rule stays the same.
    pub key: u64,
}

impl<'a> Ask<'a> {
    /// A call of this method, of which nothing else is known.
    #[must_use]
    pub fn new(method: &'a str) -> Self {
        Self { method, ..Self::default() }
    }
}

/// What is decided of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'r> {
    /// The rule that decided, by its index; `None` if none held.
    pub rule: Option<usize>,
    /// Where it goes.
    pub verdict: Verdict<'r>,
    /// The server that gets a copy of this call.
    pub mirror: Option<&'r str>,
    /// How urgent it is, 0 to 10, if the rule says so.
    pub priority: Option<u8>,
    /// The server to ask when nobody else can answer.
    pub fallback: Option<&'r str>,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever routes has to know what to do with each")]
pub enum Verdict<'r> {
    /// Where it would go without any rule.
    Pass,
    /// To this server.
    Route(&'r str),
    /// Nowhere, for this reason.
    Deny(&'r str),
}

impl Decision<'_> {
    pub(crate) const NONE: Self =
        Self { rule: None, verdict: Verdict::Pass, mirror: None, priority: None, fallback: None };
}
