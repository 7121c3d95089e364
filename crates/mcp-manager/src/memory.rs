//! What a client has said that outlives its connections: said again to every connection that takes
//! the place of another.

use std::collections::{BTreeMap, BTreeSet};

/// What a session is made of, beside its connections: enough to open them again, in this process
/// or in a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The params of the client's `initialize`, as JSON text; `None` before it.
    pub params: Option<String>,
    /// The log level that it set last, such as `warning`.
    pub level: Option<String>,
    /// The resources that it is subscribed to: by server, the server's own URIs.
    pub subscriptions: BTreeMap<String, BTreeSet<String>>,
}
