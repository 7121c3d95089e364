//! Reading the arguments of a tool, with errors that a model can act on.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// What a caller did wrong, and how to do it right: one sentence or two, for a model to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misuse(pub(super) String);

impl Misuse {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The arguments that a tool was called with.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    given: Map<String, Value>,
}

impl Arguments {
    /// Reads `json`, an object.
    pub(super) fn read(json: &str) -> Result<Self, Misuse> {
        let given = serde_json::from_str(json);
        let given = given.map_err(|_| Misuse::new("`arguments` must be a JSON object."))?;
        Ok(Self { given })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, Misuse> {
        self.get(name, Value::as_str, "a string")
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, Misuse> {
        self.get(name, Value::as_f64, "a number")
    }

    pub(super) fn list(&self, name: &str) -> Result<&[Value], Misuse> {
        self.get(name, |value| value.as_array().map(Vec::as_slice), "a list")
    }

    pub(super) fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Misuse> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let read = |value: &Value| whole(value).filter(|whole| range.contains(whole));
        self.get(name, read, &expected)
    }

    fn get<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<T, Misuse> {
        let value = self.given.get(name).and_then(read);
        value.ok_or_else(|| Misuse(format!("`{name}` must be {expected}.")))
    }
}

/// JSON Schema counts 3.0 among the integers.
fn whole(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15);
    value.as_i64().or_else(|| float().map(|float| float as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_expected() {
        let arguments = Arguments::read(r#"{"text":"t","three":3.0,"half":0.5}"#).unwrap();
        assert_eq!(arguments.text("text"), Ok("t"));
        assert_eq!(arguments.integer("three", 1..=3), Ok(3));
        let wrong = |why: &str| Misuse::new(why);
        assert_eq!(arguments.text("half"), Err(wrong("`half` must be a string.")));
        let whole = wrong("`half` must be a whole number from 0 to 9.");
        assert_eq!(arguments.integer("half", 0..=9), Err(whole));
        assert_eq!(arguments.list("none"), Err(wrong("`none` must be a list.")));
        assert!(Arguments::read("[]").is_err());
    }
}
