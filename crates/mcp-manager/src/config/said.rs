//! Which key was said where: for those who ask why a setting is what it is.

use super::problem::Place;

/// A key of a `manager` block, as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// What it is said of.
    pub of: Of,
    /// The key.
    pub key: String,
    /// Where; the origin of what a preset says is `preset NAME`.
    pub place: Place,
}

/// What a key is said of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Of {
    /// The server; `None`: all.
    pub server: Option<String>,
    /// The pattern of `tools` that it stands under, if it does.
    pub tools: Option<String>,
}
