//! One client of the load program: a connection, a session on it, and calls one after another.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::answer::{self, Outcome};
use crate::body::whole;
use crate::clock::{now, wait};
use crate::histogram::Histogram;
use crate::pool::{Sender, connect};
use crate::upstream_http::SESSION;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// How long a gateway may take to list the tools of an upstream that it is only just starting.
const LISTED_WITHIN: Duration = Duration::from_secs(10);
/// Session number and call number in hex: what makes every message its own.
const UNIQUE: usize = 16;

/// Which of the protocol's two eras the load program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Era {
    /// 2025-11-25: `initialize`, then a session.
    Legacy,
    /// 2026-07-28: no session, `_meta` in every request.
    Modern,
}

/// What is called, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) era: Era,
    /// Bytes of the echoed message, at least 16.
    pub(crate) payload: usize,
}

/// A session that is open and has found its tool.
#[derive(Debug)]
pub(crate) struct Session {
    sender: Sender,
    uri: Uri,
    headers: HeaderMap,
    before_message: String,
    behind_message: String,
    message: String,
    number: usize,
    next: u64,
}

const MODERN_META: &str = concat!(
    r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{},"#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"load","version":"1.0.0"}}"#
);
const CLIENT: &str = concat!(
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"load","version":"1.0.0"}}"#
);

impl Session {
    /// Connects, opens a session as the era has it and looks the tool up.
    pub(crate) async fn open(plan: &Plan, number: usize) -> Result<Self, String> {
        let mut session = Self::connect(plan, number).await?;
        if plan.era == Era::Legacy {
            session.initialize().await?;
        }
        let tool = session.find_tool(plan.era).await?;
        session.prepare(plan.era, &tool)?;
        Ok(session)
    }

    /// Connects and says nothing: for stateless calls of a tool that need not answer.
    pub(crate) async fn unopened(plan: &Plan, number: usize, tool: &str) -> Result<Self, String> {
        let mut session = Self::connect(plan, number).await?;
        session.prepare(plan.era, tool)?;
        Ok(session)
    }

    /// Calls once, and does not look at the answer.
    pub(crate) async fn once(&mut self) -> Result<(), String> {
        let body = self.next_call()?;
        self.post(body).await.map(drop)
    }

    /// Calls once and says what came of it. After anything but a right answer the connection may be
    /// of no more use.
    pub(crate) async fn call(&mut self) -> Outcome {
        let body = match self.next_call() {
            Ok(body) => body,
            Err(why) => return Outcome::Lost(why),
        };
        // An error may come with any status.
        match self.exchange(Method::POST, body).await {
            Err(why) => Outcome::Lost(why),
            Ok((head, body)) if body.is_empty() => Outcome::Lost(head.status.to_string()),
            Ok((head, body)) => match answer::message(&head, body) {
                Ok(message) => answer::outcome(&message, self.next, &self.message),
                Err(why) => Outcome::Wrong(why),
            },
        }
    }

    async fn connect(plan: &Plan, number: usize) -> Result<Self, String> {
        let host = HeaderValue::try_from(plan.address.to_string()).map_err(|e| e.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, accepted);
        let version = match plan.era {
            Era::Legacy => "2025-11-25",
            Era::Modern => "2026-07-28",
        };
        headers.insert(VERSION, HeaderValue::from_static(version));
        Ok(Self {
            sender: connect(plan.address).await?,
            uri: plan.path.parse().map_err(|error| format!("{}: {error}", plan.path))?,
            headers,
            before_message: String::new(),
            behind_message: String::new(),
            message: "x".repeat(plan.payload.max(UNIQUE)),
            number,
            next: 0,
        })
    }

