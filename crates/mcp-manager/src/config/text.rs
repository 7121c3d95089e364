//! A string that may hold a secret, and never shows one by accident.

use std::fmt;

/// A value from the file, after its `${...}` were replaced.
///
/// `Debug` and `Display` show it as it is written in the file (`Bearer ${env:TOKEN}`), with
/// literal text in sensitive places (`env`, `headers`, the query of a URL, the argument after a
/// flag such as `--api-key`) shown as `***`. The value itself is handed out by
/// [`expose`](Self::expose) alone, so that a search for that word finds every place that can leak.
///
/// Two texts are equal when their values are, however they were written: a server whose
/// `${PORT}` became a literal `8080` of the same value has not changed.
#[derive(Clone)]
pub struct Text {
    shown: Box<str>,
    value: Box<str>,
}

impl Text {
    /// A value that may be shown as it is.
    pub fn plain(value: impl Into<String>) -> Self {
        let value = value.into().into_boxed_str();
        Self { shown: value.clone(), value }
    }

    /// A value that is shown as `***`.
    pub fn secret(value: impl Into<String>) -> Self {
        Self::new(HIDDEN, value)
    }

    pub(super) fn new(shown: impl Into<Box<str>>, value: impl Into<String>) -> Self {
        Self { shown: shown.into(), value: value.into().into_boxed_str() }
    }

    /// The value, secrets included. Give it to the operating system or the network, not to a log.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

/// What stands for text that is not shown.
pub(super) const HIDDEN: &str = "***";

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.shown, f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Text {}

impl From<&str> for Text {
    fn from(value: &str) -> Self {
        Self::plain(value)
    }
}

impl From<String> for Text {
    fn from(value: String) -> Self {
        Self::plain(value)
    }
}
