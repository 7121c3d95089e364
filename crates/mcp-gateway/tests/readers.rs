//! Clients that do not read what they asked for (fault 27): each is let go of in time, alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcp_gateway::{Gateway, Options};
use mcp_manager::{Custom, Definition, Fleet, Plan, Streams};
use mcp_wire::serve::{Call, Description, Service, in_process};
use mcp_wire::{ErrorObject, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the gateway waits for a client to read, here.
const LIMIT: Duration = Duration::from_millis(500);
/// Far more than that, and less than the 30 s that it is by default.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than a connection holds by itself.
const EVENTS: u32 = 400;
const EVENT_BYTES: usize = 64 << 10;

/// Reports progress at great length, or answers at great length.
struct Flood {
    /// How many calls have ended.
    ended: watch::Sender<u32>,
}

/// A call, until it has ended one way or the other.
struct Running<'f>(&'f Flood);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

impl Service for Flood {
    fn describe(&self) -> Description {
        Description::new(r#"{"name":"flood","version":"1"}"#, r#"{"tools":{}}"#)
    }

    async fn call(&self, call: Call) -> Result<String, ErrorObject> {
        if call.method() != "tools/call" {
            return Err(call.unknown_method());
        }
        let running = Running(self);
        let text = "x".repeat(EVENT_BYTES);
        match call.name() {
            Some("events") => {
                for step in 1..=EVENTS {
                    call.progress(f64::from(step), None, Some(&text)).await;
                }
                // The call goes on: only its client can end it.
                std::future::pending::<()>().await;
            }
            Some("answer") => {
                drop(running);
                return Ok(format!(r#"{{"content":[],"text":"{}"}}"#, text.repeat(200)));
            }
            _ => {}
        }
        Ok(r#"{"content":[]}"#.to_owned())
    }
}

async fn gateway(change: impl FnOnce(&mut Options)) -> (Gateway, watch::Receiver<u32>) {
    let ended = watch::Sender::new(0);
    let seen = ended.subscribe();
    let flood = Arc::new(Flood { ended });
    let custom = Custom::new(move || {
        let (reader, writer) = in_process(Arc::clone(&flood), Limits::default());
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        std::future::ready(Ok(Streams { reader, writer }))
    });
    let mut plan = Plan::default();
    plan.servers = vec![Definition::custom("flood", custom)];
    let fleet = Arc::new(Fleet::new(plan).unwrap());
    let mut options = Options::default();
    (options.write_timeout, options.resume_timeout) = (LIMIT, LIMIT);
    change(&mut options);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (Gateway::start(fleet, any, any, options).await.unwrap(), seen)
}

/// Sends a request on a connection that takes little by itself, and leaves the answer there.
async fn send(address: SocketAddr, headers: &str, body: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn session(address: SocketAddr) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#;
    let mut said = String::new();
    let mut stream = send(address, "Connection: close\r\n", body).await;
    timeout(PATIENCE, stream.read_to_string(&mut said)).await.unwrap().unwrap();
    let header = said.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    format!("Mcp-Session-Id: {}\r\n", header.unwrap())
}

fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{tool}","method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"progressToken":1}}}}}}"#
    )
}

/// What is left of a connection that the gateway has let go of.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset is a way of closing, too.
    let closed = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "still open after {} bytes", rest.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_a_stream_that_nobody_reads_is_let_go_of_and_its_call_cancelled() {
    let (gateway, mut ended) = gateway(|_| {}).await;
    let address = gateway.address();
    let session = session(address).await;
    let stuck = send(address, &session, &call("events")).await;
    // Others in the same session are answered meanwhile.
    let mut said = String::new();
    let mut fine = send(address, &format!("{session}Connection: close\r\n"), &call("other")).await;
    timeout(PATIENCE, fine.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.contains(r#""content":[]"#), "{said}");
    timeout(PATIENCE, ended.wait_for(|ended| *ended == 2)).await.unwrap().unwrap();
    closed(stuck).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_a_stateless_stream_that_nobody_reads_is_let_go_of() {
    const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken""#;
    let (gateway, mut ended) = gateway(|_| {}).await;
    let headers =
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: events\r\n";
    let body = call("events").replace(r#""progressToken""#, META);
    let stuck = send(gateway.address(), headers, &body).await;
    timeout(PATIENCE, ended.wait_for(|ended| *ended == 1)).await.unwrap().unwrap();
    closed(stuck).await;
    gateway.stop().await;
}

/// The one place that there is, is free again for the next client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_an_answer_that_nobody_reads_does_not_hold_its_connection() {
    let (gateway, _ended) = gateway(|options| options.connections_max = 1).await;
    let address = gateway.address();
    let session = session(address).await;
    let _stuck = send(address, &session, &call("answer")).await;
    let mut said = String::new();
    let mut next = send(address, &format!("{session}Connection: close\r\n"), &call("other")).await;
    timeout(PATIENCE, next.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    gateway.stop().await;
}
