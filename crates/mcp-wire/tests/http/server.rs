//! An HTTP server played by the test: it checks what arrives and writes exact bytes.

#![allow(dead_code, reason = "each of the test files that share this uses a part")]

use std::time::Duration;

use mcp_wire::http::Endpoint;
use mcp_wire::{
    CallError, Connection, Exchange, Inbox, Initialized, MODERN_VERSION, Message, Options, Request,
    Timing, initialize,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Nothing here takes as long: what does is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// `what`, which is about to happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(LIMIT, what).await.expect("in time")
}

pub(crate) fn call(connection: &Connection, request: Request) -> Exchange {
    connection.call(request, Timing::default())
}

/// What becomes of `call` when the server does `serve`.
pub(crate) async fn outcome(
    call: Exchange,
    serve: impl Future<Output = ()>,
) -> Result<Message, CallError> {
    soon(async { tokio::join!(call.reply(), serve).0 }).await
}

/// Does `serve` while the caller listens and hears nothing.
pub(crate) async fn while_heard<T>(call: &mut Exchange, serve: impl Future<Output = T>) -> T {
    soon(async {
        tokio::select! {
            event = call.next() => panic!("{event:?} before the server was done"),
            served = serve => served,
        }
    })
    .await
}

pub(crate) struct Server {
    listener: TcpListener,
}

/// One TCP connection that a client has made.
pub(crate) struct Link {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One request as it arrived.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a port") }
    }

    pub(crate) fn url(&self) -> String {
        let address = self.listener.local_addr().expect("bound");
        format!("http://{address}/mcp?a=b")
    }

    pub(crate) fn client(&self, headers: &[(&str, &str)]) -> (Connection, Inbox) {
        let endpoint = Endpoint::new(&self.url(), headers.iter().copied()).expect("legal");
        let mut options = Options::default();
        options.limits.frame_bytes = 10_000;
        Connection::over_http(endpoint, &options)
    }

    pub(crate) async fn accept(&self) -> Link {
        let (stream, _) = soon(self.listener.accept()).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Link { stream, read: Vec::new() }
    }

    /// The next connection, whenever it comes.
    pub(crate) async fn accept_any(&self) {
        self.listener.accept().await.expect("a connection");
    }

    /// A client whose session `s1` is open, and the only connection that it has made so far, which
    /// carries the answer to its GET: `stream`.
    pub(crate) async fn session(&self, stream: &str) -> (Connection, Inbox, Link) {
        let (connection, inbox) = self.client(&[]);
        let open = open(&connection);
        let serve = async {
            let mut link = self.accept().await;
            link.answer_initialize().await;
            let got = link.next().await;
            assert!(got.body.contains("notifications/initialized"), "{got:?}");
            link.write("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await;
            let got = link.next().await;
            assert_eq!(got.line, "GET /mcp?a=b HTTP/1.1");
            link.write(stream).await;
            link
        };
        let (opened, link) = soon(async { tokio::join!(open, serve) }).await;
        assert_eq!(opened.version, "2025-06-18");
        (connection, inbox, link)
    }
}

pub(crate) async fn open(connection: &Connection) -> Initialized {
    initialize(connection, r#"{"protocolVersion":"2025-06-18"}"#, LIMIT).await.expect("opened")
}

impl Link {
    /// The next request; `None` when the client has closed the connection.
    pub(crate) async fn try_next(&mut self) -> Option<Got> {
        soon(async {
            let end = loop {
                if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end;
                }
                if self.more().await == 0 {
                    assert!(self.read.is_empty(), "half a request");
                    return None;
                }
            };
            let head: Vec<u8> = self.read.drain(..end + 4).collect();
            let head = String::from_utf8(head).expect("text");
            let mut lines = head.trim_end().lines().map(str::to_owned);
            let line = lines.next().unwrap_or_default();
            let pair = |line: String| {
                let (name, value) = line.split_once(": ").expect("a header");
                (name.to_ascii_lowercase(), value.to_owned())
            };
            let headers = lines.map(pair).collect();
            let mut got = Got { line, headers, body: String::new() };
            let length =
                got.header("content-length").map_or(0, |value| value.parse().expect(value));
            while self.read.len() < length {
                assert_ne!(self.more().await, 0, "half a body");
            }
            got.body = String::from_utf8(self.read.drain(..length).collect()).expect("text");
            Some(got)
        })
        .await
    }

    async fn more(&mut self) -> usize {
        self.stream.read_buf(&mut self.read).await.unwrap_or(0)
    }

    pub(crate) async fn next(&mut self) -> Got {
        self.try_next().await.expect("still open")
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.write_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn write_bytes(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("written");
    }

    /// Ends the connection under the client: its sending half, or by force.
    pub(crate) async fn die(mut self, reset: bool) {
        if reset {
            self.stream.set_zero_linger().expect("an option");
        } else {
            self.stream.shutdown().await.expect("closed");
            // What the other half still hears does not matter.
            self.more().await;
        }
    }

    pub(crate) async fn json(&mut self, status: &str, body: &str) {
        let length = body.len();
        let kind = "application/json; charset=utf-8";
        self.write(&format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Answers the next request with this JSON text as its result.
    pub(crate) async fn answer(&mut self, result: &str) -> Got {
        let got = self.next().await;
        let id = got.message().id().expect("a request").to_owned();
        self.json("200 OK", Message::result(&id, result).as_str()).await;
        got
    }

    pub(crate) async fn answer_initialize(&mut self) {
        let got = self.next().await;
        assert_eq!((got.message().method(), got.header("mcp-session-id")), ("initialize", None));
        assert_eq!(got.header("mcp-protocol-version"), None);
        let id = got.message().id().expect("a request").to_owned();
        let body = Message::result(&id, r#"{"protocolVersion":"2025-06-18"}"#);
        let length = body.bytes().len();
        self.write(&format!(
            "HTTP/1.1 200 OK\r\nMcp-Session-Id: s1\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{}",
            body.as_str()
        ))
        .await;
    }

    /// Begins an answer that is a stream of events.
    pub(crate) async fn begin_stream(&mut self) {
        self.write(STREAM).await;
    }

    /// Writes this as one chunk of the stream.
    pub(crate) async fn chunk(&mut self, text: &str) {
        self.write(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    /// Sends one message as an event.
    pub(crate) async fn event(&mut self, message: &str) {
        self.chunk(&format!("data: {message}\n\n")).await;
    }
}

pub(crate) const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                                 Transfer-Encoding: chunked\r\n\r\n";
pub(crate) const NO_STREAM: &str = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n";
pub(crate) const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

impl Got {
    /// The header of this name, which must not be there twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        value
    }

    /// All headers of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn message(&self) -> Message {
        let limits = Options::default().limits;
        Message::parse(self.body.clone(), &limits).expect("what we send is legal")
    }
}

/// A request of a session.
pub(crate) fn legacy(id: &str) -> Request {
    let params = r#"{"name":"x","_meta":{"progressToken":"t"}}"#;
    Request::read(Message::request(id, "tools/call", params)).expect("legal")
}

/// A stateless request that calls the tool `name`.
pub(crate) fn modern(name: &str) -> Request {
    let meta = mcp_wire::stateless_meta(MODERN_VERSION, "{}", None);
    let params = format!(r#"{{"name":{},"_meta":{{{meta}}}}}"#, mcp_wire::quoted(name));
    Request::read(Message::request("\"mine\"", "tools/call", &params)).expect("legal")
}
