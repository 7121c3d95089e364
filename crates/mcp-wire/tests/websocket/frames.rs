//! The other end of a WebSocket, played by the test: frames by hand, right or wrong.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split};

pub(crate) const CONTINUE: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// One frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The first byte: whether it is the last of its message, and its kind.
    pub(crate) first: u8,
    pub(crate) masked: bool,
    pub(crate) mask: [u8; 4],
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("text")
    }
}

/// The bytes of a frame.
pub(crate) fn encode(kind: u8, last: bool, payload: &[u8], masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![if last { 0x80 | kind } else { kind }];
    match payload.len() {
        short @ 0..126 => bytes.push(mask_bit | short as u8),
        middle @ 126..0x1_0000 => {
            bytes.push(mask_bit | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(mask_bit | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        bytes.extend(payload);
    }
    bytes
}

pub(crate) struct Peer {
    reading: Reading,
    writing: Writing,
}

pub(crate) struct Reading {
    stream: ReadHalf<DuplexStream>,
}

pub(crate) struct Writing {
    stream: WriteHalf<DuplexStream>,
    masks: bool,
}

impl Peer {
    pub(crate) fn new(stream: DuplexStream, masks: bool) -> Self {
        let (reading, writing) = split(stream);
        Self { reading: Reading { stream: reading }, writing: Writing { stream: writing, masks } }
    }

    pub(crate) fn split(self) -> (Reading, Writing) {
        (self.reading, self.writing)
    }

    pub(crate) async fn next(&mut self) -> Option<Frame> {
        self.reading.next().await
    }

    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        self.reading.close_code().await
    }

    pub(crate) async fn send(&mut self, kind: u8, last: bool, payload: &[u8]) {
        self.writing.send(kind, last, payload).await;
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.writing.stream.write_all(bytes).await.expect("written");
    }
}

impl Reading {
    /// The next frame; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = match head[1] & 0x7f {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let masked = head[1] & 0x80 != 0;
        let mut mask = [0; 4];
        if masked {
            self.stream.read_exact(&mut mask).await.ok()?;
        }
        let mut payload = vec![0; usize::try_from(length).expect("fits")];
        self.stream.read_exact(&mut payload).await.ok()?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Some(Frame { first: head[0], masked, mask, payload })
    }

    /// The next text message, its fragments put together.
    pub(crate) async fn message(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let frame = self.next().await.expect("still open");
            assert!(frame.first & 0x0f <= TEXT, "{frame:?}");
            text.extend(frame.payload);
            if frame.first & 0x80 != 0 {
                return String::from_utf8(text).expect("text");
            }
        }
    }

    /// Reads until the close; its code, if it has one.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            let frame = self.next().await.expect("a close before the end");
            if frame.first == 0x80 | CLOSE {
                let code = frame.payload.first_chunk::<2>();
                return code.map(|code| u16::from_be_bytes(*code));
            }
        }
    }
}

impl Writing {
    /// Sends a frame. Whoever has closed need not read it any more.
    pub(crate) async fn send(&mut self, kind: u8, last: bool, payload: &[u8]) {
        let _ = self.try_send(kind, last, payload).await;
    }

    /// The same; whether all of it was read.
    pub(crate) async fn try_send(&mut self, kind: u8, last: bool, payload: &[u8]) -> bool {
        let frame = encode(kind, last, payload, self.masks);
        self.stream.write_all(&frame).await.is_ok()
    }

    /// Sends a text in fragments of these lengths, again and again.
    pub(crate) async fn in_fragments(&mut self, text: &[u8], lengths: &[usize]) {
        let (mut rest, mut kind) = (text, TEXT);
        for length in lengths.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*length));
            self.send(kind, after.is_empty(), piece).await;
            if after.is_empty() {
                return;
            }
            (rest, kind) = (after, CONTINUE);
        }
    }
}
