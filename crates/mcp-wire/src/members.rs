//! The members of one JSON object, in order, each as the text it was written in.

use std::borrow::Cow;

use crate::message::unquoted;
use crate::scan::{self, DEPTH_MAX};

/// One level of a JSON object: names decoded, values left as text.
///
/// Used for the few objects that are routed on (`params`, `_meta`). Names that occur twice are
/// refused, because the peer behind us may read the other one.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
}

/// Why a text is not an object that can be routed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// It is not a JSON object.
    #[error("expected a JSON object")]
    NotAnObject,
    /// A name occurs twice.
    #[error("member {name:?} occurs twice")]
    Duplicate {
        /// The name.
        name: String,
    },
}

impl<'a> Members<'a> {
    /// The members of `json`.
    pub fn of(json: &'a str) -> Result<Self, MembersError> {
        let mut members = Vec::with_capacity(4);
        let walked = scan::object(json, DEPTH_MAX, |name, value| {
            // A string that was walked over can be decoded.
            members.push((unquoted(&json[name]).unwrap_or_default(), &json[value]));
        });
        walked.map_err(|_| MembersError::NotAnObject)?;
        match first_duplicate(&members) {
            None => Ok(Self { members }),
            Some(name) => Err(MembersError::Duplicate { name: name.to_owned() }),
        }
    }

    /// The JSON text of the member `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The member `name`, if it is a string.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(unquoted)
    }

    /// The member `name`, if it is an object.
    pub fn object(&self, name: &str) -> Result<Option<Self>, MembersError> {
        self.get(name).map(Members::of).transpose()
    }

    /// All of them, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

/// Quadratic over the few members that a routed object has, hashed beyond.
fn first_duplicate<'m>(members: &'m [(Cow<'_, str>, &str)]) -> Option<&'m str> {
    if members.len() <= 16 {
        let mut rest = members;
        while let Some(((name, _), after)) = rest.split_first() {
            if after.iter().any(|(other, _)| other == name) {
                return Some(name);
            }
            rest = after;
        }
        return None;
    }
    let mut seen = std::collections::HashSet::new();
    members.iter().map(|(name, _)| name.as_ref()).find(|name| !seen.insert(*name))
}

/// The elements of a JSON array, each as the text it was written in.
pub fn elements(json: &str) -> Option<Vec<&str>> {
    let mut all = Vec::new();
    scan::array(json, |element| all.push(&json[element])).ok()?;
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_text() {
        let members = Members::of(r#"{"b": 1.0 ,"a":{"x":[1, 2]},"\u0063":"q\"q"}"#).unwrap();
        let all: Vec<_> = members.iter().collect();
        assert_eq!(all, [("b", "1.0"), ("a", r#"{"x":[1, 2]}"#), ("c", r#""q\"q""#)]);
        assert_eq!(members.text("c").as_deref(), Some("q\"q"));
        assert_eq!(members.text("b"), None);
    }

    #[test]
    fn refuses_what_two_parsers_may_read_differently() {
        let twice = |name: &str| MembersError::Duplicate { name: name.to_owned() };
        assert_eq!(Members::of(r#"{"a":1,"\u0061":2}"#).unwrap_err(), twice("a"));
        let many: String = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
        let json = format!("{{{many}\"k7\":1}}");
        assert_eq!(Members::of(&json).unwrap_err(), twice("k7"));
        assert_eq!(Members::of("[1]").unwrap_err(), MembersError::NotAnObject);
    }
}
