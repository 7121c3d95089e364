//! WebSocket (RFC 6455) as two streams of lines.
//!
//! One message of the protocol is one text frame, and one line of [`Reader`] and [`Writer`]: what
//! runs over the pipes of a child process runs over a WebSocket, in either role. The frames
//! themselves are tungstenite's work, and the HTTP before them is hyper's.
//!
//! - [`lines`]: the two streams over a connection whose handshake is done, and what closes it.
//! - [`Endpoint`], [`connect`]: a server's address, and a connection to it.
//! - [`accept_key`], [`SUBPROTOCOL`], [`VERSION`]: what a server needs to answer the handshake.
//!
//! # What holds
//!
//! - A peer's message is bounded by [`Limits::frame_bytes`](crate::Limits), however it is cut into
//!   frames. What waits to be written is bounded by what one call of `write` was given.
//! - A ping is answered; of many that came while nothing could be written, only the last. After
//!   15 s without a byte the peer is pinged, after 45 s it is given up.
//! - Whatever breaks the rules ends the connection with the code that RFC 6455 has for it:
//!   1002 broken protocol, 1003 a binary message, 1007 not UTF-8, 1009 too long.
//! - Dropping both streams closes the connection with 1000, and gives the peer 2 s to agree.

mod closed;
mod connect;
mod halves;
mod socket;
mod wakers;

pub use self::closed::{Closed, code};
pub use self::connect::{Endpoint, connect};
pub use self::halves::{Closer, Reader, Role, Stream, Writer, lines};

use base64::Engine as _;

/// The subprotocol under which MCP runs over a WebSocket.
pub const SUBPROTOCOL: &str = "mcp";

/// The version of the WebSocket protocol: `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";

/// What `Sec-WebSocket-Accept` has to be for a `Sec-WebSocket-Key`.
pub fn accept_key(key: &str) -> String {
    // RFC 6455, section 1.3. It proves that the server has read the request, and guards nothing.
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let mut context = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(GUID);
    base64::engine::general_purpose::STANDARD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_of_the_rfc() {
        let accepted = super::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
