//! What a peer may send us at most.

/// Bounds on one message, checked before anything looks at its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message. Default: 16 MiB, room for a picture in base64.
    ///
    /// Memory for a message is taken as its bytes arrive, so this is what a hostile peer can make
    /// us hold per connection. At most 4 GiB.
    pub frame_bytes: usize,

    /// How deep arrays and objects may nest. Default: 128, the depth at which common parsers stop.
    ///
    /// A deeper message would only crash or be refused further on.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame_bytes: 16 << 20, depth: 128 }
    }
}

/// Whether `json` (already known to be valid JSON) nests deeper than `depth`.
pub(crate) fn nests_deeper(json: &[u8], depth: usize) -> bool {
    // Depth cannot exceed the number of opening brackets, and counting those is vectorised: nearly
    // every message is settled here.
    let opening = json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if opening <= depth {
        return false;
    }
    let (mut at, mut open) = (0, 0_usize);
    while at < json.len() {
        match json[at] {
            b'"' => at = string_end(json, at),
            b'{' | b'[' => {
                open += 1;
                if open > depth {
                    return true;
                }
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// The index of the quote that closes the string opened at `at`.
fn string_end(json: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(offset) = memchr::memchr2(b'"', b'\\', &json[at.min(json.len())..]) {
        at += offset;
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
    json.len()
}

/// Whether `json` holds an escaped UTF-16 surrogate without its other half.
///
/// Such text is legal JSON but no legal Unicode: parsers disagree about it, so nothing may be
/// decided from it.
pub(crate) fn has_lone_surrogate(json: &[u8]) -> bool {
    let mut at = 0;
    while let Some(offset) = memchr::memchr(b'\\', &json[at..]) {
        at += offset;
        match surrogate(json, at) {
            None => at += 2,
            Some(0xDC00..) => return true,
            Some(_) => match surrogate(json, at + 6) {
                Some(0xDC00..) => at += 12,
                _ => return true,
            },
        }
        if at >= json.len() {
            break;
        }
    }
    false
}

/// The surrogate that is escaped at `at`, if there is one.
fn surrogate(json: &[u8], at: usize) -> Option<u16> {
    let escape = json.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let unit = u16::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_only_what_is_open() {
        assert!(!nests_deeper(b"[[[]]]", 3));
        assert!(nests_deeper(b"[[[]]]", 2));
        assert!(!nests_deeper(br#"{"a":"[[[[\"[[","b":[]}"#, 2));
        let flat = "[],".repeat(1000);
        assert!(!nests_deeper(flat.as_bytes(), 1));
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert!(!has_lone_surrogate(br#""\ud83d\ude00""#));
        assert!(has_lone_surrogate(br#""\ud83d""#));
        assert!(has_lone_surrogate(br#""\ud83dx\ude00""#));
        assert!(has_lone_surrogate(br#""\ude00\ud83d""#));
        assert!(!has_lone_surrogate(br#""\\ud83d""#));
        assert!(!has_lone_surrogate(br#""\u00e9\n""#));
    }
}
