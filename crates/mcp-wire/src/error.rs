//! What can go wrong with a message, and with a call.

use std::time::Duration;

use crate::code;
use crate::message::quoted;

/// Bytes that are no message we pass on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Longer than [`Limits::frame_bytes`](crate::Limits::frame_bytes).
    #[error("message is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Nested deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("message nests deeper than {limit} levels")]
    TooDeep {
        /// The limit, in levels.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("message is not UTF-8")]
    NotUtf8,
    /// Holds half of an escaped surrogate pair.
    #[error("message escapes a lone surrogate, which is no Unicode text")]
    LoneSurrogate,
    /// Not JSON.
    #[error("message is not JSON: {expected} expected at byte {at}")]
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// How many bytes stand before it.
        at: usize,
    },
    /// An array of messages, which MCP allows in 2025-03-26 only, and nobody sends.
    #[error("batches are not supported, send one message at a time")]
    Batch,
    /// A member of the message itself occurs twice.
    #[error("member {name:?} occurs twice")]
    Duplicate {
        /// The member.
        name: &'static str,
    },
    /// A member of the message itself is there in other letters, such as `Method`: a parser that
    /// ignores their case would read another message than we do.
    #[error("a member is written almost like {name:?}, but in other letters")]
    LookAlike {
        /// The member that it could be taken for.
        name: &'static str,
    },
    /// `jsonrpc` is not `"2.0"`.
    #[error("member \"jsonrpc\" must be \"2.0\"")]
    Version,
    /// Neither a request, a notification, a result nor an error.
    #[error("message must have either a method, or an id and one of result and error")]
    Shape,
    /// `id` is neither a string nor a number.
    #[error("member \"id\" must be a string or a number")]
    Id,
    /// `method` is not a string.
    #[error("member \"method\" must be a string")]
    Method,
    /// `params` is neither an object nor an array.
    #[error("member \"params\" must be an object")]
    Params,
}

impl ParseError {
    /// The JSON-RPC code that tells the sender.
    pub fn code(&self) -> i64 {
        match self {
            Self::NotUtf8 | Self::Syntax { .. } | Self::LoneSurrogate => code::PARSE_ERROR,
            _ => code::INVALID_REQUEST,
        }
    }
}

/// Why a call has no answer from the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No connection could be made; nothing was sent.
    #[error("cannot connect: {why}")]
    Connect {
        /// The operating system's or the TLS library's words.
        why: String,
    },
    /// The connection ended before any of the request was written; nothing was sent.
    #[error("connection closed before the request was sent: {why}")]
    Unsent {
        /// How it ended.
        why: String,
    },
    /// The connection ended before the answer came. The peer may have acted.
    #[error("connection closed: {why}")]
    Closed {
        /// How it ended.
        why: String,
    },
    /// The deadline passed. The peer was told to stop, and may have acted.
    #[error("no answer within {after:?}")]
    Timeout {
        /// How long the call was given, progress included.
        after: Duration,
    },
    /// Too much is waiting to be sent to this peer; nothing was sent.
    #[error("too many messages are waiting for this server")]
    Overloaded,
    /// The caller does not read what the call sends it, and its buffer is full.
    #[error("the caller reads too slowly: more than {limit} messages or bytes wait for it")]
    SlowCaller {
        /// The bound that was exceeded.
        limit: usize,
    },
    /// The call was cancelled by its caller.
    #[error("cancelled")]
    Cancelled,
    /// The peer answered with something that is no message.
    #[error("unreadable answer: {0}")]
    Unreadable(#[source] ParseError),
    /// The peer refused the request at the HTTP level.
    #[error("HTTP status {status}{}", detail(body))]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body, for people.
        body: String,
        /// When the peer wants to be asked again: `Retry-After` in seconds (RFC 9110, 10.2.3). A
        /// date there is left to people, in `body`.
        retry_after: Option<Duration>,
    },
    /// The peer no longer knows our session; nothing was done.
    #[error("the server no longer knows the session")]
    SessionLost,
    /// The peer broke the transport's rules.
    #[error("protocol error: {why}")]
    Protocol {
        /// Which rule.
        why: String,
    },
}

fn detail(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

impl CallError {
    /// Whether the peer cannot have acted on the request, so that sending it again is safe.
    pub fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Unsent { .. } | Self::Overloaded | Self::SessionLost
        )
    }

    /// The same end of a connection, for a request of which nothing was written.
    pub(crate) fn before_sending(self) -> Self {
        match self {
            Self::Closed { why } => Self::Unsent { why },
            lost @ Self::SessionLost => lost,
            other => Self::Unsent { why: other.to_string() },
        }
    }
}

/// An `error` member: what JSON-RPC calls the error object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorObject {
    /// See [`code`].
    pub code: i64,
    /// One sentence for people.
    pub message: String,
    /// JSON text of `data`, if there is any.
    pub data: Option<String>,
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same error with `data`, a JSON text.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<String>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// As JSON text.
    pub fn to_json(&self) -> String {
        let message = quoted(&self.message);
        let data = self.data.as_ref().map(|data| format!(",\"data\":{data}")).unwrap_or_default();
        format!(r#"{{"code":{},"message":{message}{data}}}"#, self.code)
    }
}

impl From<ParseError> for ErrorObject {
    fn from(error: ParseError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
