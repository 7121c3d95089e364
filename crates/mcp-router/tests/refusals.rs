//! Rules that mean nothing are refused, with what would be right.

mod common;

use common::{list, rule};
use mcp_router::{Action, Argument, Condition, Config, Mirror, Router, Rule, Share};

/// A rule that is well, and after it one that this made wrong.
fn refused(expected: &str, change: impl FnOnce(&mut Rule)) {
    let rules = vec![rule("first", |_| ()), rule("x", change)];
    let error = Router::new(rules, Config::default()).expect_err("a rule that is wrong");
    assert_eq!(error.index, 1);
    assert!(error.to_string().contains(expected), "{error}");
}

fn split(shares: &[(&str, u32)]) -> Action {
    Action::Split(shares.iter().map(|(server, weight)| Share::new(*server, *weight)).collect())
}

#[test]
fn of_what_a_rule_is_and_does() {
    refused("rule 1 (`first`), name: rule 0 has the same name; give each its own", |rule| {
        rule.name = "first".into();
    });
    refused("rule 1 (``), name: empty; write something, or leave it out", |rule| {
        rule.name.clear();
    });
    refused("rule 1 (`x`), then.split: an empty list, which nothing satisfies; name", |rule| {
        rule.then = split(&[]);
    });
    refused("then.split: all weights are 0; give at least one server more", |rule| {
        rule.then = split(&[("a", 0), ("b", 0)]);
    });
    refused("then.split: `a` is named twice; add the weights up", |rule| {
        rule.then = split(&[("a", 1), ("a", 2)]);
    });
    refused("then.split[1].server: empty", |rule| rule.then = split(&[("a", 1), ("", 2)]));
    refused("then.route: empty", |rule| rule.then = Action::Route(String::new()));
    refused("then.deny: longer than 1024 bytes; shorten it", |rule| {
        rule.then = Action::Deny("x".repeat(1_025));
    });
    refused("priority: a priority is 0 to 10", |rule| rule.priority = Some(11));
    refused("fallback: empty", |rule| rule.fallback = Some(String::new()));
    refused("mirror.server: empty", |rule| rule.mirror = Some(Mirror::new("", 1.0)));
    for share in [f64::NAN, 0.0, -1.0, 1.1] {
        refused("mirror.share: a share is more than 0 and at most 1", |rule| {
            rule.mirror = Some(Mirror::new("a", share));
        });
    }
}

#[test]
fn of_what_a_rule_asks() {
    refused("when.tools[1]: empty", |rule| rule.when.tools = list(["a", ""]));
    refused("when.clients: more than 256 entries; make two", |rule| {
        rule.when.clients = vec!["a".into(); 257];
    });
    let there = || Condition::Exists(true);
    let deep = "/0".repeat(17);
    for (at, is, expected) in [
        ("a", there(), "at: not a JSON pointer; begin with `/`"),
        (&*deep, there(), "at: more than 16 steps; look at something higher up"),
        ("/a", Condition::OneOf(vec![]), "is: an empty list"),
        ("/a", Condition::Less(f64::INFINITY), "is: not a finite number"),
        ("/a", Condition::Glob(String::new()), "is: empty"),
    ] {
        refused(&format!("when.arguments[0].{expected}"), |rule| {
            rule.when.arguments = vec![Argument::new(at, is)];
        });
    }
}

#[test]
fn of_more_than_was_allowed() {
    let mut config = Config::default();
    config.rules_max = 1;
    let error = Router::new(vec![Rule::new("a"), Rule::new("b")], config).unwrap_err();
    let expected = "rule 1 (`b`), rules: more than 1 rules; join some, or raise `rules_max`";
    assert_eq!(error.to_string(), expected);
}
