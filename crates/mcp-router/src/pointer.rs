//! JSON pointers (RFC 6901).

/// The way to a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pointer(pub(crate) Box<[Token]>);

/// A step of it: a key of an object, or an index of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) key: Box<str>,
    pub(crate) index: Option<usize>,
}

impl Pointer {
    /// `None` for what is no pointer.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Box::default()));
        }
        text.strip_prefix('/')?.split('/').map(token).collect::<Option<_>>().map(Self)
    }
}

fn token(text: &str) -> Option<Token> {
    let mut key = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('~') {
        key.push_str(before);
        key.push(match escape.bytes().next()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        rest = &escape[1..];
    }
    key.push_str(rest);
    // An index has no leading zeros, and no sign, which `parse` would take.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let index = (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok());
    Some(Token { key: key.into(), index: index.flatten() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfc_has_it() {
        let keys = |text| {
            let pointer = Pointer::parse(text)?;
            Some(pointer.0.iter().map(|token| token.key.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(keys("").unwrap(), [""; 0]);
        assert_eq!(keys("/").unwrap(), [""]);
        assert_eq!(keys("/foo/0").unwrap(), ["foo", "0"]);
        assert_eq!(keys("/a~1b/m~0n/~01").unwrap(), ["a/b", "m~n", "~1"]);
        for bad in ["foo", "/~", "/~2", "/a~"] {
            assert_eq!(keys(bad), None, "{bad}");
        }
        let index = |text| Pointer::parse(text).unwrap().0[0].index;
        assert_eq!(index("/0"), Some(0));
        assert_eq!(index("/17"), Some(17));
        for none in ["/", "/01", "/+1", "/-", "/1a", "/99999999999999999999999"] {
            assert_eq!(index(none), None, "{none}");
        }
    }
}
