//! The HTTP headers that repeat parts of a stateless request (MCP 2026-07-28, "Streamable HTTP").

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The protocol version of the request.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The method of the request.
pub const METHOD: &str = "mcp-method";
/// What the request is about: see [`subject_member`](crate::subject_member).
pub const NAME: &str = "mcp-name";
/// What the name of a header that repeats an argument begins with.
pub const PARAM_PREFIX: &str = "mcp-param-";
/// The last event that a client has had of a stream that it comes back to.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// The session of a request that belongs to one.
pub const SESSION_ID: &str = "mcp-session-id";

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// `value` as a header can carry it: as it is, or in base64 where it could be misread.
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim() == value
        && !value.starts_with(OPEN);
    if plain {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{OPEN}{}{CLOSE}", STANDARD.encode(value)))
}

/// The value that a header carries; `None` if it is marked as base64 and is none.
pub fn decode_value(header: &str) -> Option<Cow<'_, str>> {
    let Some(rest) = header.strip_prefix(OPEN) else { return Some(Cow::Borrowed(header)) };
    let Some(encoded) = rest.strip_suffix(CLOSE) else { return Some(Cow::Borrowed(header)) };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_header() {
        for value in ["plain", "", " led", "Grüße", "a\nb", "=?base64?eA==?=", "日本"] {
            let header = encode_value(value);
            assert!(header.is_ascii() && !header.contains('\n'), "{header}");
            assert_eq!(decode_value(&header).as_deref(), Some(value));
        }
        assert_eq!(decode_value("=?base64?%%?="), None);
        assert_eq!(decode_value("=?base64?open").as_deref(), Some("=?base64?open"));
    }
}
