//! A client on a WebSocket: exact text out, exact text in. Its frames are tungstenite's.

use std::io::{Error, ErrorKind, Result};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::{IntoClientRequest as _, client};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};

use super::client::{Answer, Era, MODERN};

/// A server that is silent for this long has failed the test.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// One connection.
#[derive(Debug)]
pub struct Socket {
    socket: tungstenite::WebSocket<TcpStream>,
}

impl Socket {
    /// Connects, and offers the subprotocol `mcp`. `url` may begin with `http://` as well.
    pub fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, &[(SEC_WEBSOCKET_PROTOCOL.as_str(), "mcp")])
    }

    /// Connects with these headers. An error says the status that refused it.
    pub fn connect_with(url: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let url = url.replacen("http://", "ws://", 1);
        let mut request = url.into_client_request().map_err(Error::other)?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(Error::other)?;
            let value = HeaderValue::from_str(value).map_err(Error::other)?;
            request.headers_mut().insert(name, value);
        }
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let stream = TcpStream::connect(authority)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        let (socket, _) = client(request, stream).map_err(Error::other)?;
        Ok(Self { socket })
    }

    /// Connects and opens a legacy session, for a client that can what `capabilities` say.
    pub fn initialized(url: &str, capabilities: &str) -> Result<Self> {
        let mut socket = Self::connect(url)?;
        let params = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{{"name":"raw","version":"1"}}}}"#
        );
        let answer = socket.ask(r#""init""#, "initialize", &params)?;
        if !answer.result().contains("serverInfo") {
            return Err(Error::other(answer.message));
        }
        socket.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        Ok(socket)
    }

    /// Sends one text frame.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.socket.send(Message::text(text)).map_err(Error::other)
    }

    /// Sends a request; `id` and `params` are JSON texts.
    pub fn begin(&mut self, id: &str, method: &str, params: &str) -> Result<()> {
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ))
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, id: &str, method: &str, params: &str) -> Result<Answer> {
        self.begin(id, method, params)?;
        self.answer(id)
    }

    /// Calls a tool and waits for its answer.
    pub fn call(&mut self, era: Era, id: &str, tool: &str, arguments: &str) -> Result<Answer> {
        self.begin_call(era, id, tool, arguments)?;
        self.answer(id)
    }

    /// Calls a tool; a request of the modern era says so in its `_meta`.
    pub fn begin_call(&mut self, era: Era, id: &str, tool: &str, arguments: &str) -> Result<()> {
        let meta = match era {
            Era::Legacy(_) => format!(r#"{{"progressToken":{id}}}"#),
            Era::Modern => format!(
                r#"{{"progressToken":{id},"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
            ),
        };
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}"#);
        self.begin(id, "tools/call", &params)
    }

    /// Reads until the answer to the request with this id.
    pub fn answer(&mut self, id: &str) -> Result<Answer> {
        let id: Value = serde_json::from_str(id)?;
        let mut before = Vec::new();
        loop {
            let message = self.receive()?;
            let value: Value = serde_json::from_str(&message).unwrap_or_default();
            if value["id"] == id && value.get("method").is_none() {
                return Ok(Answer { status: 101, before, message });
            }
            before.push(message);
        }
    }

    /// The next text frame.
    pub fn receive(&mut self) -> Result<String> {
        loop {
            match self.socket.read().map_err(Error::other)? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(close) => {
                    let _ = self.socket.flush();
                    return Err(Error::new(ErrorKind::ConnectionAborted, format!("{close:?}")));
                }
                _ => {}
            }
        }
    }

    /// Reads until the connection is closed; the code and the reason, if it said them.
    pub fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(close)) => {
                    let _ = self.socket.flush();
                    return close.map(|it| (it.code.into(), it.reason.as_str().to_owned()));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Sends a close, and waits for the answer.
    pub fn close(mut self) -> Option<(u16, String)> {
        let _ = self.socket.close(Some(tungstenite::protocol::CloseFrame {
            code: tungstenite::protocol::frame::coding::CloseCode::Normal,
            reason: "".into(),
        }));
        self.closed()
    }
}
