//! A message about to be passed on with some of its parts replaced.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::scan::{self, DEPTH_MAX};
use crate::{Limits, Message, unquoted};

/// A [`Message`] and the replacements to make in it: every byte that is not replaced stays.
///
/// Each layer that passes a request on adds its replacement (a name, an id, a progress token), and
/// the bytes are copied once, when the message is written.
#[derive(Clone, Debug)]
pub struct Draft {
    message: Message,
    cuts: Vec<(Range<usize>, String)>,
}

impl Draft {
    /// `message` as it is.
    pub fn new(message: Message) -> Self {
        Self { message, cuts: Vec::new() }
    }

    /// The message without the replacements.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Puts the JSON text `with` in the place of `range`, see [`Message::range_of`].
    ///
    /// A second replacement that touches the same bytes is ignored, as is one outside the message.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<String>) {
        self.cuts.push((range, with.into()));
    }

    /// Writes `members` (JSON text such as `"a":1,"b":2`) first into the object at `range`.
    ///
    /// The caller has seen that the object has none of them, and inserts into an object once.
    pub fn insert(&mut self, range: &Range<usize>, members: &str) {
        let object = self.message.bytes().get(range.clone()).unwrap_or_default();
        let Some(open) = object.iter().position(|byte| *byte == b'{') else { return };
        let mut inside = object[open + 1..].iter().filter(|byte| !byte.is_ascii_whitespace());
        let comma = if inside.next() == Some(&b'}') { "" } else { "," };
        let at = range.start + open + 1;
        self.replace(at..at, format!("{members}{comma}"));
    }

    /// Takes the members `names` out of the object at `range`, and as many commas.
    pub fn take_out(&mut self, range: &Range<usize>, names: &[&str]) {
        let Some(object) = self.message.as_str().get(range.clone()) else { return };
        let (mut cuts, mut run, mut kept_end) = (Vec::new(), None, None);
        let walked = scan::object(object, DEPTH_MAX, |name, value| {
            let is_taken = unquoted(&object[name.clone()]).is_some_and(|it| names.contains(&&*it));
            if is_taken {
                let (start, _) = run.unwrap_or((name.start, 0));
                run = Some((start, value.end));
            } else {
                // Members that another follows go with the comma behind them.
                cuts.extend(run.take().map(|(start, _)| start..name.start));
                kept_end = Some(value.end);
            }
        });
        // The last ones go with the comma before them.
        cuts.extend(run.map(|(start, end)| kept_end.unwrap_or(start)..end));
        if walked.is_ok() {
            for cut in cuts {
                self.replace(range.start + cut.start..range.start + cut.end, "");
            }
        }
    }

    /// The bytes with every replacement made.
    pub fn finish(mut self) -> Bytes {
        if self.cuts.is_empty() {
            return self.message.bytes().clone();
        }
        self.cuts.sort_by_key(|(range, _)| (range.start, range.end));
        let source = self.message.bytes();
        let added: usize = self.cuts.iter().map(|(_, with)| with.len()).sum();
        let mut out = BytesMut::with_capacity(source.len() + added);
        let mut copied = 0;
        for (range, with) in &self.cuts {
            if range.start < copied || range.end < range.start || range.end > source.len() {
                continue;
            }
            out.extend_from_slice(&source[copied..range.start]);
            out.extend_from_slice(with.as_bytes());
            copied = range.end;
        }
        out.extend_from_slice(&source[copied..]);
        out.freeze()
    }
}

impl Message {
    /// The same message with another id, given as JSON text.
    pub fn with_id(&self, id: &str) -> Bytes {
        let Some(range) = self.id().and_then(|own| self.range_of(own)) else {
            let mut draft = Draft::new(self.clone());
            draft.insert(&(0..self.bytes().len()), &format!("\"id\":{id}"));
            return draft.finish();
        };
        let (before, after) = (&self.bytes()[..range.start], &self.bytes()[range.end..]);
        let mut out = BytesMut::with_capacity(before.len() + id.len() + after.len());
        out.extend_from_slice(before);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(after);
        out.freeze()
    }
}

impl Draft {
    /// The message with every replacement made, as a message again.
    pub fn into_message(self) -> Message {
        if self.cuts.is_empty() {
            return self.message;
        }
        // Only a caller that puts in what is no JSON sees the original again.
        let original = self.message.clone();
        let unbounded = Limits { frame_bytes: u32::MAX as usize, ..Limits::default() };
        Message::parse(self.finish(), &unbounded).unwrap_or(original)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_taken_out_with_their_commas() {
        let cases = [
            (r#"{"a":1,"x":2}"#, r#"{"x":2}"#),
            (r#"{"x":2, "a":1}"#, r#"{"x":2}"#),
            (r#"{"a":1,"b":{"a":3},"x":2,"a2":0}"#, r#"{"x":2,"a2":0}"#),
            (r#"{"x":{"a":1},"a":1,"b":2}"#, r#"{"x":{"a":1}}"#),
            (r#"{ "a":1 , "x":2 , "b":3 , "y":4 }"#, r#"{ "x":2 , "y":4 }"#),
            (r#"{"a":1,"\u0062":2}"#, "{}"),
            ("{}", "{}"),
        ];
        for (object, left) in cases {
            let text =
                |params: &str| format!(r#"{{"method":"m","params":{params},"jsonrpc":"2.0"}}"#);
            let message = Message::parse(text(object), &Limits::default()).unwrap();
            let range = message.range_of(message.params().unwrap()).unwrap();
            let mut draft = Draft::new(message);
            draft.take_out(&range, &["a", "b"]);
            assert_eq!(draft.finish(), text(left), "{object}");
        }
    }
}
