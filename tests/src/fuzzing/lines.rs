//! The frame decoder of byte streams finds the same lines however the bytes are cut.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use mcp_wire::{LineError, LineReader};
use tokio::io::{AsyncRead, ReadBuf};

const LIMIT: usize = 24;

/// The first byte says how the rest is cut; a line may have 24 bytes.
///
/// # Panics
/// When a line differs from what splitting the whole at once finds.
pub fn run(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let pieces = Pieces { rest: stream, size: usize::from(*cut).max(1) };
    let mut reader = LineReader::new(pieces, LIMIT);
    let mut context = Context::from_waker(Waker::noop());
    for wanted in split(stream) {
        let Poll::Ready(found) = pin!(reader.next()).poll(&mut context) else {
            panic!("a reader that never waits does not wait");
        };
        match (wanted, found) {
            (Some(wanted), Ok(Some(line))) => assert_eq!(line, wanted),
            (None, Err(LineError::TooLong { limit: LIMIT })) => return,
            (wanted, found) => panic!("{wanted:?} wanted, {found:?} found"),
        }
    }
    let Poll::Ready(Ok(None)) = pin!(reader.next()).poll(&mut context) else {
        panic!("a line too many");
    };
}

/// The lines that are not blank; `None` for the first that is too long.
fn split(stream: &[u8]) -> Vec<Option<&[u8]>> {
    let mut lines = Vec::new();
    for line in stream.split(|byte| *byte == b'\n') {
        if line.len() > LIMIT + usize::from(line.ends_with(b"\r")) {
            lines.push(None);
            break;
        }
        let line = line.trim_ascii_end();
        if !line.is_empty() {
            lines.push(Some(line));
        }
    }
    lines
}

/// Gives `size` bytes at a time.
struct Pieces<'d> {
    rest: &'d [u8],
    size: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let length = self.size.min(self.rest.len()).min(buffer.remaining());
        let (piece, rest) = self.rest.split_at(length);
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}
