//! What holds whatever happens.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{first, router, rule};
use mcp_router::{Action, Argument, Ask, Capabilities, Condition, Offer, Rule, Scalar, Share};
use mcp_router::{Verdict, Warning};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names that are often alike, and globs of them.
fn name() -> impl Strategy<Value = String> {
    "[ab]{1,2}"
}

fn globs() -> impl Strategy<Value = Vec<String>> {
    let long = Just("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa*".to_owned());
    vec(prop_oneof![20 => "[ab]{1,2}", 20 => "[ab*?]{1,3}", 1 => long], 0..3)
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        Just(Scalar::Null),
        any::<bool>().prop_map(Scalar::Bool),
        (-2..3_i8).prop_map(|number| Scalar::Number(number.into())),
        name().prop_map(Scalar::Text),
    ]
}

fn argument() -> impl Strategy<Value = Argument> {
    let is = prop_oneof![
        scalar().prop_map(Condition::Equals),
        vec(scalar(), 1..3).prop_map(Condition::OneOf),
        any::<bool>().prop_map(Condition::Exists),
        "[ab*?]{1,3}".prop_map(Condition::Glob),
        (-2..3_i8).prop_map(|number| Condition::Greater(number.into())),
        (-2..3_i8).prop_map(|number| Condition::Less(number.into())),
    ];
    // More places than are kept of one call.
    ("(/[a-h]|/[ab]/[01]|)", is).prop_map(|(at, is)| Argument::new(at, is))
}

fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    let tags = || vec("[xyz]", 0..2);
    let names = (globs(), globs(), globs(), globs());
    let one = (names, tags(), tags(), vec(argument(), 0..2), any::<bool>());
    vec(one, 0..most).prop_map(|all| {
        let made =
            all.into_iter().enumerate().map(|(index, (names, any, every, arguments, deny))| {
                rule(&index.to_string(), |rule| {
                    let when = &mut rule.when;
                    (when.methods, when.tools, when.servers, when.clients) = names;
                    (when.tags.any, when.tags.all, when.arguments) = (any, every, arguments);
                    if deny {
                        rule.then = Action::Deny("no".to_owned());
                    }
                })
            });
        made.collect()
    })
}

#[derive(Clone, Debug)]
struct Call {
    method: String,
    tool: Option<String>,
    server: Option<String>,
    client: Option<String>,
    tags: Vec<String>,
    arguments: String,
}

fn call() -> impl Strategy<Value = Call> {
    let value = "-?[012]|\"[ab]{1,2}\"|null|true|\\[1,null\\]|\\{\"0\":\"a\"\\}";
    let object = vec(("[a-h]", value), 0..4).prop_map(|entries| {
        let entries: Vec<_> =
            entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", entries.join(","))
    });
    let arguments = prop_oneof![8 => object, 1 => Just(String::new()), 1 => "[{\\[\"a1]{1,3}"];
    let tool = prop_oneof![20 => "[ab]{0,3}", 1 => "a{34,40}"];
    let others = (prop::option::of(tool), prop::option::of(name()), prop::option::of(name()));
    (name(), others, vec("[xyz]", 0..3), arguments).prop_map(
        |(method, (tool, server, client), tags, arguments)| Call {
            method,
            tool,
            server,
            client,
            tags,
            arguments,
        },
    )
}

