//! An MCP server with a tool, `echo`, in both eras: bytes in, bytes out, no transport.
//!
//! A second tool, `write`, does the same and promises nothing of it: what is in front of the server has
//! to take it for one that must not be called twice.
//!
//! The results are written by hand around the client's own bytes, so that the server costs as
//! little as a server can and the difference between two ways to it is theirs.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
    #[serde(borrow, rename = "protocolVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
}

/// What the server has to say to one message.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The answer to `initialize`: over HTTP it opens a session.
    Opened(Vec<u8>),
    /// The answer to any other request.
    Answered(Vec<u8>),
    /// An error answer: the method is not one of ours.
    Unknown(Vec<u8>),
    /// Nothing: a notification, or an answer to a question that was never asked.
    Taken,
    /// Not a JSON-RPC message.
    Malformed,
}

const CAPABILITIES: &str = r#""capabilities":{"tools":{}}"#;
const SERVER: &str = r#"{"name":"echo","version":"1.0.0"}"#;
const TOOLS: &str = concat!(
    r#""tools":[{"name":"echo","description":"Says it again.","#,
    r#""inputSchema":{"type":"object","properties":{"message":{"type":"string"}},"#,
    r#""required":["message"]},"annotations":{"readOnlyHint":true,"idempotentHint":true}},"#,
    r#"{"name":"write","description":"Says it as well.","#,
    r#""inputSchema":{"type":"object","properties":{"message":{"type":"string"}},"#,
    r#""required":["message"]}}]"#
);

/// Answers one message.
pub(crate) fn reply(message: &[u8]) -> Reply {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(message) else {
        return Reply::Malformed;
    };
    let Some(id) = message.id else { return Reply::Taken };
    let params = message.params.as_ref();
    let modern = params.and_then(|params| params.meta.as_ref()?.version).is_some();
    match &*message.method {
        "tools/call" => Reply::Answered(call(id, params, modern)),
        "tools/list" => Reply::Answered(result(id, TOOLS, modern)),
        "initialize" => Reply::Opened(opened(id, params)),
        "server/discover" => Reply::Answered(discovered(id)),
        "ping" => Reply::Answered(result(id, "", false)),
        _ => Reply::Unknown(
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#
            )
            .into_bytes(),
        ),
    }
}

fn call(id: &RawValue, params: Option<&Params<'_>>, modern: bool) -> Vec<u8> {
    let said = params.and_then(|params| params.arguments.as_ref()?.message);
    // The text keeps the escapes it came with: everything behind the opening quote is its own.
    let said = said.map_or("\"", |said| said.get().strip_prefix('"').unwrap_or("\""));
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    let parts = [
        r#"{"jsonrpc":"2.0","id":"#,
        id.get(),
        r#","result":{"#,
        kind,
        r#""content":[{"type":"text","text":"Echo: "#,
        said,
        r#"}]}}"#,
    ];
    parts.concat().into_bytes()
}

fn opened(id: &RawValue, params: Option<&Params<'_>>) -> Vec<u8> {
    let asked = params.and_then(|params| params.version).map(RawValue::get);
    let known = [r#""2024-11-05""#, r#""2025-03-26""#, r#""2025-06-18""#, r#""2025-11-25""#];
    let version = asked.filter(|asked| known.contains(asked)).unwrap_or(known[3]);
    let body = format!(r#""protocolVersion":{version},{CAPABILITIES},"serverInfo":{SERVER}"#);
    result(id, &body, false)
}

fn discovered(id: &RawValue) -> Vec<u8> {
    let versions = r#""supportedVersions":["2026-07-28","2025-11-25"]"#;
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}"#);
    result(id, &format!("{versions},{CAPABILITIES},{meta}"), true)
}

fn result(id: &RawValue, members: &str, modern: bool) -> Vec<u8> {
    let modern =
        if modern { r#","resultType":"complete","ttlMs":60000,"cacheScope":"public""# } else { "" };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{members}{modern}}}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(message: &str) -> String {
        match reply(message.as_bytes()) {
            Reply::Opened(bytes) | Reply::Answered(bytes) | Reply::Unknown(bytes) => {
                let text = String::from_utf8(bytes).unwrap();
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
                text
            }
            other => panic!("{message} was met with {other:?}"),
        }
    }

    #[test]
    fn a_call_is_echoed_with_its_id_and_its_escapes() {
        let call = r#"{"jsonrpc":"2.0","id":"a\"7","method":"tools/call",
            "params":{"name":"echo","arguments":{"message":"say \"hi\"\n"}}}"#;
        let expected = r#"{"jsonrpc":"2.0","id":"a\"7","result":{"content":[{"type":"text","text":"Echo: say \"hi\"\n"}]}}"#;
        assert_eq!(answered(call), expected);
    }

    #[test]
    fn a_modern_call_is_answered_complete() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",
            "arguments":{"message":"x"},
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert!(answered(call).contains(r#""resultType":"complete""#));
    }

    #[test]
    fn every_other_method_is_answered_with_json() {
        for method in ["initialize", "server/discover", "tools/list", "ping", "prompts/list"] {
            answered(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#));
        }
    }

    #[test]
    fn a_notification_is_taken_and_nonsense_is_refused() {
        let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert!(matches!(reply(notification.as_bytes()), Reply::Taken));
        assert!(matches!(reply(b"{"), Reply::Malformed));
    }
}
