//! What no peer may send over a WebSocket.

use mcp_wire::ws::Role;

use crate::FRAME_MAX;
use crate::frames::{self, BINARY, CLOSE, CONTINUE, PING, TEXT};

/// One broken rule.
pub(crate) struct Wrong {
    pub(crate) what: &'static str,
    pub(crate) role: Role,
    pub(crate) bytes: Vec<u8>,
    pub(crate) code: u16,
}

/// Everything that RFC 6455 forbids, with the code that it has for it.
pub(crate) fn wrongs() -> Vec<Wrong> {
    let server = |what, code, bytes| Wrong { what, role: Role::Server, bytes, code };
    let client = |what, code, bytes| Wrong { what, role: Role::Client, bytes, code };
    let frame = |kind, last, payload: &[u8]| frames::encode(kind, last, payload, true);
    let with_first = |first: u8| {
        let mut bytes = frame(TEXT, true, b"{}");
        bytes[0] = first;
        bytes
    };
    vec![
        server("an unmasked frame of a client", 1002, frames::encode(TEXT, true, b"{}", false)),
        client("a masked frame of a server", 1002, frame(TEXT, true, b"{}")),
        server("a binary message", 1003, frame(BINARY, true, b"{}")),
        server("a binary message in fragments", 1003, {
            [frame(BINARY, false, b"{"), frame(CONTINUE, true, b"}")].concat()
        }),
        server("text that is not UTF-8", 1007, frame(TEXT, true, b"{\xff}")),
        server("half a character at the end", 1007, {
            [frame(TEXT, false, b"{"), frame(CONTINUE, true, b"\xc3")].concat()
        }),
        server("a reserved bit", 1002, with_first(0xc0 | TEXT)),
        server("a data frame of no kind", 1002, with_first(0x80 | 3)),
        server("a control frame of no kind", 1002, with_first(0x80 | 0xb)),
        server("a fragmented ping", 1002, frame(PING, false, b"")),
        server("a long ping", 1002, frame(PING, true, &[b'x'; 126])),
        server("a continuation of nothing", 1002, frame(CONTINUE, true, b"{}")),
        server("a message inside of another", 1002, {
            [frame(TEXT, false, b"{"), frame(TEXT, true, b"{}")].concat()
        }),
        server("half a close code", 1002, frame(CLOSE, true, &[3])),
        server("a close reason that is not UTF-8", 1007, frame(CLOSE, true, b"\x03\xe8\xff")),
        server("a frame over the limit", 1009, frame(TEXT, true, &[b'x'; FRAME_MAX + 1])),
        server("fragments over the limit", 1009, {
            let half = vec![b'x'; FRAME_MAX / 2 + 1];
            [frame(TEXT, false, &half), frame(CONTINUE, true, &half)].concat()
        }),
        server(
            "the head of 2^63 bytes",
            1009,
            vec![0x80 | TEXT, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0],
        ),
    ]
}
