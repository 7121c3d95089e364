//! Reads `rules`: where calls go that do not go where their name says.

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;
use mcp_router::{Action, Router, Rule};
use serde_json::{Map, Number};

use super::decode::array;
use super::problem::{Problem, ProblemKind};
use super::report::Report;
use super::spec::ServerSpec;
use super::suggest::quote;

const FIX: &str = "write [{\"name\": \"...\", \"when\": {...}, \"then\": {...}}, ...]";

/// The rules, unless one of them is wrong: then the report says why.
pub(super) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Vec<Rule> {
    let Some(array) = array("rules", value, FIX, report) else { return Vec::new() };
    let (mut rules, mut places) = (Vec::new(), Vec::new());
    for (index, element) in array.elements.iter().enumerate() {
        let at = element.start();
        match serde_json::from_value::<Rule>(json(element)) {
            Ok(rule) => {
                if !(rule.when.tags.any.is_empty() && rule.when.tags.all.is_empty()) {
                    let what = format!("`rules[{index}]`: calls have no tags here");
                    report.problem(at, ProblemKind::InvalidValue, what, "remove `tags`");
                }
                rules.push(rule);
                places.push(at);
            }
            Err(error) => {
                let what = format!("`rules[{index}]`: {error}");
                report.problem(at, ProblemKind::InvalidValue, what, FIX);
            }
        }
    }
    if rules.len() < array.elements.len() {
        return Vec::new();
    }
    match Router::new(rules.clone(), mcp_router::Config::default()) {
        Ok(router) => {
            for warning in router.warnings() {
                let at = places.get(warning.rule).copied().unwrap_or_default();
                report.warning(at, format!("`rules[{}]`: {warning}", warning.rule));
            }
            report.rules = places;
            rules
        }
        Err(error) => {
            let at = places.get(error.index).copied().unwrap_or_else(|| value.start());
            let what = format!("`rules[{}]`, `{}`: {}", error.index, error.field, error.problem);
            report.problem(at, ProblemKind::InvalidValue, what, FIX);
            Vec::new()
        }
    }
}

/// Says which of the servers that rules name do not exist.
pub(super) fn check_servers(rules: &[Rule], servers: &[ServerSpec], report: &mut Report<'_>) {
    let places = std::mem::take(&mut report.rules);
    for ((index, rule), at) in rules.iter().enumerate().zip(places) {
        for name in named(rule) {
            if !servers.iter().any(|server| server.name == name) {
                let what = format!("`rules[{index}]`: there is no server {}", quote(name));
                let fix = "write the name of a server of this file".to_owned();
                let (place, kind) = (report.place(at), ProblemKind::InvalidValue);
                report.problems.push(Problem { place, kind, what, fix });
            }
        }
    }
}

/// The servers that a rule sends calls to.
fn named(rule: &Rule) -> Vec<&str> {
    let mut names = Vec::new();
    match &rule.then {
        Action::Route(server) => names.push(&**server),
        Action::Split(shares) => names.extend(shares.iter().map(|share| &*share.server)),
        _ => {}
    }
    names.extend(rule.mirror.as_ref().map(|mirror| &*mirror.server));
    names.extend(rule.fallback.as_deref());
    names
}

/// The value without the places of its parts.
fn json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::StringLit(lit) => lit.value.clone().into_owned().into(),
        Value::NumberLit(lit) => {
            lit.value.parse::<Number>().map_or(serde_json::Value::Null, Into::into)
        }
        Value::BooleanLit(lit) => lit.value.into(),
        Value::Object(object) => {
            let property = |property: &jsonc_parser::ast::ObjectProp<'_>| {
                (property.name.as_str().to_owned(), json(&property.value))
            };
            object.properties.iter().map(property).collect::<Map<_, _>>().into()
        }
        Value::Array(array) => array.elements.iter().map(json).collect::<Vec<_>>().into(),
        Value::NullKeyword(_) => serde_json::Value::Null,
    }
}
