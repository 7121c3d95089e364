//! As much MCP as a test needs before it can send what it is about.

use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::http::{self, Reply};

/// The version of the modern era.
pub const MODERN: &str = "2026-07-28";

/// In which era a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum Era {
    /// With `initialize`, at this version.
    Legacy(&'static str),
    /// Stateless, at [`MODERN`].
    Modern,
}

/// A client that sends parameters as written and keeps answers as they came.
#[derive(Debug)]
pub struct Client {
    url: String,
    era: Era,
    /// What the client can, as the JSON text of an object.
    capabilities: String,
    session: Option<String>,
    next_id: AtomicU64,
}

/// What came back for one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Notifications and requests that came first, on the same stream.
    pub before: Vec<String>,
    /// The response, byte for byte.
    pub message: String,
}

impl Answer {
    /// The response's result, byte for byte; empty when there is none.
    pub fn result(&self) -> &str {
        self.members().result.map_or("", RawValue::get)
    }

    /// The response's error, byte for byte; empty when there is none.
    pub fn error(&self) -> &str {
        self.members().error.map_or("", RawValue::get)
    }

    /// The response's id, byte for byte.
    pub fn id(&self) -> &str {
        self.members().id.map_or("", RawValue::get)
    }

    /// The whole response, parsed; null when it is not JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.message).unwrap_or_default()
    }

    fn members(&self) -> Members<'_> {
        serde_json::from_str(&self.message).unwrap_or_default()
    }
}

#[derive(Default, Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Client {
    /// Connects without any capability; in the legacy era that is where the session begins.
    pub fn connect(url: &str, era: Era) -> Result<Self> {
        Self::with_capabilities(url, era, "{}")
    }

    /// Connects with capabilities, given as the JSON text of an object.
    pub fn with_capabilities(url: &str, era: Era, capabilities: &str) -> Result<Self> {
        let mut client = Self {
            url: url.to_owned(),
            era,
            capabilities: capabilities.to_owned(),
            session: None,
            next_id: AtomicU64::new(1),
        };
        if let Era::Legacy(version) = era {
            let reply = http::post(url, &[], &initialize(version, capabilities))?;
            client.session = reply.header("mcp-session-id").map(str::to_owned);
            let answer = until_answer(reply, "0")?;
            assert_ne!(answer.result(), "", "initialize: {answer:?}");
            client.notify("notifications/initialized", "{}")?;
        }
        Ok(client)
    }

    /// The session that the server opened, in the legacy era.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Calls a tool with arguments as written, and waits for the response.
    pub fn call(&self, tool: &str, arguments: &str) -> Result<Answer> {
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, Value::from(tool));
        self.request("tools/call", &params)
    }

    /// Sends a request with parameters as written, and waits for the response.
    pub fn request(&self, method: &str, params: &str) -> Result<Answer> {
        self.request_with_meta(method, params, "")
    }

    /// The same, with more members of `_meta`, such as `"progressToken":7`.
    pub fn request_with_meta(&self, method: &str, params: &str, meta: &str) -> Result<Answer> {
        let (id, reply) = self.open(method, params, meta)?;
        until_answer(reply, &id)
    }

    /// Sends a request and hands back its id and the answer unread, for streams and for requests to
    /// abandon; [`until_answer`] reads on.
    ///
    /// `params` are an object without `_meta`.
    pub fn open(&self, method: &str, params: &str, meta: &str) -> Result<(String, Reply)> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let reply = self.open_as(&id, method, params, meta)?;
        Ok((id, reply))
    }

    /// The same, with an id of the caller's choice, a JSON text.
    pub fn open_as(&self, id: &str, method: &str, params: &str, meta: &str) -> Result<Reply> {
        http::exchange(&self.url, &self.request_as(id, method, params, meta))
    }

    /// The bytes of a whole HTTP request.
    fn request_as(&self, id: &str, method: &str, params: &str, meta: &str) -> Vec<u8> {
        let body = self.body(id, method, params, meta);
        let parsed: Value = serde_json::from_str(params).unwrap_or_default();
        let name = ["name", "uri", "taskId"].iter().find_map(|key| parsed[key].as_str());
        let name = name.filter(|_| self.era == Era::Modern);
        let mut headers = self.headers();
        if self.era == Era::Modern {
            headers.push(("Mcp-Method", method));
        }
        headers.extend(name.map(|name| ("Mcp-Name", name)));
        http::posted(&self.url, &headers, &body)
    }

    /// Sends the same without waiting for the head of the answer: to abandon it in silence.
    pub fn begin_as(&self, id: &str, method: &str, params: &str) -> Result<std::net::TcpStream> {
        http::begin(&self.url, &self.request_as(id, method, params, ""))
    }

    /// Calls a tool in a request with this id, and waits for the response.
    pub fn call_as(&self, id: &str, tool: &str, arguments: &str) -> Result<Answer> {
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, Value::from(tool));
        until_answer(self.open_as(id, "tools/call", &params, "")?, id)
    }

    /// Sends a whole message as written, with this client's headers.
    pub fn send(&self, message: &str) -> Result<Reply> {
        http::post(&self.url, &self.headers(), message)
    }

    /// Sends a notification with parameters as written.
    pub fn notify(&self, method: &str, params: &str) -> Result<Reply> {
        self.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
    }

    /// Opens the stream on which a legacy server sends what belongs to no request.
    pub fn listen(&self) -> Result<Reply> {
        http::get(&self.url, &self.headers())
    }

    /// Comes back to a stream, with the last event that it had.
    pub fn resume(&self, last: &str) -> Result<Reply> {
        http::get(&self.url, &[&self.headers()[..], &[("Last-Event-ID", last)]].concat())
    }

    /// The same client, at another address: what it does when the server there has changed.
    #[must_use]
    pub fn moved_to(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// Ends a legacy session.
    pub fn delete(&self) -> Result<Reply> {
        http::exchange(&self.url, &http::request("DELETE", &self.url, &self.headers(), b""))
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let version = match self.era {
            Era::Legacy(version) => version,
            Era::Modern => MODERN,
        };
        let mut headers = vec![("MCP-Protocol-Version", version)];
        headers.extend(self.session.as_deref().map(|session| ("Mcp-Session-Id", session)));
        headers
    }

    fn body(&self, id: &str, method: &str, params: &str, meta: &str) -> String {
        body(self.era, &self.capabilities, id, method, params, meta)
    }
}

