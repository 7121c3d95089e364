//! A stateless request passes exactly if a common parser finds in its headers what it finds in its
//! body.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_wire::http::agreement;
use mcp_wire::{Kind, Limits, Message, Request, headers, subject_member};
use serde_json::Value;

/// Lines of `name: value`, an empty one, and a body.
///
/// # Panics
/// When the two verdicts differ.
pub fn run(data: &[u8]) {
    let Some(end) = data.windows(2).position(|pair| pair == b"\n\n") else { return };
    let headers = header_map(&data[..end]);
    let body = Bytes::copy_from_slice(&data[end + 2..]);
    let Ok(message) = Message::parse(body.clone(), &Limits::default()) else { return };
    if message.kind() != Kind::Request {
        return;
    }
    let (Ok(request), Ok(read)) = (Request::read(message), serde_json::from_slice(&body)) else {
        return;
    };
    let verdict = agreement::check(&headers, &request);
    assert_eq!(verdict.is_ok(), agree(&headers, &read), "{verdict:?}");
}

fn header_map(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn agree(headers: &HeaderMap, read: &Value) -> bool {
    let meta = &read["params"]["_meta"];
    let version = meta["io.modelcontextprotocol/protocolVersion"].as_str();
    let method = read["method"].as_str().unwrap_or_default();
    let subject = subject_member(method).and_then(|member| read["params"][member].as_str());
    version == Some("2026-07-28")
        && meta["io.modelcontextprotocol/clientCapabilities"].is_object()
        && only(headers, headers::PROTOCOL_VERSION) == version
        && only(headers, headers::METHOD) == Some(method)
        && subject.is_none_or(|name| {
            let header = only(headers, headers::NAME).and_then(headers::decode_value);
            header.as_deref() == Some(name)
        })
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    let [value] = values[..] else { return None };
    value.to_str().ok()
}
