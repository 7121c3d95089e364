//! Reading what came back: the message out of its HTTP body, and whether it is the right one.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer<'a> {
    id: u64,
    #[serde(borrow)]
    result: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(default, rename = "isError")]
    is_error: bool,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    result: Option<Tools<'a>>,
}

#[derive(Deserialize)]
struct Tools<'a> {
    #[serde(borrow)]
    tools: Vec<Tool<'a>>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Failed<'a> {
    id: u64,
    #[serde(borrow)]
    error: Fault<'a>,
}

#[derive(Deserialize)]
struct Fault<'a> {
    #[serde(borrow)]
    data: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Right,
    /// An error for this call: its `data.code`, or `unnamed`.
    Failed(String),
    /// No answer, or none that is JSON-RPC.
    Lost(String),
    /// An answer that is not this call's.
    Wrong(String),
}

/// What `answer` is to the call `id` of `said`.
pub(crate) fn outcome(answer: &[u8], id: u64, said: &str) -> Outcome {
    let Err(why) = check(answer, id, said) else { return Outcome::Right };
    match serde_json::from_slice::<Failed<'_>>(answer) {
        Ok(failed) if failed.id == id => {
            let code = failed.error.data.and_then(|data| data.code);
            Outcome::Failed(code.map_or_else(|| "unnamed".to_owned(), Cow::into_owned))
        }
        _ => Outcome::Wrong(why),
    }
}

/// The JSON-RPC message of a body: the body itself, or the last event of a stream.
pub(crate) fn message(head: &Parts, body: Bytes) -> Result<Bytes, String> {
    let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    if !kind.starts_with(b"text/event-stream") {
        return Ok(body);
    }
    let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
    let data = text.lines().rev().find_map(|line| line.strip_prefix("data:"));
    data.map(|data| body.slice_ref(data.as_bytes())).ok_or_else(|| format!("no event in {text}"))
}

/// Whether `answer` is the echo of `said` to the call `id`.
pub(crate) fn check(answer: &[u8], id: u64, said: &str) -> Result<(), String> {
    let wrong = || {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(400)]);
        format!("call {id} of {:.40} was answered with {shown}", said)
    };
    let parsed: Answer<'_> = serde_json::from_slice(answer).map_err(|_| wrong())?;
    let called = parsed.result.ok_or_else(wrong)?;
    let [block] = called.content.as_slice() else { return Err(wrong()) };
    let right = parsed.id == id
        && !called.is_error
        && block.text.strip_prefix("Echo: ").is_some_and(|echoed| echoed == said);
    if right { Ok(()) } else { Err(wrong()) }
}

/// The name of the first tool that ends in `echo`.
pub(crate) fn echo_tool(answer: &[u8]) -> Result<Option<String>, String> {
    let listed: Listed<'_> = serde_json::from_slice(answer)
        .map_err(|error| format!("tools/list: {error}: {}", String::from_utf8_lossy(answer)))?;
    let tools = listed.result.map(|result| result.tools).unwrap_or_default();
    Ok(tools.into_iter().find(|tool| tool.name.ends_with("echo")).map(|t| t.name.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &[u8] =
        br#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"Echo: hi"}]}}"#;

    #[test]
    fn only_the_right_answer_passes() {
        assert_eq!(check(RIGHT, 7, "hi"), Ok(()));
        assert!(check(RIGHT, 8, "hi").is_err(), "another call's answer");
        assert!(check(RIGHT, 7, "ho").is_err(), "another call's text");
        let error = br#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"no"}}"#;
        assert!(check(error, 7, "hi").is_err(), "an error");
        assert!(check(b"", 7, "hi").is_err(), "nothing");
    }

    #[test]
    fn an_error_of_this_call_is_no_wrong_answer() {
        let error = |id: u64, data: &str| {
            let error = format!(r#"{{"id":{id},"error":{{"code":-32603,"message":"no"{data}}}}}"#);
            outcome(error.as_bytes(), 7, "hi")
        };
        assert_eq!(outcome(RIGHT, 7, "hi"), Outcome::Right);
        let named = error(7, r#","data":{"code":"TIMEOUT"}"#);
        assert_eq!(named, Outcome::Failed("TIMEOUT".to_owned()));
        assert_eq!(error(7, ""), Outcome::Failed("unnamed".to_owned()));
        assert!(matches!(error(8, ""), Outcome::Wrong(_)), "another call's error");
        assert!(matches!(outcome(RIGHT, 7, "ho"), Outcome::Wrong(_)), "another call's text");
        assert!(matches!(outcome(b"{}", 7, "hi"), Outcome::Wrong(_)), "neither");
    }

    #[test]
    fn an_event_stream_is_read_to_its_last_event() {
        let mut response = http::Response::new(());
        let kind = "text/event-stream; charset=utf-8".parse().unwrap();
        response.headers_mut().insert(CONTENT_TYPE, kind);
        let head = response.into_parts().0;
        let body = Bytes::from_static(b"id: 1\ndata:\n\nevent: message\ndata: {\"id\":7}\n\n");
        assert_eq!(&message(&head, body).unwrap()[..], b" {\"id\":7}");
    }

    #[test]
    fn the_tool_is_found_behind_a_prefix() {
        let list = br#"{"id":0,"result":{"tools":[{"name":"x"},{"name":"echo__echo"}]}}"#;
        assert_eq!(echo_tool(list), Ok(Some("echo__echo".to_owned())));
        assert_eq!(echo_tool(br#"{"id":0,"result":{"tools":[]}}"#), Ok(None));
    }
}
