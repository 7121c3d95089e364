//! One client on a pair of streams (fault 27): one that does not read, and one on a WebSocket that
//! has nothing to say for a while.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcp_gateway::{Gateway, Options, serve_stdio};
use mcp_manager::{Definition, Fleet, Plan, demo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn fleet() -> Arc<Fleet> {
    let mut plan = Plan::default();
    plan.servers = demo::fleet().into_iter().map(Definition::from).collect();
    let fleet = Arc::new(Fleet::new(plan).unwrap());
    fleet.start();
    fleet
}

/// What waits for stdout is bounded. When it is full, messages are not dropped one by one, as if
/// they had been read: the client is let go of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_a_client_on_stdio_that_does_not_read_is_let_go_of() {
    let (mut client, reader) = duplex(64 << 10);
    let (writer, _unread) = duplex(1024);
    let serving = tokio::spawn(serve_stdio(fleet(), reader, writer, std::future::pending()));
    let id = "x".repeat(100_000);
    let ping = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"method\":\"ping\"}}\n");
    // 4 MiB may wait: each answer repeats the id.
    let mut sent = 0;
    while client.write_all(ping.as_bytes()).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "nobody lets go of the client");
    }
    timeout(PATIENCE, serving).await.expect("the face has ended").unwrap();
    assert!(sent > 30, "{sent} answers are no reason yet");
}

/// A WebSocket that is silent is in use all the same: it outlives what a connection without a
/// request is given, and keeps its place.
#[cfg(feature = "ws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_websocket_is_left_open_and_keeps_its_place() {
    const LIMIT: Duration = Duration::from_millis(100);
    let mut options = Options::default();
    options.header_timeout = LIMIT;
    options.connections_max = 1;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let gateway = Gateway::start(fleet(), any, any, options).await.unwrap();
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let request = "GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));

    // The only place is taken, so this one waits to be accepted.
    let mut second = TcpStream::connect(gateway.address()).await.unwrap();
    second.write_all(request.as_bytes()).await.unwrap();
    let mut byte = [0];
    assert!(timeout(LIMIT * 10, second.read(&mut byte)).await.is_err(), "no place is free");

    // An empty mask leaves the text as it is.
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let frame = [&[0x81, 0x80 | ping.len() as u8, 0, 0, 0, 0], ping.as_bytes()].concat();
    client.write_all(&frame).await.unwrap();
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let mut heard = vec![0; answer.len() + 2];
    timeout(PATIENCE, client.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard[2..], *answer.as_bytes());

    drop(client);
    let accepted = timeout(PATIENCE, second.read(&mut byte)).await;
    assert_eq!(accepted.unwrap().unwrap(), 1, "the place is free again");
    gateway.stop().await;
}
