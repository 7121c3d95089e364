//! Where calls go, told as stories.

mod common;

use common::{list, router, rule, tool};
use mcp_router::{Action, Argument, Ask, Capabilities, Condition, Mirror, Offer, OfferError};
use mcp_router::{Rule, SERVERS_MAX, Scalar, Share, Verdict};

fn argument(at: &str, is: Condition) -> Vec<Argument> {
    vec![Argument::new(at, is)]
}

#[test]
fn the_first_that_holds_wins() {
    let router = router(vec![
        rule("writes", |rule| rule.when.tools = list(["write_*"])),
        rule("of ci", |rule| rule.when.clients = list(["ci-*"])),
        rule("all tools", |rule| rule.when.tools = list(["*"])),
    ]);
    let to = |ask: &Ask<'_>| match router.route(ask).verdict {
        Verdict::Route(server) => server.to_owned(),
        other => format!("{other:?}"),
    };
    let mut ask = tool("write_file");
    ask.client = Some("ci-7");
    assert_eq!(to(&ask), "writes");
    ask.tool = Some("read_file");
    assert_eq!(to(&ask), "of ci");
    ask.client = None;
    assert_eq!(to(&ask), "all tools");
    ask.tool = None;
    assert_eq!(to(&ask), "Pass", "a glob holds of no name that is not there");
    let stats = router.stats();
    let matches: Vec<_> = stats.rules.iter().map(|rule| (&*rule.name, rule.matches)).collect();
    assert_eq!(matches, [("writes", 1), ("of ci", 1), ("all tools", 1)]);
    assert_eq!(stats.unmatched, 1);
}