/// Asks of this call with these tags.
fn ask<'a>(call: &'a Call, tags: &'a [&'a str]) -> Ask<'a> {
    let mut ask = Ask::new(&call.method);
    (ask.tool, ask.server) = (call.tool.as_deref(), call.server.as_deref());
    (ask.client, ask.tags) = (call.client.as_deref(), tags);
    ask.arguments = &call.arguments;
    ask
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_decided_is_what_a_scan_decides(rules in rules(40), calls in vec(call(), 1..30)) {
        let router = router(rules);
        let mut decided = 0;
        for call in &calls {
            let tags: Vec<_> = call.tags.iter().map(String::as_str).collect();
            let ask = ask(call, &tags);
            let decision = router.route(&ask);
            prop_assert_eq!(decision.rule, first(router.rules(), &ask), "{:?}", call);
            prop_assert_eq!(router.route(&ask), decision);
            decided += 2 * u64::from(decision.rule.is_some());
        }
        let stats = router.stats();
        let matches: u64 = stats.rules.iter().map(|rule| rule.matches).sum();
        prop_assert_eq!(matches, decided);
        prop_assert_eq!(matches + stats.unmatched, 2 * calls.len() as u64);
    }

    #[test]
    fn what_is_warned_of_never_decides(rules in rules(12), calls in vec(call(), 1..8)) {
        let router = router(rules);
        let never: BTreeSet<_> = router.warnings().iter().map(|warning| warning.rule).collect();
        for call in &calls {
            let tags: Vec<_> = call.tags.iter().map(String::as_str).collect();
            let rule = router.route(&ask(call, &tags)).rule;
            prop_assert!(!rule.is_some_and(|rule| never.contains(&rule)));
        }
    }

    /// Whatever a rule looks like, a copy of it later is seen to be in vain.
    #[test]
    fn a_copy_is_warned_of(rules in rules(8)) {
        let count = rules.len();
        let copies = rules.iter().cloned().map(|mut copy| {
            copy.name.push_str(" again");
            copy
        });
        let router = router(rules.iter().cloned().chain(copies).collect());
        let never: BTreeSet<_> =
            router.warnings().iter().map(|Warning { rule, .. }| *rule).collect();
        prop_assert!((count..2 * count).all(|copy| never.contains(&copy)));
    }

    #[test]
    fn nothing_that_is_said_is_a_panic(
        at in "\\PC{0,6}", glob in "\\PC{1,6}", text in "\\PC{0,12}", arguments in "\\PC{0,20}",
    ) {
        let rule = rule("one", |rule| {
            rule.when.tools = vec![glob.clone()];
            rule.when.arguments = vec![Argument::new(at, Condition::Glob(glob))];
        });
        if let Ok(router) = mcp_router::Router::new(vec![rule], mcp_router::Config::default()) {
            let mut ask = common::tool(&text);
            ask.arguments = &arguments;
            let _ = router.route(&ask);
        }
    }

    #[test]
    fn shares_are_by_weight(weights in vec(0..5_u32, 1..5), seed in any::<u64>()) {
        let all: u32 = weights.iter().sum();
        prop_assume!(all > 0);
        let shares = weights.iter().enumerate();
        let shares = shares.map(|(at, weight)| Share::new(at.to_string(), *weight)).collect();
        let router = router(vec![rule("one", |rule| rule.then = Action::Split(shares))]);
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        const CALLS: u32 = 4_000;
        for call in 0..CALLS {
            let mut ask = Ask::new("ping");
            // Keys that differ little are as good as random ones.
            ask.key = seed.wrapping_add(call.into());
            let Verdict::Route(server) = router.route(&ask).verdict else { panic!("no server") };
            *counts.entry(server.to_owned()).or_default() += 1.0;
        }
        for (at, weight) in weights.iter().enumerate() {
            let has = counts.get(&at.to_string()).copied().unwrap_or(0.0) / f64::from(CALLS);
            let wanted = f64::from(*weight) / f64::from(all);
            prop_assert!((has - wanted).abs() < 0.05, "{at}: {has} for {wanted}");
            prop_assert!(*weight > 0 || has == 0.0);
        }
    }

    #[test]
    fn who_has_it_is_who_offered_it(
        events in vec((0..6_u8, prop::option::of((vec("[xyz]", 0..3), vec("[abc]", 0..3)))), 0..30),
        tool in prop::option::of("[abc]"),
        tags in vec("[xyz]", 0..2),
    ) {
        let mut offers: BTreeMap<String, Offer> = BTreeMap::new();
        let mut capabilities = Capabilities::default();
        for (server, event) in events {
            let server = server.to_string();
            if let Some((tags, tools)) = event {
                let mut offer = Offer::new(&*server);
                (offer.tags, offer.tools) = (tags, tools);
                capabilities = capabilities.changed(offer.clone()).unwrap();
                offers.insert(server, offer);
            } else {
                capabilities = capabilities.without(&server);
                offers.remove(&server);
            }
        }
        let has = |offer: &&Offer| {
            tool.as_ref().is_none_or(|tool| offer.tools.contains(tool))
                && tags.iter().all(|tag| offer.tags.contains(tag))
        };
        let wanted: BTreeSet<_> = offers.values().filter(has).map(|one| &*one.server).collect();
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        let found: Vec<_> = capabilities.who_has(tool.as_deref(), &tags).collect();
        prop_assert_eq!(found.len(), wanted.len());
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
        prop_assert_eq!(capabilities.len(), offers.len());
    }
}
