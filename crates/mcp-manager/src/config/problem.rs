//! What is said about a file: problems refuse it, faults set one server aside, notes only inform.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::preset::Preset;

/// A line and a column, both counted from 1; a column is a character, not a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a place in a text is a line and a column")]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where something was found; shown as `path:line:column`, which terminals and editors can follow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The path that was loaded, as it was given.
    pub origin: Arc<str>,
    /// `None` when the whole file is meant.
    pub position: Option<Position>,
}

impl Place {
    /// Whether it is in one of the presets, and not in the file.
    pub(super) fn is_preset(&self) -> bool {
        let name = self.origin.strip_prefix("preset ");
        name.is_some_and(|name| Preset::ALL.iter().any(|preset| preset.name() == name))
    }

    /// The whole file.
    pub(super) fn file(path: &Path) -> Self {
        Self { origin: path.to_string_lossy().into(), position: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{}:{position}", self.origin),
            None => f.write_str(&self.origin),
        }
    }
}

/// Why a file was refused. Nothing of it was used.
///
/// Shown as one line a problem: `path:line:column: what is wrong; how to fix it`. Never shows a
/// value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(first: Problem) -> Self {
        Self { problems: vec![first] }
    }

    /// `None` if there is nothing to complain about.
    pub(super) fn from_problems(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| problem.place.position);
        (!problems.is_empty()).then_some(Self { problems })
    }

    /// Every problem found, in the order of the file; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What sort of mistake, for programs.
    pub kind: ProblemKind,
    /// What is wrong, for people: lower case, no full stop.
    pub what: String,
    /// How to put it right, for people.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.fix)
    }
}

/// The sorts of [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file could not be read, is too large, or is not UTF-8.
    Unreadable,
    /// It is not JSON, even with comments and trailing commas.
    Syntax,
    /// It holds no key under which servers are looked for.
    NoServers,
    /// A key that nobody is known to use.
    UnknownKey,
    /// The same key twice in one object, or two servers of one name.
    Duplicate,
    /// A string where an object belongs, and so on.
    WrongType,
    /// The right type, but a value that means nothing.
    InvalidValue,
    /// Two keys that exclude each other.
    Conflict,
    /// A key that must be there is not.
    Missing,
}

/// Something worth knowing about a file that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Where it is.
    pub place: Place,
    /// How much it matters.
    pub severity: Severity,
    /// For people: lower case, no full stop.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// How much a [`Note`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// Probably not what was meant, or less safe than the author of the file thinks.
    Warning,
}

/// Why one server cannot be started, while the rest of the fleet can.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The server's name.
    pub server: String,
    /// Everything that stands in its way; at least one.
    pub reasons: Vec<FaultReason>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let FaultReason { place, what, fix, .. } = reason;
            write!(f, "{place}: server `{}`: {what}; {fix}", self.server)?;
        }
        Ok(())
    }
}

/// One thing that stands in a server's way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultReason {
    /// Where it is.
    pub place: Place,
    /// What sort of reason, for programs.
    pub kind: FaultKind,
    /// The key of the server's entry, such as `env.TOKEN` or `args[2]`.
    pub key: String,
    /// The variable, input or file that was asked for, if one was.
    pub wanted: Option<String>,
    /// What is wrong, for people; names the key.
    pub what: String,
    /// How to put it right, for people.
    pub fix: String,
}

/// The sorts of [`FaultReason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A variable or an input has no value.
    Unset,
    /// A file that a value or `envFile` names could not be used.
    File,
    /// A `${...}` that cannot be understood.
    Reference,
    /// A value is meaningless once its references are replaced.
    Value,
}
