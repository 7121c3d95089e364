//! The responses that we give.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use mcp_wire::{ErrorObject, Message};

use crate::body::Body;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Tells proxies that buffer answers to pass events on at once.
const NO_BUFFER: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) type Answer = Response<Body>;

pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, JSON, Body::whole(body))
}

/// An error without a request that it could answer.
pub(crate) fn error(status: StatusCode, id: Option<&str>, error: &ErrorObject) -> Answer {
    json(status, Message::error(id.unwrap_or("null"), error).bytes().clone())
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, TEXT, Body::whole(body))
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Body::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A body of JSON lines, which may go on.
pub(crate) fn lines(body: Body) -> Answer {
    let mut response = with_type(StatusCode::OK, LINES, body);
    response.headers_mut().insert(NO_BUFFER, HeaderValue::from_static("no"));
    response
}

pub(crate) fn events(body: Body) -> Answer {
    let mut response = with_type(StatusCode::OK, EVENT_STREAM, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(NO_BUFFER, HeaderValue::from_static("no"));
    response
}

fn with_type(status: StatusCode, media_type: HeaderValue, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
