//! JSON with comments and trailing commas, and nothing looser: what one client reads otherwise
//! than another is refused here.

use jsonc_parser::ast::Value;
use jsonc_parser::errors::ParseErrorKind as Kind;
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind, parse_to_ast};

use super::problem::ProblemKind;
use super::report::Report;

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The syntax tree of `text`; `None` if there is none, and then the report says why. The first
/// mistake is the only one reported, since all that follows one is guesswork.
pub(super) fn parse<'t>(text: &'t str, report: &mut Report<'_>) -> Option<Value<'t>> {
    if let Some(start) = unclosed_string(text) {
        let what = "this string does not end on its line, or holds a control character";
        let fix = "close it with `\"`, or write `\\n` for a line break and `\\t` for a tab";
        report.problem(start, ProblemKind::Syntax, what, fix);
        return None;
    }
    match parse_to_ast(text, &CollectOptions::default(), &OPTIONS) {
        Ok(parsed) => {
            if parsed.value.is_none() {
                let fix = "write {\"mcpServers\": {...}}";
                report.problem(0, ProblemKind::Syntax, "the file is empty", fix);
            }
            parsed.value
        }
        Err(error) => {
            let (what, fix) = explain(error.kind());
            report.problem(error.range().start, ProblemKind::Syntax, what, fix);
            None
        }
    }
}

/// Where the first string begins that holds a control character. JSON has none, the parser lets
/// them pass, and with a forgotten quote it then complains about some later place.
fn unclosed_string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        if *byte == b'"' {
            let start = at;
            at += 1;
            loop {
                match bytes.get(at) {
                    Some(b'"') => break,
                    Some(b'\\') => at += 2,
                    Some(..b' ') => return Some(start),
                    Some(_) => at += 1,
                    None => return None,
                }
            }
            at += 1;
        } else if rest.starts_with(b"//") {
            at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
        } else if rest.starts_with(b"/*") {
            at += 2 + rest[2..].windows(2).position(|pair| pair == b"*/")? + 2;
        } else {
            at += 1;
        }
    }
    None
}

/// Never the text itself, which may be part of a secret.
fn explain(kind: &Kind) -> (&'static str, &'static str) {
    use ParseStringErrorKind as InString;
    match kind {
        Kind::ExpectedComma => ("a `,` is missing here", "add it"),
        Kind::ExpectedColonAfterObjectKey => ("a `:` is missing behind this key", "add it"),
        Kind::ExpectedObjectValue => ("a value is missing behind the `:`", "add it"),
        Kind::ExpectedStringObjectProperty => {
            ("a key is not in double quotes", "write it in double quotes")
        }
        Kind::SingleQuotedStringsNotAllowed => {
            ("a string is in single quotes", "write it in double quotes")
        }
        Kind::UnexpectedWord => {
            ("a word stands where a value belongs", "write text in double quotes")
        }
        Kind::UnexpectedComma => ("there is a `,` too many", "remove it"),
        Kind::UnexpectedCloseBrace => ("there is a `}` where a value belongs", "add the value"),
        Kind::UnexpectedCloseBracket => ("there is a `]` where a value belongs", "add the value"),
        Kind::UnterminatedObject => ("this `{` has no `}`", "add it"),
        Kind::UnterminatedArray => ("this `[` has no `]`", "add it"),
        Kind::UnterminatedCommentBlock => ("this `/*` has no `*/`", "add it"),
        Kind::MultipleRootJsonValues => {
            ("there is something behind the end of the value", "remove it")
        }
        Kind::NestingDepthExceeded => ("values are nested too deeply", "write it flatter"),
        Kind::String(InString::UnterminatedStringLiteral) => {
            ("this string has no closing `\"`", "add it")
        }
        Kind::String(_) => (
            "this escape is not known",
            "write a backslash as `\\\\`, as in \"C:\\\\Users\", or use `/`",
        ),
        Kind::BareDecimalPointNumbersNotAllowed
        | Kind::ExpectedDigit
        | Kind::ExpectedDigitFollowingNegativeSign
        | Kind::ExpectedPlusMinusOrDigitInNumberLiteral
        | Kind::HexadecimalNumbersNotAllowed
        | Kind::NonFiniteNumbersNotAllowed
        | Kind::UnaryPlusNumbersNotAllowed => {
            ("this is not a number in JSON", "write it in plain decimals")
        }
        _ => ("this is no key, value or comment", "write text in double quotes, or remove it"),
    }
}
