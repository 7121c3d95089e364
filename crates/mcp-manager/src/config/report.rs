//! Collects what is wrong and what is odd in one text, with the place of each.

use std::sync::Arc;

use jsonc_parser::ast::ObjectProp;
use jsonc_parser::common::Ranged;

use super::problem::{Note, Place, Position, Problem, ProblemKind, Severity};
use super::said::{Of, Said};

/// Everything found so far. A mistake is recorded and reading goes on, so that a person sees all
/// of a file's mistakes at once.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    origin: Arc<str>,
    /// Byte offset of the first byte of every line.
    line_starts: Vec<usize>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Note>,
    pub(super) said: Vec<Said>,
    /// Whose block is being read; `None`: that of the root.
    pub(super) server: Option<String>,
    fallbacks: Vec<(Said, String)>,
    /// Where each of the rules is.
    pub(super) rules: Vec<usize>,
}

impl<'t> Report<'t> {
    /// `text` is the file without its byte order mark, so that columns match what editors show.
    pub(super) fn new(text: &'t str, origin: &str) -> Self {
        let bytes = text.as_bytes();
        let mut line_starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            // A lone carriage return ends a line too: the parser ends a `//` comment there.
            let ends = *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
            if ends {
                line_starts.push(at + 1);
            }
        }
        let (problems, notes, said, fallbacks, rules) = Default::default();
        Self {
            text,
            origin: origin.into(),
            line_starts,
            problems,
            notes,
            said,
            server: None,
            fallbacks,
            rules,
        }
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        Place { origin: self.origin.clone(), position: Some(self.position(offset)) }
    }

    pub(super) fn problem(
        &mut self,
        offset: usize,
        kind: ProblemKind,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let place = self.place(offset);
        self.problems.push(Problem { place, kind, what: what.into(), fix: fix.into() });
    }

    pub(super) fn info(&mut self, offset: usize, text: impl Into<String>) {
        let place = self.place(offset);
        self.notes.push(Note { place, severity: Severity::Info, text: text.into() });
    }

    /// Remembers where a key of a `manager` block is.
    pub(super) fn says(&mut self, property: &ObjectProp<'_>) {
        self.says_of(None, property);
    }

    /// The same of a key under the pattern `tools`.
    pub(super) fn says_of_tools(&mut self, tools: &str, property: &ObjectProp<'_>) {
        self.says_of(Some(tools.to_owned()), property);
    }

    /// The servers that are named as a `fallback`, and where.
    pub(super) fn fallbacks(&self) -> impl Iterator<Item = &(Said, String)> {
        self.fallbacks.iter()
    }

    fn says_of(&mut self, tools: Option<String>, property: &ObjectProp<'_>) {
        let of = Of { server: self.server.clone(), tools };
        let place = self.place(property.name.start());
        let said = Said { of, key: property.name.as_str().to_owned(), place };
        if let ("fallback", Some(lit)) = (&*said.key, property.value.as_string_lit()) {
            self.fallbacks.push((said.clone(), lit.value.clone().into_owned()));
        }
        self.said.push(said);
    }

    pub(super) fn warning(&mut self, offset: usize, text: impl Into<String>) {
        let place = self.place(offset);
        self.notes.push(Note { place, severity: Severity::Warning, text: text.into() });
    }
}