    async fn initialize(&mut self) -> Result<(), String> {
        let ask = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{CLIENT}}}"#);
        let (answer, _) = self.post(ask.into()).await?;
        if let Some(session) = answer.headers.get(SESSION) {
            self.headers.insert(SESSION, session.clone());
        }
        let said = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.post(said.into()).await.map(drop)
    }

    /// The first tool whose name ends in `echo`: a gateway may put a server's name before it.
    async fn find_tool(&mut self, era: Era) -> Result<String, String> {
        let meta = match era {
            Era::Legacy => "",
            Era::Modern => MODERN_META.trim_start_matches(','),
        };
        self.headers.insert(METHOD, HeaderValue::from_static("tools/list"));
        let list =
            format!(r#"{{"jsonrpc":"2.0","id":0,"method":"tools/list","params":{{{meta}}}}}"#);
        let start = now();
        loop {
            let (_, body) = self.post(list.clone().into()).await?;
            match answer::echo_tool(&body) {
                Ok(Some(tool)) => return Ok(tool),
                Ok(None) if now() - start < LISTED_WITHIN => wait(Duration::from_millis(20)),
                Ok(None) => return Err("no tool ends in `echo`".to_owned()),
                Err(why) => return Err(why),
            }
        }
    }

    fn prepare(&mut self, era: Era, tool: &str) -> Result<(), String> {
        self.headers.remove(METHOD);
        let mut meta = "";
        if era == Era::Modern {
            let name = HeaderValue::try_from(tool).map_err(|error| error.to_string())?;
            self.headers.insert(METHOD, HeaderValue::from_static("tools/call"));
            self.headers.insert(NAME, name);
            meta = MODERN_META;
        }
        self.before_message = format!(
            r#","method":"tools/call","params":{{"name":"{tool}","arguments":{{"message":""#
        );
        self.behind_message = format!(r#""}}{meta}}}}}"#);
        Ok(())
    }

    /// Ends the session at the server.
    pub(crate) async fn close(mut self) -> Result<(), String> {
        if self.headers.contains_key(SESSION) {
            self.send(Method::DELETE, Bytes::new()).await.map(drop)?;
        }
        Ok(())
    }

    /// Opens the session's own stream, on a connection of its own.
    pub(crate) async fn stream(&self) -> Result<impl AsyncRead + Send + Unpin + use<>, String> {
        let mut head = format!("GET {} HTTP/1.1\r\naccept: text/event-stream\r\n", self.uri);
        for name in [HOST, VERSION, SESSION] {
            let value = self.headers.get(&name).and_then(|value| value.to_str().ok());
            let _ = write!(head, "{name}: {}\r\n", value.unwrap_or_default());
        }
        head += "\r\n";
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let failed = |error: std::io::Error| format!("the stream: {error}");
        let mut stream = TcpStream::connect(host.unwrap_or_default()).await.map_err(failed)?;
        stream.write_all(head.as_bytes()).await.map_err(failed)?;
        Ok(stream)
    }

    /// Calls until `until`, and hands itself back for the next slice.
    pub(crate) async fn run(mut self, until: Instant) -> Result<(Self, Histogram), String> {
        let mut latencies = Histogram::new();
        loop {
            let body = self.next_call()?;
            let start = now();
            let (_, answer) = self.post(body).await?;
            let end = now();
            answer::check(&answer, self.next, &self.message)
                .map_err(|why| format!("session {}: {why}", self.number))?;
            latencies.record(end - start);
            if end >= until {
                return Ok((self, latencies));
            }
        }
    }

    fn next_call(&mut self) -> Result<Bytes, String> {
        self.next += 1;
        let padding = self.message.len() - UNIQUE;
        self.message.truncate(padding);
        write!(self.message, "{:04x}{:012x}", self.number, self.next)
            .map_err(|error| error.to_string())?;
        let length = self.before_message.len() + self.message.len() + self.behind_message.len();
        let mut body = String::with_capacity(length + 48);
        write!(
            body,
            r#"{{"jsonrpc":"2.0","id":{}{}{}{}"#,
            self.next, self.before_message, self.message, self.behind_message
        )
        .map_err(|error| error.to_string())?;
        Ok(body.into())
    }

    async fn post(&mut self, body: Bytes) -> Result<(http::response::Parts, Bytes), String> {
        let (head, body) = self.send(Method::POST, body).await?;
        let body = answer::message(&head, body)?;
        Ok((head, body))
    }

    async fn send(
        &mut self,
        method: Method,
        body: Bytes,
    ) -> Result<(http::response::Parts, Bytes), String> {
        let (head, body) = self.exchange(method, body).await?;
        if !matches!(head.status, StatusCode::OK | StatusCode::ACCEPTED) {
            return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)));
        }
        Ok((head, body))
    }

    async fn exchange(
        &mut self,
        method: Method,
        body: Bytes,
    ) -> Result<(http::response::Parts, Bytes), String> {
        let failed = |error: hyper::Error| format!("the connection: {error}");
        self.sender.ready().await.map_err(failed)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let (head, body) = self.sender.send_request(request).await.map_err(failed)?.into_parts();
        let body = whole(body).await.map_err(failed)?;
        Ok((head, body))
    }
}
