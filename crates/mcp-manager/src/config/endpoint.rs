//! Reads the entry of a server that is reached by URL.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue, Uri};
use jsonc_parser::common::Ranged;

use super::decode::{duplicate, object, properties, string};
use super::entry::{Entry, ignore};
use super::keys;
use super::problem::ProblemKind;
use super::setting::port_is_valid;
use super::spec::Http;
use super::suggest::quote;
use super::template::Mask;
use super::text::Text;
use super::value::{Complaint, Values};

pub(super) fn read(entry: &Entry<'_, '_>, values: &mut Values<'_, '_, '_>) -> Option<Http> {
    let why = "the server is not started here";
    ignore(entry, &["args", "env", "envFile", "cwd"], why, values.report);
    let headers = headers(entry, values);
    let property = keys::URL.iter().find_map(|key| entry.get(key))?;
    let key = property.name.as_str();
    let lit = string(key, &property.value, "write \"https://host/path\"", values.report)?;
    // Keys are handed out as part of a query more often than they should be.
    let url = values.text(key, lit, Mask::Behind('?'), complain_url);
    let or_sse = keys::TYPE.iter().all(|key| entry.get(key).is_none());
    Some(Http { url, headers, or_sse })
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

fn complain_url(url: &str) -> Option<Complaint> {
    let complaint = |what, fix| Some(Complaint { what, fix });
    let Ok(uri) = url.parse::<Uri>() else {
        return complaint("is not a URL", "write it as https://host/path");
    };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return complaint(
            "does not begin with http:// or https://",
            "write it as https://host/path",
        );
    };
    if authority.as_str().contains('@') {
        return complaint(
            "holds a user name or a password",
            "send them in `headers`: \"Authorization\": \"Basic ${CREDENTIALS}\"",
        );
    }
    if authority.host().is_empty() || !port_is_valid(authority) {
        return complaint("has no valid host and port", "write it as https://host:443/path");
    }
    None
}
