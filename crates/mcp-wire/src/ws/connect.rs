//! The client's handshake: a request that asks to become a WebSocket.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::timeout;

use super::{Reader, Role, SUBPROTOCOL, VERSION, Writer, accept_key, lines};
use crate::http::EndpointError;
use crate::{CallError, Limits};

/// How long the whole handshake may take: TCP, TLS, and the server's answer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a refusal's body is shown.
const REFUSAL_BYTES: usize = 200;

/// A WebSocket endpoint. Each connection to it is one of its own.
#[derive(Clone, Debug)]
pub struct Endpoint {
    http: crate::http::Endpoint,
}

impl Endpoint {
    /// The endpoint at `url`, `ws://` or `wss://`. The handshake carries `headers`, apart from those
    /// that it is made of.
    pub fn new<'h>(
        url: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, EndpointError> {
        let bad_url = || EndpointError::Url { url: url.to_owned() };
        // The handshake is HTTP, to the same host and port.
        let (scheme, rest) = url.split_once("://").ok_or_else(bad_url)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => "http",
            "wss" => "https",
            _ => return Err(bad_url()),
        };
        let headers = headers.into_iter().filter(|(name, _)| !is_ours(name));
        let http = crate::http::Endpoint::new(&format!("{scheme}://{rest}"), headers);
        let http = http.map_err(|error| match error {
            EndpointError::Url { .. } => bad_url(),
            other => other,
        })?;
        Ok(Self { http })
    }

    /// The host, without brackets, and the port that connections are made to.
    pub fn authority(&self) -> (&str, u16) {
        self.http.authority()
    }
}

fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "upgrade" || name.starts_with("sec-websocket-")
}

/// Connects to `endpoint`, within 10 s.
///
/// The subprotocol `mcp` is offered. A server that chooses none is taken all the same: many do not
/// know that there is one; whoever chooses another speaks something else.
pub async fn connect(
    endpoint: &Endpoint,
    limits: &Limits,
) -> Result<(Reader<TokioIo<Upgraded>>, Writer<TokioIo<Upgraded>>), CallError> {
    let upgraded = timeout(HANDSHAKE_TIMEOUT, upgrade(endpoint)).await;
    let late = || refused(format!("no WebSocket within {HANDSHAKE_TIMEOUT:?}"));
    let upgraded = upgraded.unwrap_or_else(|_| Err(late()))?;
    let (reader, writer, _) = lines(TokioIo::new(upgraded), Role::Client, limits);
    Ok((reader, writer))
}

async fn upgrade(endpoint: &Endpoint) -> Result<Upgraded, CallError> {
    let target = &endpoint.http.target;
    let mut nonce = [0; 16];
    let random = SystemRandom::new().fill(&mut nonce);
    random.map_err(|_| refused("the system has no randomness to give".to_owned()))?;
    let key = base64::engine::general_purpose::STANDARD.encode(nonce);
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = target.path.clone().into();
    let headers = request.headers_mut();
    for (name, value) in &target.headers {
        headers.append(name, value.clone());
    }
    headers.insert(HOST, target.host.clone());
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let no_key = |_| refused("the key is no header".to_owned());
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(&key).map_err(no_key)?);
    let mut connection = target.pool.connect().await?;
    let answer = connection.send_request(request).await;
    let answer = answer.map_err(|error| refused(error.to_string()))?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(answer).await);
    }
    check(answer.headers(), &key).map_err(refused)?;
    hyper::upgrade::on(answer).await.map_err(|error| refused(error.to_string()))
}

/// Whether a server that says yes has understood the question.
fn check(headers: &HeaderMap, key: &str) -> Result<(), String> {
    let is = |name: &HeaderName, expected: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(expected))
    };
    if !is(&UPGRADE, "websocket") || !is(&CONNECTION, "upgrade") {
        return Err("the server upgrades to something else than a WebSocket".to_owned());
    }
    let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted != Some(accept_key(key).as_bytes()) {
        return Err("the server's Sec-WebSocket-Accept does not fit".to_owned());
    }
    if let Some(extensions) = headers.get(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(format!("the server wants extensions that were not offered: {extensions:?}"));
    }
    match headers.get(SEC_WEBSOCKET_PROTOCOL) {
        Some(chosen) if chosen != SUBPROTOCOL => Err(format!(
            "the server chose the subprotocol {chosen:?}, but {SUBPROTOCOL:?} was offered"
        )),
        _ => Ok(()),
    }
}

/// A server that says no, in its own words.
async fn refusal(answer: Response<Incoming>) -> CallError {
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut words = Vec::new();
    while words.len() < REFUSAL_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        words.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    words.truncate(REFUSAL_BYTES);
    let body = String::from_utf8_lossy(&words).trim().to_owned();
    CallError::Status { status, body, retry_after: None }
}

fn refused(why: String) -> CallError {
    CallError::Connect { why }
}
