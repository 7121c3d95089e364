//! Responses that are no answer yet: what is in them, and what is wrong with them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::{CallError, Limits, ParseError};

/// How much of a refusal's body, and of a header in it, is shown.
const SHOWN_BYTES: usize = 200;

/// The media type, in the server's own letters.
fn media_type(head: &Parts) -> &str {
    text(&head.headers, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
}

pub(super) fn is_event_stream(head: &Parts) -> bool {
    media_type(head).eq_ignore_ascii_case("text/event-stream")
}

/// We accept no encoding, so a body that has one cannot be read; and is not, for a small one may
/// become anything.
pub(super) fn check_encoding(head: &Parts) -> Result<(), CallError> {
    let encoding = text(&head.headers, &CONTENT_ENCODING);
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    let why = format!("the body is encoded ({:?}), which was not asked for", shown(encoding));
    Err(CallError::Protocol { why })
}

/// A whole body, within the limit.
pub(super) async fn read(mut body: Incoming, limits: &Limits) -> Result<Bytes, CallError> {
    let limit = limits.frame_bytes;
    let too_large = || CallError::Unreadable(ParseError::TooLarge { limit });
    let mut whole = Bytes::new();
    let mut more = BytesMut::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if whole.len() + more.len() + data.len() > limit {
            return Err(too_large());
        }
        // Nearly every answer comes in one piece, and is not copied.
        if whole.is_empty() && more.is_empty() {
            whole = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut whole));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { whole } else { more.freeze() })
}

/// A body that is no message. Pages of proxies and login forms come with a type that says so.
pub(super) fn unreadable(head: &Parts, error: ParseError) -> CallError {
    match media_type(head) {
        other if !other.is_empty() && !other.eq_ignore_ascii_case("application/json") => {
            let why =
                format!("the body is {:?}, neither JSON nor a stream of events", shown(other));
            CallError::Protocol { why }
        }
        _ => CallError::Unreadable(error),
    }
}

/// A response without success, for people: where it points to, when to come again, what it says.
pub(super) fn refusal(head: &Parts, body: &[u8]) -> CallError {
    let said = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]);
    let location = shown(text(&head.headers, &LOCATION));
    let retry = shown(text(&head.headers, &RETRY_AFTER));
    let body = if head.status.is_redirection() && !location.is_empty() {
        // What we send may hold credentials, which are meant for the configured host alone.
        format!("it redirects to {location:?}, which is not followed; configure that URL instead")
    } else if retry.is_empty() {
        said.into_owned()
    } else {
        format!("Retry-After: {retry}; {said}").trim_end_matches("; ").to_owned()
    };
    // Digits alone: a sign, a date or a fraction is no delay.
    let digits = !retry.is_empty() && retry.bytes().all(|byte| byte.is_ascii_digit());
    let retry_after = if digits { retry.parse().ok().map(Duration::from_secs) } else { None };
    CallError::Status { status: head.status.as_u16(), body, retry_after }
}

/// Whether the same request may succeed later.
pub(super) fn may_pass(status: StatusCode) -> bool {
    let later = [
        StatusCode::REQUEST_TIMEOUT,
        // A server that holds one stream a session, and has not noticed that it broke.
        StatusCode::CONFLICT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    later.contains(&status) || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

/// An error after the request may have been seen, with what hyper keeps behind its own words.
pub(super) fn broken(error: &hyper::Error) -> CallError {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    CallError::Closed { why: format!("{error}{}", source.unwrap_or_default()) }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The beginning of a header, which is ASCII.
fn shown(text: &str) -> &str {
    text.get(..SHOWN_BYTES).unwrap_or(text)
}
