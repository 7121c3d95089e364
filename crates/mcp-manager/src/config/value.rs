//! One string of a server's entry: expanded, checked, and its secrets kept out of sight.

use jsonc_parser::ast::StringLit;
use jsonc_parser::common::Ranged;

use super::expand::{Scope, expand};
use super::problem::{FaultKind, FaultReason, ProblemKind};
use super::report::Report;
use super::suggest::quote;
use super::template::{Mask, Piece, pieces, shown};
use super::text::Text;

/// What is wrong with a value: what it is (after the name of its key), and how to put it right.
/// Never the value itself, which may be a secret.
pub(super) struct Complaint {
    pub(super) what: &'static str,
    pub(super) fix: &'static str,
}

/// Reads the strings of one server.
pub(super) struct Values<'b, 't, 'l> {
    pub(super) report: &'b mut Report<'t>,
    pub(super) scope: &'b Scope<'l>,
    /// What stands in the server's way, so far.
    pub(super) reasons: Vec<FaultReason>,
}

impl Values<'_, '_, '_> {
    /// The value of `lit`, found under `key`. A value that `check` complains about is a mistake of
    /// the file if it is written there, and a fault of this server if it comes from elsewhere.
    pub(super) fn text(
        &mut self,
        key: &str,
        lit: &StringLit<'_>,
        mask: Mask,
        check: impl Fn(&str) -> Option<Complaint>,
    ) -> Text {
        let (value, troubles) = expand(&lit.value, self.scope);
        if troubles.is_empty()
            && let Some(Complaint { what, fix }) = check(&value)
        {
            let what = format!("{} {what}", quote(key));
            if is_literal(&lit.value) {
                self.report.problem(lit.start(), ProblemKind::InvalidValue, what, fix);
            } else {
                self.fault(lit.start(), FaultKind::Value, key, what, fix);
            }
        }
        if mask == Mask::Hidden && is_bare_variable(&lit.value) {
            let text = "`$VAR` is not replaced here, though some clients do; write `${VAR}`";
            self.report.warning(lit.start(), format!("{}: {text}", quote(key)));
        }
        for trouble in troubles {
            self.reasons.push(FaultReason {
                place: self.report.place(offset_in(lit, trouble.at)),
                kind: trouble.kind,
                key: key.to_owned(),
                wanted: trouble.wanted,
                what: format!("{} {}", quote(key), trouble.what),
                fix: trouble.fix,
            });
        }
        Text::new(shown(&lit.value, mask), value)
    }

    pub(super) fn fault(
        &mut self,
        at: usize,
        kind: FaultKind,
        key: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let place = self.report.place(at);
        let (what, fix) = (what.into(), fix.into());
        self.reasons.push(FaultReason {
            place,
            kind,
            key: key.to_owned(),
            wanted: None,
            what,
            fix,
        });
    }
}

/// The operating system ends a string at its first NUL.
pub(super) fn no_nul(value: &str) -> Option<Complaint> {
    value.contains('\0').then_some(Complaint {
        what: "holds a NUL character, which no program can be given",
        fix: "remove it",
    })
}

fn is_literal(template: &str) -> bool {
    pieces(template).iter().all(|piece| matches!(piece, Piece::Literal(_) | Piece::Escape))
}

/// Whether the whole of it is `$NAME`.
fn is_bare_variable(template: &str) -> bool {
    template.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Where byte `at` of a string's value is in the file. An escape makes the two differ in length;
/// then it is the string as a whole.
fn offset_in(lit: &StringLit<'_>, at: usize) -> usize {
    let quotes = 2;
    let exact = lit.range.end - lit.range.start == lit.value.len() + quotes;
    if exact { lit.start() + 1 + at } else { lit.start() }
}
