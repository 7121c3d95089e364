//! One JSON-RPC message, kept as the bytes it came in.

use std::borrow::Cow;
use std::ops::Range;

use crate::scan::{self, ScanError};
use crate::{ErrorObject, Limits, ParseError};
use bytes::{Bytes, BytesMut};

/// A JSON-RPC 2.0 message: its bytes, and where its members lie in them.
///
/// Parsing looks at the outermost object only. What is inside `params`, `result` and `error` is
/// checked to be JSON and otherwise left alone, so that whatever a peer wrote (unknown fields, key
/// order, numbers beyond 64 bits) reaches the other side as it was written.
///
/// A message never contains a line break: those that stood between tokens became spaces. It can be
/// written as a line or as the data of a server-sent event as it is.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    kind: Kind,
    id: Span,
    method: Method,
    /// `params` of a request or notification, `result` or `error` of a response.
    body: Span,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "JSON-RPC 2.0 has these four and no more")]
pub enum Kind {
    /// Has a method and an id: wants an answer.
    Request,
    /// Has a method and no id.
    Notification,
    /// A response that carries a result.
    Result,
    /// A response that carries an error.
    Error,
}

/// A part of the message's bytes; empty where the member is absent.
type Span = Range<usize>;

#[derive(Clone, Debug)]
enum Method {
    /// As it stands in the message, between its quotes.
    Plain(Span),
    /// Written with escapes, which nobody does but everybody may.
    Decoded(Box<str>),
}

const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Where the members that JSON-RPC knows stand in a text.
#[derive(Default)]
struct Outline {
    jsonrpc: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    params: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
    /// A member that stood twice.
    twice: Option<&'static str>,
    /// A member that only a parser without regard to case takes for one of these.
    look_alike: Option<&'static str>,
}

impl Message {
    /// Reads one message. The bytes are shared, not copied, unless they hold line breaks.
    ///
    /// Refuses what JSON-RPC 2.0 does not allow, what exceeds `limits`, duplicate members, batches,
    /// and escapes that are no Unicode.
    pub fn parse(bytes: impl Into<Bytes>, limits: &Limits) -> Result<Self, ParseError> {
        let bytes = bytes.into();
        if bytes.len() > limits.frame_bytes || u32::try_from(bytes.len()).is_err() {
            return Err(ParseError::TooLarge { limit: limits.frame_bytes });
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| ParseError::NotUtf8)?;
        let mut outline = Outline::default();
        let depth = u32::try_from(limits.depth).unwrap_or(u32::MAX);
        scan::object(text, depth, |name, value| outline.add(&text[name], value))
            .map_err(|error| explain(text, error, limits))?;
        let checked = outline.check(text)?;
        Ok(checked.with(on_one_line(bytes)))
    }

    /// A request that we make ourselves. `id` and `params` are JSON texts.
    pub fn request(id: &str, method: &str, params: &str) -> Self {
        let method = quoted(method);
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#);
        Self::ours(text)
    }

