//! Takes values of the syntax tree as what they should be, and reports those that are not.

use std::collections::HashMap;

use jsonc_parser::ast::{Array, Object, ObjectProp, StringLit, Value};
use jsonc_parser::common::Ranged;

use super::problem::ProblemKind;
use super::report::Report;
use super::suggest::quote;

/// What a value is, as a message says it.
pub(super) fn noun(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(lit) => {
            if lit.value {
                "`true`"
            } else {
                "`false`"
            }
        }
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::NullKeyword(_) => "`null`",
    }
}

pub(super) fn wrong_type(
    key: &str,
    value: &Value<'_>,
    expected: &str,
    fix: &str,
    report: &mut Report<'_>,
) {
    let what = format!("{}: expected {expected}, found {}", quote(key), noun(value));
    report.problem(value.start(), ProblemKind::WrongType, what, fix);
}

pub(super) fn invalid(
    key: &str,
    at: usize,
    what: impl std::fmt::Display,
    fix: &str,
    report: &mut Report<'_>,
) {
    let what = format!("{}: {what}", quote(key));
    report.problem(at, ProblemKind::InvalidValue, what, fix);
}

pub(super) fn object<'v, 'a>(
    key: &str,
    value: &'v Value<'a>,
    fix: &str,
    report: &mut Report<'_>,
) -> Option<&'v Object<'a>> {
    let object = value.as_object();
    if object.is_none() {
        wrong_type(key, value, "an object", fix, report);
    }
    object
}

pub(super) fn array<'v, 'a>(
    key: &str,
    value: &'v Value<'a>,
    fix: &str,
    report: &mut Report<'_>,
) -> Option<&'v Array<'a>> {
    let array = value.as_array();
    if array.is_none() {
        wrong_type(key, value, "an array", fix, report);
    }
    array
}

pub(super) fn string<'v, 'a>(
    key: &str,
    value: &'v Value<'a>,
    fix: &str,
    report: &mut Report<'_>,
) -> Option<&'v StringLit<'a>> {
    let string = value.as_string_lit();
    if string.is_none() {
        wrong_type(key, value, "a string", fix, report);
    }
    string
}

pub(super) fn boolean(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<bool> {
    let boolean = value.as_boolean_lit().map(|lit| lit.value);
    if boolean.is_none() {
        wrong_type(key, value, "`true` or `false`", "write it without quotes", report);
    }
    boolean
}

/// The properties of an object, each key once: the first one stands, later ones are reported.
/// Most parsers keep the last and say nothing, which is how half a fleet disappears.
pub(super) fn properties<'v, 'a>(
    object: &'v Object<'a>,
    report: &mut Report<'_>,
) -> Vec<&'v ObjectProp<'a>> {
    let mut seen = HashMap::new();
    let mut once = Vec::with_capacity(object.properties.len());
    for property in &object.properties {
        let at = property.name.start();
        match seen.get(property.name.as_str()) {
            None => {
                seen.insert(property.name.as_str(), at);
                once.push(property);
            }
            Some(first) => duplicate("key", property.name.as_str(), *first, at, report),
        }
    }
    once
}

pub(super) fn duplicate(
    noun: &str,
    name: &str,
    first: usize,
    second: usize,
    report: &mut Report<'_>,
) {
    let first = report.position(first);
    let what = format!("duplicate {noun} {}, first at {first}", quote(name));
    report.problem(second, ProblemKind::Duplicate, what, "remove or rename one of them");
}

/// The strings of an array, each with its place.
pub(super) fn strings<'v, 'a>(
    key: &str,
    value: &'v Value<'a>,
    report: &mut Report<'_>,
) -> Vec<&'v StringLit<'a>> {
    let Some(array) = array(key, value, "write a list of strings: [\"...\", \"...\"]", report)
    else {
        return Vec::new();
    };
    let mut strings = Vec::with_capacity(array.elements.len());
    for (index, element) in array.elements.iter().enumerate() {
        let key = format!("{key}[{index}]");
        strings.extend(string(&key, element, "write it in double quotes", report));
    }
    strings
}
