//! The other end of a connection, played by the test: it reads what arrives and writes any bytes.

#![allow(dead_code, reason = "each of the test files that share this uses a part")]

use std::time::Duration;

use mcp_wire::{
    CallError, Connection, Event, Exchange, Inbox, LineReader, Message, Options, Request, Timing,
};
use tokio::io::{AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::time::{sleep, timeout};

/// What fits between the two before one waits for the other.
pub(crate) const PIPE_BYTES: usize = 64 << 10;

pub(crate) struct Peer {
    reader: LineReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

/// A connection with default options, and its peer.
pub(crate) fn connected() -> (Connection, Inbox, Peer) {
    connect(&Options::default())
}

pub(crate) fn connect(options: &Options) -> (Connection, Inbox, Peer) {
    let (near, far) = duplex(PIPE_BYTES);
    let (reader, writer) = split(near);
    let (connection, inbox) = Connection::over_streams(reader, writer, options);
    let (reader, writer) = split(far);
    (connection, inbox, Peer { reader: LineReader::new(reader, 1 << 30), writer })
}

impl Peer {
    /// The next message that arrives; `None` when the other side has closed.
    pub(crate) async fn try_next(&mut self) -> Option<Message> {
        // The clock is paused: when nobody has anything to do, this is over at once.
        let line = timeout(Duration::from_secs(1_000), self.reader.next()).await;
        let line = line.expect("nothing comes").expect("readable")?;
        Some(Message::parse(line, &Options::default().limits).expect("what we send is legal"))
    }

    pub(crate) async fn next(&mut self) -> Message {
        self.try_next().await.expect("still open")
    }

    /// Whether nothing arrives although everybody has done what they had to do.
    pub(crate) async fn hears_nothing(&mut self) -> bool {
        timeout(Duration::from_millis(1), self.reader.next()).await.is_err()
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer.write_all(bytes.as_ref()).await.expect("written");
    }

    /// Whether anybody is left to read this.
    pub(crate) async fn try_write(&mut self, bytes: &str) -> bool {
        self.writer.write_all(bytes.as_bytes()).await.is_ok()
    }

    pub(crate) async fn line(&mut self, text: impl AsRef<str>) {
        self.write(format!("{}\n", text.as_ref())).await;
    }

    /// Answers the request with this id.
    pub(crate) async fn result(&mut self, id: &str, result: &str) {
        self.line(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)).await;
    }

    pub(crate) async fn progress(&mut self, token: &str, progress: u64) {
        let params = format!(r#"{{"progressToken":{token},"progress":{progress}}}"#);
        self.notify("notifications/progress", &params).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: &str) {
        self.line(Message::notification(method, params).as_str()).await;
    }

    /// All lines that still arrive, whatever they are.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        while let Ok(Some(line)) = self.reader.next().await {
            rest.push_str(&String::from_utf8_lossy(&line));
        }
        rest
    }

    /// Closes its output and goes on listening.
    pub(crate) async fn hang_up(&mut self) {
        self.writer.shutdown().await.expect("closed");
    }
}

/// A request as one client would write it; every client uses this id and this progress token.
pub(crate) fn request(method: &str) -> Request {
    let params = r#"{"_meta":{"progressToken":"t"}}"#;
    Request::read(Message::request("1", method, params)).expect("legal")
}

pub(crate) fn timing(seconds: u64, at_most: u64) -> Timing {
    let (timeout, timeout_max) = (Duration::from_secs(seconds), Duration::from_secs(at_most));
    Timing { timeout, timeout_max }
}

/// The next event, which is no answer yet.
pub(crate) async fn message(exchange: &mut Exchange) -> Message {
    match exchange.next().await {
        Ok(Event::Message(message)) => message,
        other => panic!("expected a message, not {other:?}"),
    }
}

/// The next event, which is the answer: its result.
pub(crate) async fn result(exchange: &mut Exchange) -> String {
    match exchange.next().await {
        Ok(Event::Reply(message)) => message.result_json().expect("a result").to_owned(),
        other => panic!("expected the answer, not {other:?}"),
    }
}

pub(crate) async fn failure(exchange: &mut Exchange) -> CallError {
    exchange.next().await.map(|event| panic!("expected an error, not {event:?}")).unwrap_err()
}

/// Lets every task do what it can do now. Under a paused clock this takes no time.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}