/// A request; `params` are kept as written, with what the era and `meta` say put in front of the first
/// member, as `_meta`.
pub fn body(
    era: Era,
    capabilities: &str,
    id: &str,
    method: &str,
    params: &str,
    meta: &str,
) -> String {
    let mut members = Vec::new();
    if era == Era::Modern {
        members.push(format!(r#""io.modelcontextprotocol/protocolVersion":"{MODERN}""#));
        members.push(format!(r#""io.modelcontextprotocol/clientCapabilities":{capabilities}"#));
    }
    members.extend(Some(meta.to_owned()).filter(|meta| !meta.is_empty()));
    let params = match members.is_empty() {
        true => params.to_owned(),
        false => {
            let rest = params.trim_start().strip_prefix('{').unwrap_or("}");
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            format!(r#"{{"_meta":{{{}}}{comma}{rest}"#, members.join(","))
        }
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// The request that opens a session, with the id 0.
pub fn initialize(version: &str, capabilities: &str) -> String {
    let info = r#"{"name":"raw","version":"1.0.0"}"#;
    let params = format!(
        r#"{{"protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{info}}}"#
    );
    body(Era::Legacy(""), capabilities, "0", "initialize", &params, "")
}

/// Reads messages until the response to the request with this `id`.
pub fn until_answer(mut reply: Reply, id: &str) -> Result<Answer> {
    let (status, mut before) = (reply.status, Vec::new());
    while let Some(message) = reply.message()? {
        let members: Members<'_> = serde_json::from_str(&message).unwrap_or_default();
        let answers = members.id.is_some_and(|it| it.get() == id) && members.method.is_none();
        // An error before the id is known, such as a refusal by HTTP status, is an answer too.
        if answers || (members.id.is_none() && members.error.is_some()) {
            return Ok(Answer { status, before, message });
        }
        before.push(message);
    }
    Ok(Answer { status, before, message: String::new() })
}
