//! A server's own words, without the secrets that it was given.
//!
//! Servers print their configuration, and libraries print requests with their headers. What was
//! read from a reference (`${env:TOKEN}`), or stands where secrets do, is not shown to whoever may
//! look at the status, or calls a tool of a server that has just died.

use std::borrow::Cow;

use crate::config::{ServerKind, Text};
use crate::definition::{Definition, Source};

/// What stands for a secret.
const HIDDEN: &str = "***";
/// A shorter value is no secret worth the name, and hiding each `1` or `debug` would hide the rest.
const BYTES_MIN: usize = 8;

/// `lines` of what the server of `definition` wrote, as others may see them.
///
/// Hidden is every whole occurrence of a value of `env`, `args`, `headers` or a URL that is not
/// shown elsewhere either, of at least 8 bytes, unless it is a path. A secret that the server wrote
/// in another form, such as base64, cannot be known.
pub(crate) fn redact(definition: &Definition, mut lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return lines;
    }
    let secrets = secrets(definition);
    for line in &mut lines {
        for secret in &secrets {
            if line.contains(&**secret) {
                *line = line.replace(&**secret, HIDDEN);
            }
        }
    }
    lines
}

/// The longest first: one may be a part of another.
fn secrets(definition: &Definition) -> Vec<Cow<'_, str>> {
    let Source::Configured(kind) = &definition.source else { return Vec::new() };
    let texts: Vec<&Text> = match kind {
        ServerKind::Stdio(stdio) => {
            let env = stdio.env.iter().map(|(_, value)| value);
            stdio.args.iter().chain(env).collect()
        }
        ServerKind::Http(http) | ServerKind::Sse(http) => {
            let headers = http.headers.iter().map(|(_, value)| value);
            headers.chain([&http.url]).chain(&http.more).collect()
        }
        ServerKind::WebSocket(ws) => {
            let headers = ws.headers.iter().map(|(_, value)| value);
            headers.chain([&ws.url]).chain(&ws.more).collect()
        }
        ServerKind::Tcp(tcp) => std::iter::once(&tcp.address).chain(&tcp.more).collect(),
    };
    let mut secrets: Vec<Cow<'_, str>> = texts.into_iter().flat_map(hidden).collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

/// The parts of a value that are not shown: what is left of it between the parts that are.
fn hidden(text: &Text) -> Vec<Cow<'_, str>> {
    let (shown, value) = (text.to_string(), text.expose());
    if shown == value {
        return Vec::new();
    }
    let (mut parts, mut rest) = (Vec::new(), value);
    let literals = literals(&shown);
    for (index, literal) in literals.iter().enumerate() {
        let last = index + 1 == literals.len();
        // The last literal is the end of the value; any other one is taken where it comes first.
        let found =
            if last { rest.strip_suffix(literal).map(str::len) } else { rest.find(literal) };
        let Some(at) = found else { return whole(value) };
        parts.push(&rest[..at]);
        rest = &rest[at + literal.len()..];
    }
    // A key in several lines is printed in several lines.
    let lines = parts.into_iter().flat_map(str::lines).map(str::trim);
    lines.filter(|line| is_secret(line)).map(Cow::Borrowed).collect()
}

fn whole(value: &str) -> Vec<Cow<'_, str>> {
    if is_secret(value) { vec![Cow::Borrowed(value)] } else { Vec::new() }
}

fn is_secret(part: &str) -> bool {
    part.len() >= BYTES_MIN && !part.starts_with('/')
}

/// What stands around and between the references and stars of a text as it is shown.
fn literals(shown: &str) -> Vec<&str> {
    let (mut literals, mut rest) = (Vec::new(), shown);
    loop {
        let reference = rest.find("${").and_then(|at| Some((at, at + rest[at..].find('}')? + 1)));
        let stars = rest.find(HIDDEN).map(|at| (at, at + HIDDEN.len()));
        let next = reference.into_iter().chain(stars).min();
        let Some((from, to)) = next else {
            literals.push(rest);
            return literals;
        };
        literals.push(&rest[..from]);
        rest = &rest[to..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ServerSpec, Stdio};

    fn definition(env: &[(&str, Text)], args: Vec<Text>) -> Definition {
        let mut stdio = Stdio::new("server");
        stdio.env = env.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        stdio.args = args;
        ServerSpec::new("a", ServerKind::Stdio(stdio)).into()
    }

    fn shown(definition: &Definition, line: &str) -> String {
        redact(definition, vec![line.to_owned()]).remove(0)
    }

    #[test]
    fn what_was_hidden_stays_hidden() {
        let one = definition(
            &[
                ("TOKEN", Text::secret("sk-1234567890")),
                ("KEY", Text::secret("-----BEGIN-----\nMIIEvAIBADAN\n-----END-----\n")),
                ("LEVEL", Text::secret("debug")),
                ("CACHE", Text::secret("/var/cache/server")),
            ],
            vec![Text::secret("sk-1234567890-longer"), Text::plain("--verbose-output")],
        );
        assert_eq!(shown(&one, "token=sk-1234567890, again sk-1234567890"), "token=***, again ***");
        assert_eq!(shown(&one, "sk-1234567890-longer"), "***", "the longest first");
        assert_eq!(shown(&one, "> MIIEvAIBADAN <"), "> *** <");
        for open in ["debug: started", "/var/cache/server/x", "--verbose-output", ""] {
            assert_eq!(shown(&one, open), open);
        }
    }

    #[test]
    fn only_what_was_referred_to_is_hidden() {
        assert_eq!(literals("Bearer ${env:TOKEN}"), ["Bearer ", ""]);
        assert_eq!(literals("${A}:${B:-x}@***."), ["", ":", "@", "."]);
        assert_eq!(literals("plain $5 ${"), ["plain $5 ${"]);
    }
}
