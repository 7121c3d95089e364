//! Server-sent events, as the WHATWG HTML standard defines them (section 9.2).

use bytes::{Bytes, BytesMut};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent {
    /// The `event` field; empty means `message`.
    pub event: String,
    /// The `id` field, if this event has one.
    pub id: Option<String>,
    /// The `data` lines, joined by line feeds.
    pub data: Bytes,
    /// The `retry` field, in milliseconds.
    pub retry: Option<u64>,
}

/// An event is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is longer than {limit} bytes")]
#[non_exhaustive]
pub struct SseTooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Turns the bytes of an event stream into events, however they are cut.
#[derive(Debug)]
pub struct SseDecoder {
    input: BytesMut,
    searched: usize,
    data: BytesMut,
    has_data: bool,
    event: SseEvent,
    started: bool,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    limit: usize,
}

impl SseDecoder {
    /// A decoder for one stream. An event may have `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            input: BytesMut::new(),
            searched: 0,
            data: BytesMut::new(),
            has_data: false,
            event: SseEvent::default(),
            started: false,
            after_return: false,
            limit,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.input.extend_from_slice(chunk);
    }

    /// The next whole event. An event that the stream breaks off is never given out.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, SseTooLong> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
            } else {
                self.field(&line);
                // Also if it came in one piece: whether it is too long is not for chunks to say.
                if self.data.len() > self.limit {
                    return Err(SseTooLong { limit: self.limit });
                }
            }
        }
        if self.input.len() + self.data.len() > self.limit {
            return Err(SseTooLong { limit: self.limit });
        }
        Ok(None)
    }

    fn line(&mut self) -> Option<BytesMut> {
        if self.after_return && !self.input.is_empty() {
            if self.input[0] == b'\n' {
                let _ = self.input.split_to(1);
            }
            self.after_return = false;
        }
        let Some(offset) = memchr::memchr2(b'\n', b'\r', &self.input[self.searched..]) else {
            self.searched = self.input.len();
            return None;
        };
        let mut line = self.input.split_to(self.searched + offset + 1);
        self.searched = 0;
        self.after_return = line.last() == Some(&b'\r');
        line.truncate(line.len() - 1);
        if !self.started {
            self.started = true;
            if line.starts_with(b"\xEF\xBB\xBF") {
                let _ = line.split_to(3);
            }
        }
        Some(line)
    }

    fn field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if self.has_data {
                    self.data.extend_from_slice(b"\n");
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.event.event = text(),
            b"id" if !value.contains(&0) => self.event.id = Some(text()),
            b"retry" => self.event.retry = text().parse().ok(),
            _ => {}
        }
    }

    /// An event without data is not dispatched, unless it carries what a reader must remember.
    fn dispatch(&mut self) -> Option<SseEvent> {
        let mut event = std::mem::take(&mut self.event);
        event.data = self.data.split().freeze();
        self.has_data = false;
        let says = !event.data.is_empty() || event.id.is_some() || event.retry.is_some();
        says.then_some(event)
    }
}

/// One event that carries `data`, which must be a single line.
pub fn encode_event(id: Option<&str>, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 32);
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] =
        b"\xEF\xBB\xBF: hello\r\nid: 7\r\nevent:message\r\ndata: {\"a\":1}\r\n\r\n\
        retry: 20\nid\n\ndata:  two\rdata\rdata:lines\r\rdata: broken off\n";

    fn decode<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<SseEvent> {
        let mut decoder = SseDecoder::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn understands_every_line_end_and_field() {
        let events = decode([STREAM].into_iter());
        assert_eq!(events.len(), 3);
        assert_eq!((events[0].id.as_deref(), &events[0].data[..]), (Some("7"), &b"{\"a\":1}"[..]));
        assert_eq!((events[1].id.as_deref(), events[1].retry), (Some(""), Some(20)));
        assert_eq!(&events[2].data[..], b" two\n\nlines");
    }

    proptest! {
        #[test]
        fn does_not_care_how_the_bytes_are_cut(size in 1_usize..40) {
            prop_assert_eq!(decode(STREAM.chunks(size)), decode([STREAM].into_iter()));
        }
    }

    #[test]
    fn is_bounded() {
        let mut decoder = SseDecoder::new(10);
        decoder.push(b"data: 0123456789");
        assert_eq!(decoder.next_event(), Err(SseTooLong { limit: 10 }));
        let mut decoder = SseDecoder::new(10);
        decoder.push(b"data: 01234\ndata: 56789\n\n");
        assert_eq!(decoder.next_event(), Err(SseTooLong { limit: 10 }));
    }
}