#[test]
fn arguments_decide() {
    let cases = [
        (r#"{"a":{"b":"x"}}"#, "/a/b", Condition::Equals(Scalar::Text("x".into())), true),
        (r#"{"a":1.0}"#, "/a", Condition::Equals(Scalar::Number(1.0)), true),
        (r#"{"a":"1"}"#, "/a", Condition::Equals(Scalar::Number(1.0)), false),
        (r#"{"a":null}"#, "/a", Condition::Exists(true), true),
        (r#"{"a":null}"#, "/a", Condition::Equals(Scalar::Null), true),
        (r#"{"b":null}"#, "/a", Condition::Equals(Scalar::Null), false),
        ("", "/a", Condition::Exists(false), true),
        (r#"{"a":["/etc/passwd"]}"#, "/a/0", Condition::Glob("/etc/*".into()), true),
        (r#"{"a":"\/etc\/x"}"#, "/a", Condition::Glob("/etc/*".into()), true),
        (r#"{"a":3}"#, "/a", Condition::Greater(3.0), false),
        (r#"{"a":3.5}"#, "/a", Condition::Greater(3.0), true),
        (r#"{"a":-1}"#, "/a", Condition::Less(0.0), true),
        (r#"{"a":"9"}"#, "/a", Condition::Greater(1.0), false),
        (r#"{"a":true}"#, "/a", Condition::OneOf(vec![Scalar::Null, Scalar::Bool(true)]), true),
    ];
    for (arguments, at, is, holds) in cases {
        let router =
            router(vec![rule("one", |rule| rule.when.arguments = argument(at, is.clone()))]);
        let mut ask = tool("t");
        ask.arguments = arguments;
        assert_eq!(router.route(&ask).rule.is_some(), holds, "{arguments} {at} {is:?}");
    }
}

#[test]
fn a_refusal_is_not_dodged_by_what_cannot_be_read() {
    let secret = || argument("/path", Condition::Glob("/etc/*".into()));
    let router = router(vec![
        rule("route", |rule| rule.when.arguments = secret()),
        rule("deny", |rule| {
            rule.when.arguments = secret();
            rule.then = Action::Deny("not for you".into());
        }),
    ]);
    let verdict = |arguments| {
        let mut ask = tool("read");
        ask.arguments = arguments;
        router.route(&ask).verdict
    };
    assert_eq!(verdict(r#"{"path":"/etc/passwd"}"#), Verdict::Route("route"));
    assert_eq!(verdict(r#"{"path":"/home"}"#), Verdict::Pass);
    assert_eq!(verdict(r#"{"path":"/home","path":"/etc/x"}"#), Verdict::Route("route"));
    for unreadable in ["{", "\u{1}", "[1,]", r#"{"path":"/home"}}"#] {
        assert_eq!(verdict(unreadable), Verdict::Deny("not for you"), "{unreadable}");
    }
    // Half a surrogate pair: JavaScript reads it, as what no string in Rust can be.
    for half in [r#"{"path":"\ud800/etc/x"}"#, r#"{"\ud800":1,"path":"/home"}"#] {
        assert_eq!(verdict(half), Verdict::Deny("not for you"), "{half}");
    }
    assert_eq!(verdict(r#"{"x":"\ud800","path":"/etc/x"}"#), Verdict::Route("route"));
}

#[test]
fn what_goes_with_a_route() {
    let router = router(vec![
        rule("canary", |rule| {
            rule.when.methods = list(["tools/call"]);
            rule.then = Action::Split(vec![Share::new("old", 9), Share::new("new", 1)]);
            rule.mirror = Some(Mirror::new("shadow", 0.25));
            (rule.priority, rule.fallback) = (Some(10), Some("spare".into()));
        }),
        rule("urgent", |rule| (rule.then, rule.priority) = (Action::Pass, Some(9))),
    ]);
    let (mut new, mut mirrored, mut both) = (0, 0, 0);
    for key in 0..10_000 {
        let mut ask = tool("t");
        ask.key = key;
        let decision = router.route(&ask);
        assert_eq!((decision.priority, decision.fallback), (Some(10), Some("spare")));
        let (is_new, copy) = (decision.verdict == Verdict::Route("new"), decision.mirror.is_some());
        new += u64::from(is_new);
        mirrored += u64::from(copy);
        both += u64::from(is_new && copy);
    }
    assert!((900..1_100).contains(&new), "{new}");
    assert!((2_400..2_600).contains(&mirrored), "{mirrored}");
    assert!((200..300).contains(&both), "chances that do not depend on each other: {both}");
    assert_eq!(router.stats().mirrored, mirrored);
    let decision = router.route(&Ask::new("ping"));
    assert_eq!(
        (decision.rule, decision.verdict, decision.priority),
        (Some(1), Verdict::Pass, Some(9))
    );
}

#[test]
fn counters_live_on_when_rules_change() {
    let before = router(vec![rule("a", |_| ()), rule("b", |_| ())]);
    let _ = before.route(&tool("t"));
    let after =
        before.changed(vec![rule("new", |rule| rule.when.tools = list(["u"])), rule("a", |_| ())]);
    let after = after.unwrap();
    // A decision that is still made by the old rules.
    let _ = before.route(&tool("t"));
    let _ = after.route(&tool("t"));
    let counts: Vec<_> = after.stats().rules.into_iter().map(|rule| rule.matches).collect();
    assert_eq!(counts, [0, 3]);
    assert!(before.changed(vec![Rule::new("")]).is_err());
}

#[test]
fn what_never_decides_is_warned_of() {
    let router = router(vec![
        rule("reads", |rule| rule.when.tools = list(["read_*", "list"])),
        rule("read file", |rule| {
            rule.when.tools = list(["read_file"]);
            rule.when.servers = list(["files"]);
        }),
        rule("writes", |rule| rule.when.tools = list(["write_*"])),
        rule("all", |_| ()),
        rule("late", |rule| rule.when.methods = list(["ping"])),
    ]);
    let warnings: Vec<_> = router.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "rule 1 (`read file`) never decides: rule 0 (`reads`) holds whenever it does; put it \
             before that one, or leave it out",
            "rule 4 (`late`) never decides: rule 3 (`all`) holds whenever it does; put it before \
             that one, or leave it out",
        ]
    );
}

#[test]
fn a_refusal_is_not_covered_by_a_route_that_asks_the_same() {
    let secret = |rule: &mut Rule| {
        rule.when.arguments = argument("/path", Condition::Glob("/etc/*".into()));
    };
    let deny = |rule: &mut Rule| {
        secret(rule);
        rule.then = Action::Deny("no".into());
    };
    // What cannot be read is refused by the second, which the first does not hold of.
    let after = router(vec![rule("route", secret), rule("deny", deny)]);
    assert_eq!(after.warnings(), []);
    let before = router(vec![rule("deny", deny), rule("route", secret)]);
    assert_eq!(before.warnings().len(), 1);
}

#[test]
fn servers_by_what_they_have() {
    let offer = |server: &str, tags: &[&str], tools: &[&str]| {
        let mut offer = Offer::new(server);
        offer.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        offer.tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
        offer
    };
    let all = Capabilities::new([
        offer("a", &["gpu", "eu"], &["draw", "read"]),
        offer("b", &["eu"], &["read"]),
        offer("c", &[], &["draw"]),
    ]);
    let all = all.unwrap();
    let who = |of: &Capabilities, tool, tags: &[&str]| {
        of.who_has(tool, tags).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(who(&all, Some("draw"), &[]), ["a", "c"]);
    assert_eq!(who(&all, Some("draw"), &["gpu", "eu"]), ["a"]);
    assert_eq!(who(&all, None, &["eu"]), ["a", "b"]);
    assert_eq!(who(&all, None, &[]), ["a", "b", "c"]);
    assert_eq!(who(&all, Some("none"), &[]), [""; 0]);
    let next = all.changed(offer("a", &[], &[])).unwrap().without("c");
    assert_eq!(who(&next, Some("draw"), &[]), [""; 0]);
    assert_eq!(who(&all, Some("draw"), &[]), ["a", "c"], "what was is as it was");

    let many = (0..SERVERS_MAX).map(|server| offer(&server.to_string(), &["t"], &[]));
    let many = Capabilities::new(many).unwrap();
    assert_eq!(many.who_has(None, &["t"]).count(), SERVERS_MAX);
    let error = many.changed(offer("more", &[], &[])).unwrap_err();
    assert_eq!(error, OfferError::TooManyServers("more".into()));
    assert!(many.without("7").changed(offer("more", &[], &[])).is_ok());
    assert!(many.changed(offer("7", &["u"], &[])).is_ok(), "one that is known is no more");
    let wide = offer("wide", &[], &vec!["t"; 10_001]);
    assert!(Capabilities::new([wide]).is_err());
}
