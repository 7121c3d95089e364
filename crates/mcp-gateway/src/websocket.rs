//! The face for WebSocket: a connection is one client and its session, and ends with it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use mcp_manager::{Fleet, Scope};
use mcp_wire::Limits;
use mcp_wire::ws::{self, Role, code};
use tokio::sync::watch;

use crate::body::Body;
use crate::conversation::{End, Stop, converse};
use crate::respond::{self, Answer};
use crate::session::Attached;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request wants to become a WebSocket.
pub(crate) fn is_wanted<B>(request: &Request<B>) -> bool {
    *request.method() == Method::GET && has(request.headers(), &UPGRADE, "websocket")
}

/// What speaks with the client once its connection has been taken over.
pub(crate) struct Face {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) scope: Scope,
    pub(crate) limits: Limits,
    /// The client's place among the sessions.
    pub(crate) place: Attached,
    pub(crate) stopping: watch::Receiver<bool>,
    /// How long what is in flight may take then.
    pub(crate) wind_up: Duration,
}

/// Why a request cannot become a WebSocket, if it cannot.
pub(crate) fn refuses<B>(request: &Request<B>) -> Option<Answer> {
    let bad = |why: &'static str| Some(respond::text(StatusCode::BAD_REQUEST, why));
    let headers = request.headers();
    let version = headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    if version != Some(ws::VERSION.as_bytes()) {
        let why = "Sec-WebSocket-Version must be 13";
        let mut answer = respond::text(StatusCode::UPGRADE_REQUIRED, why);
        let version = HeaderValue::from_static(ws::VERSION);
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
        answer.headers_mut().insert(UPGRADE, WEBSOCKET);
        return Some(answer);
    }
    if request.version() < Version::HTTP_11 || !has(headers, &CONNECTION, "upgrade") {
        return bad("a WebSocket needs HTTP/1.1 and `Connection: Upgrade`");
    }
    if !key(headers).is_some_and(is_key) {
        return bad("Sec-WebSocket-Key must be 16 bytes in base64, once");
    }
    // Whoever does not name it may mean anything: better to say so now than to misunderstand each
    // other later.
    if !has(headers, &SEC_WEBSOCKET_PROTOCOL, ws::SUBPROTOCOL) {
        return bad("offer the subprotocol \"mcp\" (Sec-WebSocket-Protocol: mcp)");
    }
    None
}

/// Says yes to a request that [`refuses`] has nothing against.
pub(crate) fn accept(request: &mut Request<Incoming>, face: Face) -> Answer {
    let accepted = ws::accept_key(key(request.headers()).unwrap_or_default());
    let Ok(accepted) = HeaderValue::from_str(&accepted) else {
        return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let upgrading = hyper::upgrade::on(request);
    let mut answer = Answer::new(Body::upgraded(Box::pin(face.serve(upgrading))));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(ws::SUBPROTOCOL));
    answer
}

impl Face {
    async fn serve(self, upgrading: OnUpgrade) {
        let Self { fleet, scope, limits, place, mut stopping, wind_up } = self;
        // The client may have gone before it read the answer.
        let Ok(upgraded) = upgrading.await else { return };
        let (reader, writer, closer) = ws::lines(TokioIo::new(upgraded), Role::Server, &limits);
        let stop = async {
            // An error means that the gateway has been dropped.
            let _ = stopping.wait_for(|stopping| *stopping).await;
            closer.set(code::GOING_AWAY, "the gateway is shutting down");
        };
        let stop = Stop { told: stop, wind_up };
        let end = converse(fleet, scope, limits, (reader, writer), stop).await;
        if end == End::Slow {
            closer.set(code::POLICY, "too much waits to be read");
        }
        // The session is over; the connection may take a moment longer.
        drop(place);
        closer.close().await;
    }
}

/// Whether one of the words in a header's list is this one.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else { return None };
    key.to_str().ok()
}

/// 16 bytes in base64 are 22 digits and two signs of equality. What they are matters to nobody.
fn is_key(key: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(digit))
}
