//! Rules as a file has them.
#![cfg(feature = "serde")]

mod common;

use common::rule;
use mcp_router::{Action, Argument, Condition, Mirror, Rule, Scalar, Share};

#[test]
fn a_rule_is_read_as_it_is_written() {
    let text = r#"{
        "name": "canary",
        "when": {
            "methods": ["tools/call"], "tools": ["fs_*"], "servers": ["files"], "clients": ["ci-?"],
            "tags": { "any": ["a"], "all": ["b", "c"] },
            "arguments": [
                { "at": "/size", "is": { "greater": 1000 } },
                { "at": "/mode", "is": { "oneOf": ["w", 7, true, null] } },
                { "at": "/path", "is": { "glob": "/tmp/*" } }
            ]
        },
        "then": { "split": [{ "server": "old", "weight": 9 }, { "server": "new", "weight": 1 }] },
        "mirror": { "server": "shadow" },
        "priority": 7,
        "fallback": "spare"
    }"#;
    let read: Rule = serde_json::from_str(text).unwrap();
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let scalars =
        vec![Scalar::Text("w".into()), Scalar::Number(7.0), Scalar::Bool(true), Scalar::Null];
    let expected = rule("canary", |rule| {
        let when = &mut rule.when;
        (when.methods, when.tools) = (list(&["tools/call"]), list(&["fs_*"]));
        (when.servers, when.clients) = (list(&["files"]), list(&["ci-?"]));
        (when.tags.any, when.tags.all) = (list(&["a"]), list(&["b", "c"]));
        when.arguments = vec![
            Argument::new("/size", Condition::Greater(1000.0)),
            Argument::new("/mode", Condition::OneOf(scalars)),
            Argument::new("/path", Condition::Glob("/tmp/*".into())),
        ];
        rule.then = Action::Split(vec![Share::new("old", 9), Share::new("new", 1)]);
        rule.mirror = Some(Mirror::new("shadow", 1.0));
        (rule.priority, rule.fallback) = (Some(7), Some("spare".into()));
    });
    assert_eq!(read, expected);

    let then = |text: &str| serde_json::from_str::<Rule>(text).map(|rule| rule.then);
    assert_eq!(then(r#"{"name":"a","then":"pass"}"#).unwrap(), Action::Pass);
    assert_eq!(then(r#"{"name":"a"}"#).unwrap(), Action::Pass);
    assert_eq!(then(r#"{"name":"a","then":{"deny":"no"}}"#).unwrap(), Action::Deny("no".into()));
    assert_eq!(then(r#"{"name":"a","then":{"route":"b"}}"#).unwrap(), Action::Route("b".into()));
}

#[test]
fn a_word_that_is_not_known_is_an_error() {
    for wrong in [
        r#"{"name":"a","wenn":{}}"#,
        r#"{"name":"a","when":{"tool":"x"}}"#,
        r#"{"name":"a","when":{"tags":{"none":[]}}}"#,
        r#"{"name":"a","when":{"arguments":[{"at":"/a","is":{"is":1}}]}}"#,
        r#"{"name":"a","then":{"drop":1}}"#,
        r#"{"name":"a","mirror":{"server":"b","weight":1}}"#,
        r#"{"then":"pass"}"#,
    ] {
        assert!(serde_json::from_str::<Rule>(wrong).is_err(), "{wrong}");
    }
}
