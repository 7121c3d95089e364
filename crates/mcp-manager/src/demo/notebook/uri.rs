//! `note:///{key}`: the URIs of notes, percent-encoded as RFC 3986 and RFC 6570 say.

use std::fmt::Write as _;

/// The URIs of all notes, as a template.
pub(super) const TEMPLATE: &str = "note:///{key}";
const PREFIX: &str = "note:///";

/// The URI of the note `key`. There is exactly one that is announced.
pub(super) fn of(key: &str) -> String {
    let mut uri = PREFIX.to_owned();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// The key of the note at `uri`; `None` if it is no note's URI.
pub(super) fn key(uri: &str) -> Option<String> {
    let mut encoded = uri.strip_prefix(PREFIX)?.bytes();
    let mut key = Vec::new();
    while let Some(byte) = encoded.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(encoded.next()?)?, digit(encoded.next()?)?);
            key.push((high * 16 + low) as u8);
        } else {
            key.push(byte);
        }
    }
    String::from_utf8(key).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encodes_what_a_uri_cannot_hold() {
        assert_eq!(of("a b/ü~1"), "note:///a%20b%2F%C3%BC~1");
        assert_eq!(key("note:///a%2fb").as_deref(), Some("a/b"));
        for wrong in
            ["note://x", "file:///x", "note:///%", "note:///%4", "note:///%FF", "note:///%+1"]
        {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_key_survives(text in ".{0,40}") {
            prop_assert_eq!(key(&of(&text)), Some(text));
        }

        #[test]
        fn any_text_has_a_key_or_none(text in "(note:///)?[%0-9a-fé]{0,20}") {
            let _ = key(&text);
        }
    }
}
