//! What a string of the file consists of: literal text and `${...}` references.

use super::text::HIDDEN;

/// A part of a template, in order; together they are all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Stands for itself. `$VAR` and a lone `$` are literal.
    Literal(&'t str),
    /// `$${`, which stands for `${`.
    Escape,
    /// `${body}`, found at this byte of the template.
    Reference { body: &'t str, at: usize },
    /// `${` without its `}`: the rest of the template.
    Unterminated { rest: &'t str, at: usize },
}

/// Takes a template apart. A reference ends at its first `}`: nothing nests.
pub(super) fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(dollar) = template[at..].find('$') {
        at += dollar;
        let rest = &template[at..];
        let escape = rest.starts_with("$${");
        if !escape && !rest.starts_with("${") {
            at += 1;
            continue;
        }
        if start < at {
            pieces.push(Piece::Literal(&template[start..at]));
        }
        if escape {
            pieces.push(Piece::Escape);
            at += "$${".len();
        } else if let Some(end) = rest.find('}') {
            pieces.push(Piece::Reference { body: &rest[2..end], at });
            at += end + 1;
        } else {
            pieces.push(Piece::Unterminated { rest, at });
            return pieces;
        }
        start = at;
    }
    if start < template.len() {
        pieces.push(Piece::Literal(&template[start..]));
    }
    pieces
}

/// How much of a template may be shown. References always are, since they name a secret without
/// holding it; their defaults are literal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// All of it.
    Open,
    /// No literal text, except the scheme that begins an `Authorization` header.
    Hidden,
    /// No literal text behind the first of this character.
    Behind(char),
}

/// The template as `Debug` shows it.
pub(super) fn shown(template: &str, mask: Mask) -> String {
    match mask {
        Mask::Open => template.to_owned(),
        Mask::Hidden => hide(template),
        Mask::Behind(mark) => match template.split_once(mark) {
            Some((head, tail)) => format!("{head}{mark}{}", hide(tail)),
            None => template.to_owned(),
        },
    }
}

fn hide(template: &str) -> String {
    let mut shown = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Reference { body, .. } => {
                let (name, default) = match body.split_once(":-") {
                    Some((name, _)) => (name, ":-***"),
                    None => (body, ""),
                };
                shown.extend(["${", name, default, "}"]);
            }
            Piece::Literal(scheme @ ("Bearer " | "Basic " | "Token ")) if shown.is_empty() => {
                shown.push_str(scheme);
            }
            Piece::Literal(_) | Piece::Escape | Piece::Unterminated { .. } => {
                if !shown.ends_with(HIDDEN) {
                    shown.push_str(HIDDEN);
                }
            }
        }
    }
    if shown.is_empty() { HIDDEN.to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart() {
        let reference = |body, at| Piece::Reference { body, at };
        let table = [
            ("", vec![]),
            ("a$b$", vec![Piece::Literal("a$b$")]),
            ("${A}", vec![reference("A", 0)]),
            (
                "a${A}${B}c",
                vec![
                    Piece::Literal("a"),
                    reference("A", 1),
                    reference("B", 5),
                    Piece::Literal("c"),
                ],
            ),
            ("$${A}", vec![Piece::Escape, Piece::Literal("A}")]),
            ("$$${A}", vec![Piece::Literal("$"), Piece::Escape, Piece::Literal("A}")]),
            ("x${A", vec![Piece::Literal("x"), Piece::Unterminated { rest: "${A", at: 1 }]),
            ("é${é}", vec![Piece::Literal("é"), reference("é", 2)]),
        ];
        for (template, expected) in table {
            assert_eq!(pieces(template), expected, "{template}");
        }
    }

    #[test]
    fn hides() {
        let table = [
            ("hunter2", Mask::Hidden, "***"),
            ("", Mask::Hidden, "***"),
            ("Bearer ${env:T}", Mask::Hidden, "Bearer ${env:T}"),
            ("Bearer hunter2", Mask::Hidden, "***"),
            ("${A}Bearer ${B}", Mask::Hidden, "${A}***${B}"),
            ("${T:-hunter2}x$${y", Mask::Hidden, "${T:-***}***"),
            ("--key=hunter2", Mask::Behind('='), "--key=***"),
            ("--verbose", Mask::Behind('='), "--verbose"),
            ("http://h/p?k=${K}", Mask::Behind('?'), "http://h/p?***${K}"),
        ];
        for (template, mask, expected) in table {
            assert_eq!(shown(template, mask), expected, "{template}");
        }
    }
}
