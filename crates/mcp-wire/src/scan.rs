//! One pass over a JSON text: whether it is one, how deep it nests, and where its parts stand.
//!
//! A general parser builds or skips values; here they are only walked over, with every bound
//! checked on the way. The benchmark `wire` shows what that saves.

use std::ops::Range;

/// How deep arrays and objects may nest: one bit for each level is all that a walk remembers.
pub(crate) const DEPTH_MAX: u32 = 128;

/// Why a text cannot be walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// It is not JSON (RFC 8259): what was expected, and at which byte.
    Syntax { expected: &'static str, at: usize },
    /// It nests too deep.
    TooDeep,
    /// It escapes half of a surrogate pair: legal JSON, but no Unicode, so that parsers disagree
    /// about what it says.
    LoneSurrogate,
}

/// Walks over an object and shows the name (with its quotes) and the value of each member.
pub(crate) fn object(
    text: &str,
    depth_max: u32,
    mut member: impl FnMut(Range<usize>, Range<usize>),
) -> Result<(), ScanError> {
    let mut walk = Walk::new(text, depth_max);
    walk.blank();
    walk.expect(b'{', "an object")?;
    walk.blank();
    if !walk.take(b'}') {
        loop {
            let name = walk.at;
            let name = name..walk.string()?;
            walk.colon()?;
            let value = walk.at;
            walk.value()?;
            member(name, value..walk.at);
            walk.blank();
            if walk.take(b'}') {
                break;
            }
            walk.expect(b',', "`,` or `}`")?;
            walk.blank();
        }
    }
    walk.end()
}

/// Walks over an array and shows each element.
pub(crate) fn array(text: &str, mut element: impl FnMut(Range<usize>)) -> Result<(), ScanError> {
    let mut walk = Walk::new(text, DEPTH_MAX);
    walk.blank();
    walk.expect(b'[', "an array")?;
    walk.blank();
    if !walk.take(b']') {
        loop {
            let start = walk.at;
            walk.value()?;
            element(start..walk.at);
            walk.blank();
            if walk.take(b']') {
                break;
            }
            walk.expect(b',', "`,` or `]`")?;
            walk.blank();
        }
    }
    walk.end()
}

struct Walk<'t> {
    text: &'t [u8],
    at: usize,
    depth_max: u32,
}

