//! `Message::parse` takes what a common parser takes, and reads it the same way.

use mcp_wire::{Kind, Limits, Message, ParseError, Request};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Holds one message against `serde_json`.
///
/// # Panics
/// When the two differ where they must not.
pub fn run(data: &[u8]) {
    match Message::parse(data.to_vec(), &Limits::default()) {
        Ok(message) => means_the_same(data, &message),
        Err(ParseError::Syntax { .. }) if data.trim_ascii_start().starts_with(b"{") => {
            let read = serde_json::from_slice::<IgnoredAny>(data);
            assert!(read.is_err(), "others take this for JSON");
        }
        Err(_) => {}
    }
}

fn means_the_same(data: &[u8], message: &Message) {
    assert!(serde_json::from_slice::<IgnoredAny>(data).is_ok(), "we took this for JSON");
    let text = message.as_str();
    assert!(!text.contains(['\r', '\n']), "a message is one line");
    let again = Message::parse(message.bytes().clone(), &Limits::default());
    assert_eq!(again.map(|again| again.as_str().to_owned()).as_deref(), Ok(text));
    // A number may be legal and more than this parser's can hold.
    let Ok(read) = serde_json::from_slice::<Value>(data) else { return };
    let part = |name: &str| read.get(name);
    let parsed =
        |json: Option<&str>| json.and_then(|json| serde_json::from_str::<Value>(json).ok());
    assert_eq!(part("jsonrpc").and_then(Value::as_str), Some("2.0"));
    assert_eq!(part("id"), parsed(message.id()).as_ref());
    let asks = matches!(message.kind(), Kind::Request | Kind::Notification);
    assert_eq!(part("method").and_then(Value::as_str), asks.then(|| message.method()));
    for (name, json) in [
        ("params", message.params()),
        ("result", message.result_json()),
        ("error", message.error_json()),
    ] {
        // An answer may have `params`, which mean nothing there.
        assert!(json.is_none() || part(name) == parsed(json).as_ref(), "{name} differs");
    }
    if let Ok(request) = Request::read(message.clone()) {
        is_about_the_same(&read, &request);
    }
}

fn is_about_the_same(read: &Value, request: &Request) {
    let params = &read["params"];
    if let Some(member) = mcp_wire::subject_member(request.method()) {
        assert_eq!(params[member].as_str(), request.name());
    }
    let version = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
    assert_eq!(version.as_str(), request.version());
}
