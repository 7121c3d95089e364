//! Reads the entry of a server that is reached by URL.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue, Uri};
use jsonc_parser::common::Ranged;

use super::decode::{duplicate, object, properties, string};
use super::entry::{Entry, ignore};
use super::keys;
use super::problem::ProblemKind;
use super::setting::port_is_valid;
use super::spec::{Http, WebSocket};
use super::suggest::quote;
use super::template::Mask;
use super::text::Text;
use super::urls;
use super::value::{Complaint, Values};

pub(super) fn http(entry: &Entry<'_, '_>, values: &mut Values<'_, '_, '_>) -> Option<Http> {
    let Endpoint { url, more, headers } =
        read(entry, values, "write \"https://host/path\"", |url| complain_url(url, &HTTP))?;
    let or_sse = keys::TYPE.iter().all(|key| entry.get(key).is_none());
    Some(Http { url, more, headers, or_sse })
}

pub(super) fn websocket(
    entry: &Entry<'_, '_>,
    values: &mut Values<'_, '_, '_>,
) -> Option<WebSocket> {
    let Endpoint { url, more, headers } =
        read(entry, values, "write \"wss://host/path\"", |url| complain_url(url, &WEBSOCKET))?;
    Some(WebSocket { url, more, headers })
}

/// Where a server is, and what is sent to it.
struct Endpoint {
    url: Text,
    more: Vec<Text>,
    headers: Vec<(String, Text)>,
}

fn read(
    entry: &Entry<'_, '_>,
    values: &mut Values<'_, '_, '_>,
    fix: &str,
    complain: fn(&str) -> Option<Complaint>,
) -> Option<Endpoint> {
    let why = "the server is not started here";
    ignore(entry, &["args", "env", "envFile", "cwd"], why, values.report);
    let headers = headers(entry, values);
    // Keys are handed out as part of a query more often than they should be.
    let (url, more) = urls::read(entry, false, values, fix, Mask::Behind('?'), complain)?;
    Some(Endpoint { url, more, headers })
}

fn headers(entry: &Entry<'_, '_>, values: &mut Values<'_, '_, '_>) -> Vec<(String, Text)> {
    let Some(property) = entry.get("headers") else { return Vec::new() };
    let fix = "write {\"Name\": \"value\", ...}";
    let Some(object) = object("headers", &property.value, fix, values.report) else {
        return Vec::new();
    };
    let mut seen = HashMap::new();
    let mut headers = Vec::with_capacity(object.properties.len());
    for property in properties(object, values.report) {
        let name = property.name.as_str();
        let at = property.name.start();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            let what = format!("{} is not the name of a header", quote(name));
            let fix = "use letters, digits and `-`";
            values.report.problem(at, ProblemKind::InvalidValue, what, fix);
            continue;
        }
        if let Some(first) = seen.insert(name.to_ascii_lowercase(), at) {
            duplicate("header", name, first, at, values.report);
            continue;
        }
        let key = format!("headers.{name}");
        let fix = "write it in double quotes";
        let Some(lit) = string(&key, &property.value, fix, values.report) else { continue };
        headers.push((name.to_owned(), values.text(&key, lit, Mask::Hidden, complain_header)));
    }
    headers
}

fn complain_header(value: &str) -> Option<Complaint> {
    HeaderValue::from_str(value).err().map(|_| Complaint {
        what: "cannot be sent as a header: it holds a line break, a control character, or a \
               character outside ASCII",
        fix: "remove it",
    })
}

/// What is asked of a URL, and what is said of one that is not like that.
struct Scheme {
    names: [&'static str; 2],
    wrong: &'static str,
    fix: &'static str,
    fix_port: &'static str,
}

const HTTP: Scheme = Scheme {
    names: ["http", "https"],
    wrong: "does not begin with http:// or https://",
    fix: "write it as https://host/path",
    fix_port: "write it as https://host:443/path",
};

const WEBSOCKET: Scheme = Scheme {
    names: ["ws", "wss"],
    wrong: "does not begin with ws:// or wss://",
    fix: "write it as wss://host/path",
    fix_port: "write it as wss://host:443/path",
};

fn complain_url(url: &str, scheme: &Scheme) -> Option<Complaint> {
    let complaint = |what, fix| Some(Complaint { what, fix });
    let Ok(uri) = url.parse::<Uri>() else {
        return complaint("is not a URL", scheme.fix);
    };
    let named = uri.scheme_str().filter(|name| scheme.names.contains(name));
    let (Some(_), Some(authority)) = (named, uri.authority()) else {
        return complaint(scheme.wrong, scheme.fix);
    };
    if authority.as_str().contains('@') {
        return complaint(
            "holds a user name or a password",
            "send them in `headers`: \"Authorization\": \"Basic ${CREDENTIALS}\"",
        );
    }
    if authority.host().is_empty() || !port_is_valid(authority) {
        return complaint("has no valid host and port", scheme.fix_port);
    }
    None
}
