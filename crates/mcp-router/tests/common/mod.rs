//! Rules and calls, and what is right by definition.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

use mcp_router::{Action, Argument, Ask, Condition, Config, Router, Rule, Scalar};
use serde_json::Value;

pub(crate) fn router(rules: Vec<Rule>) -> Router {
    Router::new(rules, Config::default()).expect("rules that are well")
}

/// A rule of this name that routes to a server of the same name.
pub(crate) fn rule(name: &str, change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule::new(name);
    rule.then = Action::Route(name.to_owned());
    change(&mut rule);
    rule
}

pub(crate) fn list<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

pub(crate) fn tool(name: &str) -> Ask<'_> {
    let mut ask = Ask::new("tools/call");
    ask.tool = Some(name);
    ask
}

/// The first rule that holds, by the definition and nothing cleverer.
pub(crate) fn first(rules: &[Rule], ask: &Ask<'_>) -> Option<usize> {
    rules.iter().position(|rule| holds(rule, ask))
}

fn holds(rule: &Rule, ask: &Ask<'_>) -> bool {
    let when = &rule.when;
    let named = |globs: &[String], name: Option<&str>| {
        globs.is_empty()
            || name
                .is_some_and(|name| globs.iter().any(|one| glob(one.as_bytes(), name.as_bytes())))
    };
    let has = |tag: &String| ask.tags.contains(&tag.as_str());
    named(&when.methods, Some(ask.method))
        && named(&when.tools, ask.tool)
        && named(&when.servers, ask.server)
        && named(&when.clients, ask.client)
        && (when.tags.any.is_empty() || when.tags.any.iter().any(has))
        && when.tags.all.iter().all(has)
        && when.arguments.iter().all(|one| says(one, ask.arguments, &rule.then))
}

/// Of ASCII, for which bytes are characters.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(found, text)| (*wanted == b'?' || wanted == found) && glob(rest, text)),
    }
}

fn says(argument: &Argument, text: &str, then: &Action) -> bool {
    // No arguments at all: nothing is anywhere, not even at the top.
    let tree = match serde_json::from_str::<Value>(text) {
        Ok(tree) => Some(tree),
        Err(_) if text.is_empty() => None,
        Err(_) => return matches!(then, Action::Deny(_)),
    };
    let found = tree.as_ref().and_then(|tree| tree.pointer(&argument.at));
    let equals = |scalar: &Scalar| match scalar {
        Scalar::Null => found == Some(&Value::Null),
        Scalar::Bool(value) => found == Some(&Value::Bool(*value)),
        Scalar::Number(value) => found.and_then(Value::as_f64) == Some(*value),
        Scalar::Text(value) => found.and_then(Value::as_str) == Some(value),
    };
    let number = found.and_then(Value::as_f64);
    match &argument.is {
        Condition::Equals(value) => equals(value),
        Condition::OneOf(values) => values.iter().any(equals),
        Condition::Exists(exists) => found.is_some() == *exists,
        Condition::Glob(pattern) => found
            .and_then(Value::as_str)
            .is_some_and(|text| glob(pattern.as_bytes(), text.as_bytes())),
        Condition::Greater(than) => number.is_some_and(|number| number > *than),
        Condition::Less(than) => number.is_some_and(|number| number < *than),
        other => unreachable!("{other:?}"),
    }
}
