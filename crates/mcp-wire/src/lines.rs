//! Newline-delimited messages read from a byte stream, within a bound.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Reads lines out of a byte stream, none longer than a limit.
#[derive(Debug)]
pub struct LineReader<R> {
    inner: R,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end.
    searched: usize,
    limit: usize,
    chunk: usize,
}

/// Why there is no further line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is longer than the limit. What follows cannot be told apart from it any more.
    #[error("a line is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

const CHUNK_MIN: usize = 8 << 10;
const CHUNK_MAX: usize = 256 << 10;

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from `inner`. A line may have `limit` bytes.
    pub fn new(inner: R, limit: usize) -> Self {
        Self { inner, buffer: BytesMut::new(), searched: 0, limit, chunk: CHUNK_MIN }
    }

    /// The next line that is not blank, without its end; `None` when the stream has ended.
    ///
    /// Cancel safe. A last line without a line end counts.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            if let Some(offset) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let mut line = self.buffer.split_to(self.searched + offset + 1);
                self.searched = 0;
                if line.len() - 1 > self.longest(&line[..line.len() - 1]) {
                    return Err(LineError::TooLong { limit: self.limit });
                }
                line.truncate(line.trim_ascii_end().len());
                if !line.is_empty() {
                    return Ok(Some(line.freeze()));
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > self.longest(&self.buffer) {
                return Err(LineError::TooLong { limit: self.limit });
            }
            if self.fill().await? == 0 {
                let mut rest = self.buffer.split();
                self.searched = 0;
                rest.truncate(rest.trim_ascii_end().len());
                return Ok((!rest.is_empty()).then(|| rest.freeze()));
            }
        }
    }

    /// How long the beginning of a line may be: half of a line end is no part of the line.
    fn longest(&self, line: &[u8]) -> usize {
        self.limit.saturating_add(usize::from(line.ends_with(b"\r")))
    }

    async fn fill(&mut self) -> Result<usize, std::io::Error> {
        self.buffer.reserve(self.chunk);
        let room = self.buffer.capacity() - self.buffer.len();
        let read = self.inner.read_buf(&mut self.buffer).await?;
        // A peer that fills what it is given has more to say; the quiet ones stay small.
        self.chunk = if read == room { (self.chunk * 2).min(CHUNK_MAX) } else { CHUNK_MIN };
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], limit: usize) -> Vec<Result<String, String>> {
        let mut reader = LineReader::new(input, limit);
        let mut lines = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(line)) => lines.push(Ok(String::from_utf8_lossy(&line).into_owned())),
                Ok(None) => return lines,
                Err(error) => {
                    lines.push(Err(error.to_string()));
                    return lines;
                }
            }
        }
    }

    #[tokio::test]
    async fn splits_trims_and_keeps_the_last() {
        let got = lines(b"one\r\n\n  \ntwo\nlast", 100).await;
        assert_eq!(got, [Ok("one".into()), Ok("two".into()), Ok("last".into())]);
    }

    #[tokio::test]
    async fn refuses_a_line_over_the_limit_with_and_without_an_end() {
        let too_long = Err("a line is longer than 4 bytes".to_owned());
        assert_eq!(lines(b"1234\n12345\n", 4).await, [Ok("1234".into()), too_long.clone()]);
        for long in [&[b'x'; 100_000][..], b"1234 \r\n", b"1234\r\r\n"] {
            assert_eq!(lines(long, 4).await, std::slice::from_ref(&too_long));
        }
        assert_eq!(lines(b"1234\r\n1234\r", 4).await, [Ok("1234".into()), Ok("1234".into())]);
    }
}