impl<'t> Walk<'t> {
    fn new(text: &'t str, depth_max: u32) -> Self {
        Self { text: text.as_bytes(), at: 0, depth_max: depth_max.min(DEPTH_MAX) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong<T>(&self, expected: &'static str) -> Result<T, ScanError> {
        Err(ScanError::Syntax { expected, at: self.at })
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), ScanError> {
        if self.take(byte) { Ok(()) } else { self.wrong(expected) }
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<(), ScanError> {
        self.blank();
        if self.at == self.text.len() { Ok(()) } else { self.wrong("the end") }
    }

    fn colon(&mut self) -> Result<(), ScanError> {
        self.blank();
        self.expect(b':', "`:`")?;
        self.blank();
        Ok(())
    }

    /// A member's name, up to its value.
    fn name(&mut self) -> Result<(), ScanError> {
        self.string()?;
        self.colon()
    }

    /// A whole value, which stands within the outermost array or object.
    fn value(&mut self) -> Result<(), ScanError> {
        // What is open: 1 for an object, 0 for an array, the innermost in the last place.
        let (mut open, mut depth) = (0_u128, 1);
        loop {
            match self.peek() {
                Some(b'"') => _ = self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.blank();
                    if depth >= self.depth_max {
                        return Err(ScanError::TooDeep);
                    }
                    let object = bracket == b'{';
                    if !self.take(if object { b'}' } else { b']' }) {
                        (open, depth) = (open << 1 | u128::from(object), depth + 1);
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => return self.wrong("a value"),
            }
            // A value is complete: so are the arrays and objects that end with it.
            loop {
                if depth == 1 {
                    return Ok(());
                }
                self.blank();
                let object = open & 1 == 1;
                if self.take(b',') {
                    self.blank();
                    if object {
                        self.name()?;
                    }
                    break;
                }
                match object {
                    true => self.expect(b'}', "`,` or `}`")?,
                    false => self.expect(b']', "`,` or `]`")?,
                }
                (open, depth) = (open >> 1, depth - 1);
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), ScanError> {
        if !self.text[self.at..].starts_with(word) {
            return self.wrong("a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { self.wrong("a digit") } else { Ok(()) }
    }

    /// A string, from quote to quote; where it ends.
    fn string(&mut self) -> Result<usize, ScanError> {
        self.expect(b'"', "a string")?;
        loop {
            self.at += plain(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.at);
                }
                Some(b'\\') => self.escape()?,
                _ => return self.wrong("the rest of a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.unit(self.at)? {
                0xD800..0xDC00 => match self.unit(self.at + 6) {
                    Ok(0xDC00..0xE000) => self.at += 12,
                    _ => return Err(ScanError::LoneSurrogate),
                },
                0xDC00..0xE000 => return Err(ScanError::LoneSurrogate),
                _ => self.at += 6,
            },
            _ => return self.wrong("an escape"),
        }
        Ok(())
    }

    /// The UTF-16 unit that is escaped at `at`.
    fn unit(&self, at: usize) -> Result<u16, ScanError> {
        let digits = self.text.get(at..at + 6).and_then(|escape| escape.strip_prefix(b"\\u"));
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        unit.ok_or(ScanError::Syntax { expected: "an escape", at })
    }
}

/// How many bytes stand before the next quote, backslash or control character.
fn plain(text: &[u8]) -> usize {
    // Most strings are short; the long ones are worth a stride.
    let (head, tail) = text.split_at(text.len().min(STRIDE));
    if let Some(at) = special(head) {
        return at;
    }
    let (strides, _) = tail.as_chunks::<STRIDE>();
    // Without a way out within a stride, the compiler makes one comparison of it.
    let clean = |stride: &&[u8; STRIDE]| !stride.iter().fold(false, |any, b| any | is_special(*b));
    let skipped = STRIDE * strides.iter().take_while(clean).count();
    let rest = &tail[skipped..];
    head.len() + skipped + special(rest).unwrap_or(rest.len())
}

const STRIDE: usize = 32;

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Where the first special byte stands, looked for eight bytes at a time.
fn special(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| is_special(*byte))?;
    Some(8 * words.len() + at)
}

/// The high bit of every special byte of `word`, exact up to the first of them ("Bit Twiddling
/// Hacks", S. E. Anderson: determine if a word has a byte less than, or equal to, n).
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    control | zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn walks(text: &str) -> Result<(), ScanError> {
        object(&format!("{{\"a\":{text}}}"), DEPTH_MAX, |_, _| {})
    }

    #[test]
    fn shows_the_parts_as_they_stand() {
        let text = r#" { "a" : [1, {"b":2}] , "\u0062":"x\"y" } "#;
        let mut parts = Vec::new();
        object(text, 3, |name, value| parts.push((&text[name], &text[value]))).unwrap();
        assert_eq!(parts, [(r#""a""#, r#"[1, {"b":2}]"#), (r#""\u0062""#, r#""x\"y""#)]);
        let mut elements = Vec::new();
        let text = r#"[ 1,[2] , "3"]"#;
        array(text, |element| elements.push(&text[element])).unwrap();
        assert_eq!(elements, ["1", "[2]", r#""3""#]);
    }

    #[test]
    fn counts_what_is_open() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(walks(&nested(127)), Ok(()));
        assert_eq!(walks(&nested(128)), Err(ScanError::TooDeep));
        assert_eq!(walks(&"[".repeat(100_000)), Err(ScanError::TooDeep));
        assert_eq!(walks(&format!("[{}1]", "[],{},".repeat(1000))), Ok(()));
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(walks(r#""\ud83d\ude00 \\ud83d \u00e9""#), Ok(()));
        for text in [r#""\ud83d""#, r#""\ud83dx\ude00""#, r#""\ude00\ud83d""#, r#""\uD83D\n""#] {
            assert_eq!(walks(text), Err(ScanError::LoneSurrogate), "{text}");
        }
    }

    /// Texts that are JSON, nearly JSON, or made of its pieces.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[\\[\\]{},:]",
            "[ \t\n\r]",
            "-?[0-9.eE+-]{1,6}",
            "true|false|null|nul|tru",
            r#""[a-z\\"u0-9/bé]{0,40}""#,
            r#""(\\u[0-9a-f]{4}|\\n|x){0,8}""#,
            "\"",
            ".",
        ];
        prop_oneof![
            prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
            valid().prop_map(|value| value.to_string()),
            (valid(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(value, at, c)| {
                let mut chars: Vec<char> = value.to_string().chars().collect();
                let at = at.index(chars.len());
                chars[at] = c;
                chars.into_iter().collect()
            }),
        ]
    }

    fn valid() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,60}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..5).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// What serde_json takes we take, and the reverse; lone surrogates apart, which it passes
        /// over where it does not decode.
        #[test]
        fn agrees_with_serde_json(text in text()) {
            let theirs = serde_json::from_str::<&RawValue>(&text).is_ok();
            match walks(&text) {
                Err(ScanError::LoneSurrogate | ScanError::TooDeep) => {}
                ours => prop_assert_eq!(ours.is_ok(), theirs, "{:?}", ours),
            }
        }
    }
}
