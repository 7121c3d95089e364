//! The names under which the tools, prompts and resources of many servers are offered together.
//!
//! The rules are part of the public contract, because clients remember names:
//!
//! - a tool or prompt `echo` of the server `demo` is `demo__echo`. A server's own part never holds
//!   `__`, so the first `__` always ends it;
//! - clients accept 1 to 64 letters, digits, `_` and `-`. What does not fit is made to: other
//!   characters become `_`, the name is cut, and `_` and eight hexadecimal digits of a hash of
//!   the whole name follow, the same on every machine and in every version;
//! - a resource `file:///a` of `demo` is `demo+file:///a`: still a URI, and a URI template stays
//!   one.

use std::borrow::Cow;

/// What stands between the name of a server and that of its tool.
const SEPARATOR: &str = "__";
/// The longest name that every client accepts.
const NAME_MAX: usize = 64;
/// The longest part that stands for a server: half of the name is left for the tool.
const LABEL_MAX: usize = 32;
/// `_` and eight digits.
const SUFFIX: usize = 9;

/// The parts of names that stand for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Before `__`.
    name: String,
    /// Before `+`: what a URI scheme may hold.
    scheme: String,
}

impl Label {
    pub(crate) fn of(server: &str) -> Self {
        let plain = server.len() <= LABEL_MAX && !server.contains(SEPARATOR);
        let plain = plain && !server.ends_with('_') && is_name(server);
        let name = if plain { server.to_owned() } else { shortened(server, server, LABEL_MAX) };
        let schemed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let scheme = if server.starts_with(|c: char| c.is_ascii_lowercase())
            && server.len() <= LABEL_MAX
            && server.chars().all(schemed)
        {
            server.to_owned()
        } else {
            let letters = server.to_ascii_lowercase();
            let kept = letters.chars().map(|c| if schemed(c) { c } else { '-' });
            let kept: String = kept.take(LABEL_MAX - SUFFIX).collect();
            format!("s-{kept}-{:08x}", hash(server))
        };
        Self { name, scheme }
    }

    /// The name under which a tool or prompt of the server is offered.
    pub(crate) fn expose(&self, name: &str) -> String {
        let whole = format!("{}{SEPARATOR}{name}", self.name);
        if is_name(&whole) { whole } else { shortened(&whole, name, NAME_MAX) }
    }

    /// The server's own name for `exposed`, if it can be told from the name alone.
    pub(crate) fn strip<'n>(&self, exposed: &'n str) -> Option<Stripped<'n>> {
        let rest = exposed.strip_prefix(&self.name)?.strip_prefix(SEPARATOR)?;
        let digits = rest.len().checked_sub(SUFFIX).map(|at| rest.as_bytes().split_at(at).1);
        let hashed = digits.is_some_and(|suffix| {
            suffix[0] == b'_' && suffix[1..].iter().all(u8::is_ascii_hexdigit)
        });
        Some(if hashed { Stripped::Hashed(rest) } else { Stripped::Plain(rest) })
    }

    /// The URI under which a resource of the server is offered. Templates likewise.
    pub(crate) fn expose_uri(&self, uri: &str) -> String {
        format!("{}+{uri}", self.scheme)
    }

    /// The server's own URI for `exposed`.
    pub(crate) fn strip_uri<'u>(&self, exposed: &'u str) -> Option<&'u str> {
        exposed.strip_prefix(&self.scheme)?.strip_prefix('+')
    }
}

/// An exposed name without its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stripped<'n> {
    /// The server's own name.
    Plain(&'n str),
    /// Ends like a shortened name: it is one if the server has a tool that is shortened so, and
    /// the server's own name if not.
    Hashed(&'n str),
}

/// Whether every client accepts `name`.
fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(legal)
}

/// `whole` with legal characters only, cut so that the hash of `unique` fits behind it.
fn shortened(whole: &str, unique: &str, length: usize) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    // Cut before doubled underscores are made single in a server's part: see `Label::of`.
    let kept: String = whole.chars().map(legal).take(length - SUFFIX).collect();
    let kept = if length == LABEL_MAX { collapsed(&kept) } else { Cow::Owned(kept) };
    format!("{kept}_{:08x}", hash(unique))
}

fn collapsed(name: &str) -> Cow<'_, str> {
    let mut out = name.to_owned();
    while out.contains(SEPARATOR) {
        out = out.replace(SEPARATOR, "_");
    }
    Cow::Owned(out.trim_end_matches('_').to_owned())
}

/// FNV-1a, 32 bits (draft-eastlake-fnv): small, the same everywhere, and only as unique as it has
/// to be among the tools of one server.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_clients_remember() {
        let demo = Label::of("demo");
        assert_eq!(demo.expose("echo"), "demo__echo");
        assert_eq!(demo.expose("a__b"), "demo__a__b");
        assert_eq!(demo.strip("demo__a__b"), Some(Stripped::Plain("a__b")));
        assert_eq!(demo.strip("demonstration__x"), None);
        assert_eq!(demo.expose("files/read"), "demo__files_read_d2acbc6d");
        let long = "x".repeat(80);
        assert_eq!(demo.expose(&long), format!("demo__{}_67b9d905", "x".repeat(49)));
        assert_eq!(demo.expose_uri("file:///{path}"), "demo+file:///{path}");
        assert_eq!(demo.strip_uri("demo+file:///a+b"), Some("file:///a+b"));
    }

    #[test]
    fn servers_whose_names_are_not_plain() {
        let label = |name: &str| Label::of(name).name;
        assert_eq!(label("my server"), "my_server_809ef0ee");
        assert_eq!(label("a__b"), "a_b_749bc500");
        assert_eq!(label("trailing_"), "trailing_b86d1efe");
        assert_eq!(Label::of("My_Server").scheme, "s-my-server-002d3b07");
    }

    proptest! {
        #[test]
        fn every_exposed_name_is_accepted_and_leads_back(server in ".{1,80}", tool in ".{1,120}") {
            let label = Label::of(&server);
            let exposed = label.expose(&tool);
            prop_assert!(is_name(&exposed), "{exposed}");
            prop_assert!(!label.name.contains(SEPARATOR) && !label.name.ends_with('_'));
            match label.strip(&exposed) {
                Some(Stripped::Plain(name)) => prop_assert_eq!(name, tool.as_str()),
                Some(Stripped::Hashed(_)) => {}
                None => prop_assert!(false, "{exposed} does not lead back"),
            }
            let uri = label.expose_uri(&tool);
            prop_assert_eq!(label.strip_uri(&uri), Some(tool.as_str()));
        }
    }
}