    /// A notification that we send ourselves. `params` is a JSON text.
    pub fn notification(method: &str, params: &str) -> Self {
        let method = quoted(method);
        Self::ours(format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#))
    }

    /// A result that we give ourselves. `id` and `result` are JSON texts.
    pub fn result(id: &str, result: &str) -> Self {
        Self::ours(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
    }

    /// An error that we give ourselves. `id` is a JSON text.
    pub fn error(id: &str, error: &ErrorObject) -> Self {
        Self::ours(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_json()))
    }

    fn ours(text: String) -> Self {
        let unbounded = Limits { frame_bytes: u32::MAX as usize, ..Limits::default() };
        match Self::parse(text, &unbounded) {
            Ok(message) => message,
            // Only a caller that passes what is no JSON gets here; an error is the honest answer.
            Err(error) => {
                let error = ErrorObject::new(crate::code::INTERNAL_ERROR, error.to_string());
                let text = format!(r#"{{"jsonrpc":"2.0","id":null,"error":{}}}"#, error.to_json());
                let (kind, id) = (Kind::Error, 22..26);
                let body = 35..text.len() - 1;
                Self { bytes: text.into(), kind, id, method: Method::Plain(0..0), body }
            }
        }
    }

    /// The whole message, on one line, without a line end.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id as JSON text, exactly as written: `1`, `"1"`, `1.0` and `null` are four ids.
    pub fn id(&self) -> Option<&str> {
        self.part(&self.id)
    }

    /// The method; empty for a response.
    pub fn method(&self) -> &str {
        match &self.method {
            Method::Plain(span) => self.part(span).unwrap_or_default(),
            Method::Decoded(name) => name,
        }
    }

    /// The `params` of a request or notification, as JSON text.
    pub fn params(&self) -> Option<&str> {
        matches!(self.kind, Kind::Request | Kind::Notification).then(|| self.part(&self.body))?
    }

    /// The `result` of a response, as JSON text.
    pub fn result_json(&self) -> Option<&str> {
        (self.kind == Kind::Result).then(|| self.part(&self.body))?
    }

    /// The `error` of a response, as JSON text.
    pub fn error_json(&self) -> Option<&str> {
        (self.kind == Kind::Error).then(|| self.part(&self.body))?
    }

    /// The whole message as text.
    pub fn as_str(&self) -> &str {
        self.part(&(0..self.bytes.len())).unwrap_or_default()
    }

    /// Where `part`, a text that one of this message's accessors gave out (or a piece of one),
    /// stands in [`bytes`](Self::bytes). `None` if it is from somewhere else.
    pub fn range_of(&self, part: &str) -> Option<Range<usize>> {
        range_in(&self.bytes, part)
    }

    fn part(&self, span: &Span) -> Option<&str> {
        // The bytes were checked to be UTF-8 when they were parsed, and a span ends where a JSON
        // token ends, so this check runs over a few bytes and never fails.
        if span.is_empty() { None } else { std::str::from_utf8(&self.bytes[span.clone()]).ok() }
    }
}

fn range_in(whole: &[u8], part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start + part.len();
    (end <= whole.len()).then_some(start..end)
}

/// What [`Outline::check`] found, before the bytes move in.
struct Checked {
    kind: Kind,
    id: Span,
    method: Method,
    body: Span,
}

impl Checked {
    fn with(self, bytes: Bytes) -> Message {
        let Self { kind, id, method, body } = self;
        Message { bytes, kind, id, method, body }
    }
}

impl Outline {
    fn add(&mut self, name: &str, value: Span) {
        let decoded = unquoted(name);
        let (member, name) = match decoded.as_deref() {
            Some("jsonrpc") => (&mut self.jsonrpc, "jsonrpc"),
            Some("id") => (&mut self.id, "id"),
            Some("method") => (&mut self.method, "method"),
            Some("params") => (&mut self.params, "params"),
            Some("result") => (&mut self.result, "result"),
            Some("error") => (&mut self.error, "error"),
            Some(other) => {
                let known = MEMBERS.iter().find(|known| known.eq_ignore_ascii_case(other));
                self.look_alike = known.copied().or(self.look_alike);
                return;
            }
            None => return,
        };
        if member.replace(value).is_some() {
            self.twice = Some(name);
        }
    }

    fn check(self, text: &str) -> Result<Checked, ParseError> {
        if let Some(name) = self.twice {
            return Err(ParseError::Duplicate { name });
        }
        if let Some(name) = self.look_alike {
            return Err(ParseError::LookAlike { name });
        }
        let part = |span: &Option<Span>| span.clone().and_then(|span| text.get(span));
        if part(&self.jsonrpc) != Some(r#""2.0""#) {
            return Err(ParseError::Version);
        }
        let id = part(&self.id);
        let (kind, body) = match (&self.method, self.result, self.error) {
            (Some(_), None, None) if id.is_some() => (Kind::Request, self.params.clone()),
            (Some(_), None, None) => (Kind::Notification, self.params.clone()),
            (None, Some(result), None) if id.is_some() => (Kind::Result, Some(result)),
            // The one message that may lack an id: an error about a message whose id was unreadable.
            (None, None, Some(error)) => (Kind::Error, Some(error)),
            _ => return Err(ParseError::Shape),
        };
        let legal = match id.and_then(|id| id.bytes().next()) {
            Some(b'"' | b'-' | b'0'..=b'9') | None => true,
            Some(b'n') => kind == Kind::Error,
            _ => false,
        };
        if !legal {
            return Err(ParseError::Id);
        }
        if !part(&self.params).is_none_or(|params| params.starts_with(['{', '['])) {
            return Err(ParseError::Params);
        }
        let method = match (part(&self.method), self.method) {
            (Some(raw), Some(span)) if raw.starts_with('"') && !raw.contains('\\') => {
                Method::Plain(span.start + 1..span.end - 1)
            }
            (Some(raw), _) => {
                let decoded = unquoted(raw).ok_or(ParseError::Method)?;
                Method::Decoded(decoded.into())
            }
            (None, _) => Method::Plain(0..0),
        };
        let (id, body) = (self.id.unwrap_or(0..0), body.unwrap_or(0..0));
        Ok(Checked { kind, id, method, body })
    }
}

fn explain(text: &str, error: ScanError, limits: &Limits) -> ParseError {
    match error {
        ScanError::TooDeep => ParseError::TooDeep { limit: limits.depth.min(128) },
        ScanError::LoneSurrogate => ParseError::LoneSurrogate,
        ScanError::Syntax { .. } if scan::array(text, |_| {}).is_ok() => ParseError::Batch,
        ScanError::Syntax { expected, at } => ParseError::Syntax { expected, at },
    }
}

/// JSON strings cannot hold a raw line break, so in valid JSON all of them stand between tokens.
fn on_one_line(bytes: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &bytes).is_none() {
        return bytes;
    }
    let mut copy = BytesMut::from(&bytes[..]);
    for byte in copy.iter_mut() {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    copy.freeze()
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\');
    if text.bytes().all(plain) {
        return format!("\"{text}\"");
    }
    serde_json::Value::from(text).to_string()
}

/// The text of a JSON string; `None` if `json` is something else.
pub fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}
