//! A streamable HTTP server that forgets its sessions when a test says so.
//!
//! It answers a session that it does not know with 404, as the specification demands, and counts
//! what reaches it.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

use crate::wait::PATIENCE;

/// A running server; it ends with the test program.
#[derive(Clone, Debug)]
pub struct Forgetful {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    known: HashSet<String>,
    opened: usize,
    carried_out: usize,
    /// So many calls are awaited together; then every session is forgotten.
    gathering: usize,
    gathered: usize,
    /// No session is known when it is first used.
    forgets_all: bool,
}

struct Request {
    method: String,
    session: Option<String>,
    body: Value,
}

impl Forgetful {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = Self { url: format!("http://{address}/mcp"), shared: Arc::default() };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                thread::spawn(move || server.serve(&stream));
            }
        });
        server
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many sessions were opened.
    pub fn opened(&self) -> usize {
        self.lock().opened
    }

    /// How many calls were carried out.
    pub fn carried_out(&self) -> usize {
        self.lock().carried_out
    }

    /// Forgets every session when `calls` calls are under way, which are answered with 404.
    pub fn forget_at(&self, calls: usize) {
        let mut state = self.lock();
        (state.gathering, state.gathered) = (calls, 0);
    }

    /// From now on every call is answered with 404.
    pub fn forget_all(&self) {
        self.lock().forgets_all = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Ok(Some(request)) = read(&mut reader) {
            let answer = self.answer(&request);
            if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> String {
        let id = &request.body["id"];
        match (request.method.as_str(), request.body["method"].as_str().unwrap_or_default()) {
            ("GET", _) => response("405 Method Not Allowed", "", ""),
            ("DELETE", _) => response("200 OK", "", ""),
            (_, "initialize") => {
                let session = self.open();
                let result = json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": { "tools": {} },
                    "serverInfo": { "name": "forgetful", "version": "1.0.0" },
                });
                ok(id, &result, &format!("Mcp-Session-Id: {session}\r\n"))
            }
            _ if !self.knows(request) => response("404 Not Found", "", ""),
            (_, "tools/list") => {
                let tool = json!({ "name": "pay", "inputSchema": { "type": "object" } });
                ok(id, &json!({ "tools": [tool] }), "")
            }
            (_, "tools/call") if self.is_forgotten() => response("404 Not Found", "", ""),
            (_, "tools/call") => {
                self.lock().carried_out += 1;
                ok(id, &json!({ "content": [{ "type": "text", "text": "paid" }] }), "")
            }
            _ => response("202 Accepted", "", ""),
        }
    }

    fn open(&self) -> String {
        let mut state = self.lock();
        state.opened += 1;
        let session = format!("session-{}", state.opened);
        state.known.insert(session.clone());
        session
    }

    fn knows(&self, request: &Request) -> bool {
        request.session.as_ref().is_some_and(|session| self.lock().known.contains(session))
    }

    /// Whether a call comes to a session that is being forgotten.
    fn is_forgotten(&self) -> bool {
        let mut state = self.lock();
        if state.gathering == 0 {
            return state.forgets_all;
        }
        state.gathered += 1;
        if state.gathered == state.gathering {
            state.known.clear();
            state.gathering = 0;
            self.shared.changed.notify_all();
            return true;
        }
        let more = |state: &mut State| state.gathering > 0;
        let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, more);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        true
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Result<Option<Request>> {
    let (mut line, mut session, mut length) = (String::new(), None, 0);
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let method = line.split(' ').next().unwrap_or_default().to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "mcp-session-id" => session = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { method, session, body }))
}

fn ok(id: &Value, result: &Value, headers: &str) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
    response("200 OK", headers, &body)
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}
