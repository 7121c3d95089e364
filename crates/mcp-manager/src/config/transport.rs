//! Finds out how a server is reached: what its entry says, or else what it must mean.

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;

use super::decode::{invalid, string};
use super::entry::Entry;
use super::keys;
use super::problem::ProblemKind;
use super::report::Report;
use super::spec::Transport;
use super::suggest::{nearest, quote};

/// The names that clients write under `type`.
const NAMES: &[(&str, Transport)] = &[
    ("stdio", Transport::Stdio),
    ("local", Transport::Stdio),
    ("http", Transport::Http),
    ("streamableHttp", Transport::Http),
    ("streamable-http", Transport::Http),
    ("streamable_http", Transport::Http),
    ("sse", Transport::Sse),
    ("ws", Transport::WebSocket),
    ("websocket", Transport::WebSocket),
    ("tcp", Transport::Tcp),
];

/// `None` if that cannot be told; then the report says why.
pub(super) fn decide(entry: &Entry<'_, '_>, report: &mut Report<'_>) -> Option<Transport> {
    let named = named(entry, report);
    let command = entry.get("command");
    let url = one_of(entry, keys::URL, report);
    let (tcp, urls) = (entry.get("tcp"), entry.get("urls"));
    let places = [("url", url), ("urls", urls), ("tcp", tcp)];
    let mut places = places.iter().filter_map(|(key, place)| Some((key, (*place)?)));
    let (first, second) = (places.next(), places.next());
    if let (Some((one, first)), Some((other, second))) = (first, second) {
        let what = format!("server {} has both `{one}` and `{other}`", quote(entry.name));
        let at = first.name.start().max(second.name.start());
        report.problem(at, ProblemKind::Conflict, what, "keep one of them");
        return None;
    }
    let url = url.or(urls);
    let remote = url.or(tcp);
    if let (Some(command), Some(remote)) = (command, remote) {
        let what = format!(
            "server {} has both `command` and {}",
            quote(entry.name),
            quote(remote.name.as_str())
        );
        let at = command.name.start().max(remote.name.start());
        let fix = "keep `command` to start it, or the other to connect to it";
        report.problem(at, ProblemKind::Conflict, what, fix);
        return None;
    }
    if command.is_none() && remote.is_none() {
        let what = format!("server {} has neither `command` nor `url`", quote(entry.name));
        let fix = "add `command` to start it, or `url` to connect to it";
        report.problem(entry.at, ProblemKind::Missing, what, fix);
        return None;
    }
    let (transport, at) = match named {
        Named::As(transport, at) => (transport, at),
        Named::Not if command.is_some() => return Some(Transport::Stdio),
        Named::Not => return Some(inferred(url)),
        Named::Wrongly => return None,
    };
    let fits = match transport {
        Transport::Stdio => command.is_some(),
        Transport::Tcp => remote.is_some(),
        _ => url.is_some(),
    };
    if !fits {
        let (has, fix) = match (command, url) {
            (Some(_), _) => ("`command`", "write \"stdio\", or leave it out"),
            (None, Some(_)) if urls.is_some() => ("`urls`", "write \"http\", or leave it out"),
            (None, Some(_)) => ("`url`", "write \"http\", or leave it out"),
            (None, None) => ("`tcp`", "write \"tcp\", or leave it out"),
        };
        let what = format!("server {} has {has}, but its type is `{transport}`", quote(entry.name));
        report.problem(at, ProblemKind::Conflict, what, fix);
        return None;
    }
    Some(transport)
}

/// What `type` says.
enum Named {
    /// It is not there.
    Not,
    /// This transport, at this place.
    As(Transport, usize),
    /// Something that is not understood; the report says so.
    Wrongly,
}

fn named(entry: &Entry<'_, '_>, report: &mut Report<'_>) -> Named {
    let Some(property) = one_of(entry, keys::TYPE, report) else { return Named::Not };
    let key = property.name.as_str();
    let fix = "write \"stdio\" or \"http\", or leave it out";
    let Some(lit) = string(key, &property.value, fix, report) else { return Named::Wrongly };
    if let Some((_, transport)) = NAMES.iter().find(|(name, _)| *name == lit.value) {
        return Named::As(*transport, lit.start());
    }
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
    let fix = match nearest(&lit.value, &names) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => fix.to_owned(),
    };
    let what = format!("{} is not a transport", quote(&lit.value));
    invalid(key, lit.start(), what, &fix, report);
    Named::Wrongly
}

fn inferred(url: Option<&ObjectProp<'_>>) -> Transport {
    let Some(url) = url else { return Transport::Tcp };
    let first = url.value.as_array().and_then(|urls| urls.elements.first());
    let url = first.unwrap_or(&url.value).as_string_lit().map_or("", |lit| &lit.value);
    match url.split_once("://") {
        Some(("ws" | "wss", _)) => Transport::WebSocket,
        Some(("tcp", _)) => Transport::Tcp,
        _ => Transport::Http,
    }
}

/// The first of `names` that is there. Files that serve two clients give the same thing under two
/// names, which is welcome as long as both say the same.
fn one_of<'v, 'a>(
    entry: &Entry<'v, 'a>,
    names: &[&str],
    report: &mut Report<'_>,
) -> Option<&'v ObjectProp<'a>> {
    let mut present = names.iter().filter_map(|name| entry.get(name));
    let first = present.next()?;
    for other in present {
        if text(&first.value) != text(&other.value) {
            let (first, second) = (first.name.as_str(), other.name.as_str());
            let what = format!("{} and {} say different things", quote(first), quote(second));
            report.problem(other.name.start(), ProblemKind::Conflict, what, "keep one of them");
        }
    }
    Some(first)
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    value.as_string_lit().map(|lit| &*lit.value)
}
