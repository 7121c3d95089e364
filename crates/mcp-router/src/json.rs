//! Reads one value out of a JSON text without building the rest.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::pointer::{Pointer, Token};

/// What is at a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// An array or an object, which is only known to be there.
    Container,
}

/// The text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// What the pointer leads to, if anything does. Of a key that is there twice the last counts, as in
/// `JSON.parse` and Python: a rule has to see what the server will see. An empty text has nothing in it.
pub(crate) fn find<'a>(text: &'a str, pointer: &Pointer) -> Result<Option<Found<'a>>, Unreadable> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let found = At(&pointer.0).deserialize(&mut json).map_err(|_| Unreadable)?;
    json.end().map_err(|_| Unreadable)?;
    Ok(found)
}

/// Looks there; it goes down as far as the pointer does and no further.
struct At<'p>(&'p [Token]);

impl At<'_> {
    #[expect(clippy::unnecessary_wraps, reason = "it is what every visit answers")]
    fn here<'de, E>(&self, found: Found<'de>) -> Result<Option<Found<'de>>, E> {
        Ok(self.0.is_empty().then_some(found))
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Found<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Found<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.here(Found::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.here(Found::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.here(Found::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.here(Found::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.here(Found::Number(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // Only what was escaped comes this way, and only what is looked for is kept.
        Ok(self.0.is_empty().then(|| Found::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.here(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((token, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Some(Found::Container));
        };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(&token.key))? {
            if is_it {
                found = map.next_value_seed(At(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Some((token, rest)) = self.0.split_first() else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Some(Found::Container));
        };
        let mut found = None;
        for index in 0.. {
            if token.index == Some(index) {
                match items.next_element_seed(At(rest))? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this one.
struct Is<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn at<'a>(text: &'a str, pointer: &str) -> Result<Option<Found<'a>>, Unreadable> {
        find(text, &Pointer::parse(pointer).unwrap())
    }

    #[test]
    fn the_value_that_the_server_will_see() {
        let text = r#"{"a":{"b":[1,"two",{"c/d":null}]},"path":"ok","p\u0061th":"/etc"}"#;
        assert_eq!(at(text, "/a/b/0"), Ok(Some(Found::Number(1.0))));
        assert_eq!(at(text, "/a/b/1"), Ok(Some(Found::Text("two".into()))));
        assert_eq!(at(text, "/a/b/2/c~1d"), Ok(Some(Found::Null)));
        assert_eq!(at(text, "/a/b"), Ok(Some(Found::Container)));
        assert_eq!(at(text, ""), Ok(Some(Found::Container)));
        assert_eq!(at(text, "/path"), Ok(Some(Found::Text("/etc".into()))));
        for nothing in ["/a/b/3", "/a/b/-", "/a/b/c", "/b", "/path/x", "/a/b/0/x"] {
            assert_eq!(at(text, nothing), Ok(None), "{nothing}");
        }
        assert_eq!(at("", "/a"), Ok(None));
        for bad in ["{", "{\"a\":1}}", "nope", "{\"a\":1,}", "{\"b\":[1 2]}", "\u{0}", " "] {
            assert_eq!(at(bad, "/a"), Err(Unreadable), "{bad}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(at(&deep, "/0/0/0"), Err(Unreadable));
        let deep = format!("{deep}{}", "]".repeat(100_000));
        assert_eq!(at(&deep, "/0/0/0"), Ok(Some(Found::Container)));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a\"\\\\\n]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab0~/]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn as_the_whole_tree_would_say(
            value in json(),
            steps in prop::collection::vec("[ab01]|~0|~1|a~1|", 0..4),
        ) {
            let pointer: String = steps.iter().map(|step| format!("/{step}")).collect();
            let text = value.to_string();
            let expected = value.pointer(&pointer).map(|value| match value {
                Value::Null => Found::Null,
                Value::Bool(value) => Found::Bool(*value),
                Value::Number(value) => Found::Number(value.as_f64().unwrap()),
                Value::String(text) => Found::Text(Cow::Borrowed(text)),
                Value::Array(_) | Value::Object(_) => Found::Container,
            });
            prop_assert_eq!(at(&text, &pointer), Ok(expected));
        }

        #[test]
        fn no_text_is_a_panic(text in "[\\[\\]{}\":,a0\\\\ ]{0,12}|\\PC{0,12}") {
            let valid = serde_json::from_str::<IgnoredAny>(&text).is_ok() || text.is_empty();
            prop_assert!(valid || at(&text, "/a/0").is_err());
        }
    }
}
