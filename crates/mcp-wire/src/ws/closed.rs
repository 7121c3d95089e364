//! How a WebSocket ended.

use std::io;

use tungstenite::Error;
use tungstenite::error::ProtocolError;

use super::halves::SILENCE_MAX;

/// The close codes of RFC 6455, section 7.4.1, that are sent from here.
pub mod code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server is shutting down.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// The peer sent a kind of message that is not taken.
    pub const UNSUPPORTED: u16 = 1003;
    /// The peer sent text that is no UTF-8.
    pub const INVALID: u16 = 1007;
    /// The peer does what is not allowed here.
    pub const POLICY: u16 = 1008;
    /// The peer sent more than fits.
    pub const TOO_BIG: u16 = 1009;
}

/// Why nothing more comes over a WebSocket. Found inside the [`io::Error`] of its streams.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The peer closed it.
    #[error("the peer closed the WebSocket{}", shown(*code, reason))]
    ByPeer {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its reason, at most 123 bytes; may be empty.
        reason: String,
    },
    /// The peer broke a rule, and was told which.
    #[error("the peer broke the rules of WebSocket ({code}): {why}")]
    Broken {
        /// The code that it was told.
        code: u16,
        /// Which rule.
        why: String,
    },
    /// The connection ended without a closing frame.
    #[error("the WebSocket ended without being closed")]
    Lost,
    /// The peer has said nothing for too long, not even in answer to a ping.
    #[error("the peer has been silent for {SILENCE_MAX:?}")]
    Silent,
    /// It was closed from this side.
    #[error("the WebSocket was closed")]
    ByUs,
}

fn shown(code: Option<u16>, reason: &str) -> String {
    match (code, reason) {
        (None, _) => String::new(),
        (Some(code), "") => format!(" with code {code}"),
        (Some(code), reason) => format!(" with code {code}: {reason:?}"),
    }
}

impl From<Closed> for io::Error {
    fn from(closed: Closed) -> Self {
        let kind = match &closed {
            Closed::ByPeer { .. } => io::ErrorKind::ConnectionAborted,
            Closed::Broken { .. } => io::ErrorKind::InvalidData,
            Closed::Lost => io::ErrorKind::UnexpectedEof,
            Closed::Silent => io::ErrorKind::TimedOut,
            Closed::ByUs => io::ErrorKind::NotConnected,
        };
        Self::new(kind, closed)
    }
}

/// What a failed read means; an error of the stream itself is handed back as it is.
pub(super) fn of_read(error: Error) -> Result<Closed, io::Error> {
    let broken = |code, why: String| Ok(Closed::Broken { code, why });
    match error {
        Error::Io(error) => Err(error),
        Error::ConnectionClosed | Error::AlreadyClosed => Ok(Closed::ByUs),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(Closed::Lost),
        Error::Capacity(error) => broken(code::TOO_BIG, error.to_string()),
        Error::Utf8(_) => broken(code::INVALID, "text is not UTF-8".to_owned()),
        Error::Protocol(error) => broken(code::PROTOCOL, error.to_string()),
        other => broken(code::PROTOCOL, other.to_string()),
    }
}
