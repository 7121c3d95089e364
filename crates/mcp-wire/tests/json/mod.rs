//! JSON texts as somebody else might write them: odd numbers, escapes, spaces, unknown members.

use proptest::prelude::*;
use proptest::sample::select;

/// What may stand between two tokens.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 2 => Just(" "), 1 => select(vec!["\n", "\r\n", "\t", " \r \n"])]
}

/// A number in any form that JSON knows, most of them beyond what a machine's numbers hold.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["0", "-0", "1e400", "1E+2", "0.1e-7", "9007199254740993", "-1.0"])
            .prop_map(str::to_owned),
        r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
    ]
}

/// A string with its quotes.
pub(crate) fn string() -> impl Strategy<Value = String> {
    let escape = select(vec![
        r#"\""#,
        r"\\",
        r"\/",
        r"\b",
        r"\f",
        r"\n",
        r"\r",
        r"\t",
        r"\u0000",
        r"\u00E9",
        r"\u006d",
        r"\ud83d\ude00",
        r"\u2028",
        "é",
        "日本",
        "😀",
        "\u{2028}",
        "__proto__",
    ]);
    let piece = prop_oneof![escape.prop_map(str::to_owned), "[ !#-\\[\\]-~]{0,6}"];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// An id or a progress token.
pub(crate) fn id() -> impl Strategy<Value = String> {
    prop_oneof![number(), string()]
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        string(),
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| prop_oneof![array(inner.clone()), object(inner)])
}

/// What may be the `params` of somebody who is not MCP.
pub(crate) fn array_or_object() -> impl Strategy<Value = String> {
    prop_oneof![array(value()), object(value())]
}

fn array(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((space(), inner, space()), 0..5).prop_map(|all| {
        let all: Vec<_> = all
            .into_iter()
            .map(|(before, value, after)| format!("{before}{value}{after}"))
            .collect();
        format!("[{}]", all.join(","))
    })
}

/// Names may occur twice: what nobody here looks into is not judged.
fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((space(), string(), inner), 0..5).prop_map(|all| {
        let all: Vec<_> = all
            .into_iter()
            .map(|(space, key, value)| format!("{space}{key}{space}:{value}"))
            .collect();
        format!("{{{}}}", all.join(","))
    })
}

/// An object into which members of known names are to be put, at random places among others.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Members that nobody knows, as they are written.
    unknown: Vec<String>,
    places: Vec<prop::sample::Index>,
    space: &'static str,
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    let unknown = prop::collection::vec((space(), "x[a-z]{3}", value()), 0..4);
    let places = prop::collection::vec(any::<prop::sample::Index>(), 4);
    (unknown, places, space()).prop_map(|(unknown, places, space)| {
        let all = unknown.into_iter().enumerate();
        let unknown =
            all.map(|(n, (space, key, value))| format!("{space}\"{key}{n}\"{space}:{value}"));
        Frame { unknown: unknown.collect(), places, space }
    })
}

impl Frame {
    /// The object with these members (at most four), the text `first` before all others.
    pub(crate) fn render(&self, first: &str, known: &[(&str, &str)]) -> String {
        let Self { unknown, places, space } = self;
        let mut all = unknown.clone();
        for ((name, value), place) in known.iter().zip(places) {
            let written = format!("{space}\"{name}\"{space}:{space}{value}{space}");
            all.insert(place.index(all.len() + 1), written);
        }
        let first = if first.is_empty() { String::new() } else { format!("{first},") };
        format!("{{{first}{}}}", all.join(","))
    }
}

/// A whole legal message of any kind.
pub(crate) fn whole() -> impl Strategy<Value = String> {
    let method = || string().prop_map(Some);
    let kind = prop_oneof![
        (id().prop_map(Some), method(), Just("params"), prop::option::of(array_or_object())),
        (Just(None), method(), Just("params"), prop::option::of(array_or_object())),
        (id().prop_map(Some), Just(None), Just("result"), value().prop_map(Some)),
        (prop::option::of(id()), Just(None), Just("error"), value().prop_map(Some)),
    ];
    (frame(), kind).prop_map(|(frame, (id, method, name, body))| {
        let members = [("jsonrpc", Some("\"2.0\"".to_owned())), ("id", id), ("method", method)];
        let all = members.into_iter().chain([(name, body)]);
        let all: Vec<_> = all.filter_map(|(name, value)| Some((name, value?))).collect();
        let all: Vec<_> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        frame.render("", &all)
    })
}
