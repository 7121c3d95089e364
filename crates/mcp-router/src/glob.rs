//! Patterns of names: `*` is any text, `?` one character, the rest is itself.

/// A pattern that has been taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    /// `*`
    Any,
    /// No wildcard at all.
    Exact(Box<str>),
    /// What it begins with, and then anything.
    Prefix(Box<str>),
    /// What lies between the stars, of which there is at least one if there are two parts. The first
    /// part is where a text begins, the last where it ends.
    Parts(Box<[Box<str>]>),
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        if !pattern.contains(['*', '?']) {
            return Self::Exact(pattern.into());
        }
        if pattern.bytes().all(|byte| byte == b'*') {
            return Self::Any;
        }
        match pattern.strip_suffix('*') {
            Some(prefix) if !prefix.contains(['*', '?']) => Self::Prefix(prefix.into()),
            _ => Self::Parts(pattern.split('*').map(Box::from).collect()),
        }
    }

    pub(crate) fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Any | Self::Prefix(_) | Self::Parts(_) => None,
        }
    }

    /// What every text that matches begins with.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Any => "",
            Self::Exact(text) | Self::Prefix(text) => text,
            Self::Parts(parts) => {
                let first = parts.first().map_or("", |part| part);
                first.split_once('?').map_or(first, |(literal, _)| literal)
            }
        }
    }

    #[inline]
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *text,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Parts(parts) => in_order(parts, text),
        }
    }

    /// Whether everything that `other` matches is matched by this one; `false` where that is not plain
    /// to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Exact(text)) => self.matches(text),
            (Self::Prefix(prefix), _) => other.prefix().starts_with(&**prefix),
            (Self::Parts(_), _) => self == other,
            (Self::Exact(_), _) => false,
        }
    }
}

fn in_order(parts: &[Box<str>], text: &str) -> bool {
    let Some((first, parts)) = parts.split_first() else { return text.is_empty() };
    let Some(mut rest) = after(first, text) else { return false };
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    // The leftmost place is as good as any for what comes after it, so nothing is tried twice.
    for part in middle {
        match find(part, rest) {
            Some(found) => rest = found,
            None => return false,
        }
    }
    ends(last, rest)
}

/// What is left of a text that begins with this part.
fn after<'a>(part: &str, text: &'a str) -> Option<&'a str> {
    if !part.contains('?') {
        return text.strip_prefix(part);
    }
    let mut rest = text.chars();
    for wanted in part.chars() {
        let found = rest.next()?;
        if wanted != '?' && wanted != found {
            return None;
        }
    }
    Some(rest.as_str())
}

/// What is left after the first place where this part is.
fn find<'a>(part: &str, text: &'a str) -> Option<&'a str> {
    if !part.contains('?') {
        return text.find(part).map(|at| &text[at + part.len()..]);
    }
    text.char_indices().find_map(|(at, _)| after(part, &text[at..]))
}

fn ends(part: &str, text: &str) -> bool {
    if !part.contains('?') {
        return text.ends_with(part);
    }
    let mut rest = text.chars().rev();
    part.chars()
        .rev()
        .all(|wanted| rest.next().is_some_and(|found| wanted == '?' || wanted == found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition: slow and plain.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| by_definition(rest, &text[at..])),
            Some((wanted, rest)) => text.split_first().is_some_and(|(found, text)| {
                (*wanted == '?' || wanted == found) && by_definition(rest, text)
            }),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_glob_is_what_its_definition_says(pattern in "[abé*?]{0,7}", text in "[abé]{0,8}") {
            let (from, to): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::new(&pattern).matches(&text), by_definition(&from, &to));
        }

        #[test]
        fn what_is_covered_matches_nothing_more(
            one in "[ab*?]{0,4}", other in "[ab*?]{0,4}", text in "[ab]{0,5}",
        ) {
            let (one, other) = (Glob::new(&one), Glob::new(&other));
            prop_assert!(!one.covers(&other) || !other.matches(&text) || one.matches(&text));
        }

        #[test]
        fn what_matches_begins_with_the_prefix(pattern in "[ab*?]{0,4}", text in "[ab]{0,5}") {
            let glob = Glob::new(&pattern);
            prop_assert!(!glob.matches(&text) || text.starts_with(glob.prefix()));
        }
    }

    #[test]
    fn plain_covers_are_seen() {
        for (one, other) in [("*", "a?"), ("a*", "ab*"), ("a*", "ab?c"), ("a?c", "abc"), ("a", "a")]
        {
            assert!(Glob::new(one).covers(&Glob::new(other)), "{one} {other}");
        }
    }
}
