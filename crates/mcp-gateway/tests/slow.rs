//! Clients that send slowly, or nothing (fault 28): each is let go of in time, and meanwhile keeps
//! nobody else waiting.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcp_gateway::{Gateway, Options};
use mcp_manager::{Fleet, Plan};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What a sender gets for a head, and for a body.
const LIMIT: Duration = Duration::from_millis(600);
/// Between two bytes of a sender that never stops: each comes long before the limit.
const DRIP: Duration = Duration::from_millis(50);
/// Far more than the limit, and far less than the 30 s that it is by default.
const PATIENCE: Duration = Duration::from_secs(15);

const HEAD: &str = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"slow","version":"1"}}}"#;

/// A gateway without servers: no byte of these clients would reach one.
async fn gateway(options: Options) -> Gateway {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let fleet = Arc::new(Fleet::new(Plan::default()).expect("no servers, no quarrel"));
    Gateway::start(fleet, any, any, options).await.unwrap()
}

fn brief() -> Options {
    let mut options = Options::default();
    options.header_timeout = LIMIT;
    options.body_timeout = LIMIT;
    options
}

/// Sends `start` at once and then `drip`, again and again, until the gateway has had enough; what
/// it said before it closed.
async fn answer(address: SocketAddr, start: &str, drip: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(start.as_bytes()).await.unwrap();
    let drip = drip.to_owned();
    let dripping = tokio::spawn(async move {
        // An empty drip holds the connection open, and says nothing.
        while writer.write_all(drip.as_bytes()).await.is_ok() {
            sleep(DRIP).await;
        }
    });
    let mut said = Vec::new();
    let closed = timeout(PATIENCE, reader.read_to_end(&mut said)).await;
    dripping.abort();
    // A reset is a way of closing, too.
    assert!(closed.is_ok(), "still open after {start:?}");
    String::from_utf8_lossy(&said).into_owned()
}

/// A client that does what it should.
async fn initialize(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = INITIALIZE.len();
    let request =
        format!("{HEAD}Connection: close\r\nContent-Length: {length}\r\n\r\n{INITIALIZE}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut said)).await.unwrap().unwrap();
    said
}

/// Each with what is sent at once, what is sent again and again, and what the answer begins with.
fn slow_heads() -> Vec<(String, &'static str, &'static str)> {
    vec![
        (String::new(), "", ""),
        ("POST /m".to_owned(), "", ""),
        (HEAD.to_owned(), "", ""),
        (HEAD.to_owned(), "X", ""),
        (HEAD.to_owned(), "X-Drip: 1\r\n", ""),
    ]
}

fn slow_bodies() -> Vec<(String, &'static str, &'static str)> {
    const LATE: &str = "HTTP/1.1 408";
    vec![
        (format!("{HEAD}Content-Length: 1000\r\n\r\n"), "", LATE),
        (format!("{HEAD}Content-Length: 1000\r\n\r\n{{"), " ", LATE),
        (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"), "1\r\n \r\n", LATE),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_28_slow_senders_are_let_go_of_and_keep_nobody_waiting() {
    let gateway = gateway(brief()).await;
    let clients = [slow_heads(), slow_bodies()].concat();
    let clients = clients.into_iter().map(|client| (gateway.address(), client));
    let operators = slow_heads().into_iter().map(|client| (gateway.admin_address(), client));
    let mut waiting = JoinSet::new();
    for (address, (start, drip, expected)) in clients.chain(operators) {
        waiting.spawn(async move {
            let said = answer(address, &start, drip).await;
            assert!(said.starts_with(expected), "{start:?}, {drip:?}: {said:?}");
        });
    }
    let said = initialize(gateway.address()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    while let Some(done) = waiting.join_next().await {
        done.unwrap();
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_28_a_connection_with_nothing_more_to_say_is_let_go_of() {
    let gateway = gateway(brief()).await;
    let length = INITIALIZE.len();
    let request = format!("{HEAD}Content-Length: {length}\r\n\r\n{INITIALIZE}");
    let said = answer(gateway.address(), &request, "").await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("serverInfo"), "{said}");
    gateway.stop().await;
}

/// The places are few, slow senders have them all: whoever comes next gets one when they are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_28_slow_senders_cannot_keep_every_place() {
    let mut options = brief();
    options.connections_max = 4;
    let gateway = gateway(options).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(b"POST").await.unwrap();
        slow.push(stream);
    }
    let said = initialize(gateway.address()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    gateway.stop().await;
}
