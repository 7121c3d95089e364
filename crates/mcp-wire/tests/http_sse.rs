//! The HTTP+SSE transport of 2024-11-05, against a server that the test plays byte by byte.

#![cfg(feature = "http")]

#[path = "http/server.rs"]
mod server;

use mcp_wire::http::{Endpoint, sse_transport};
use mcp_wire::{CallError, Connection, Event, Inbox, Message, Options};
use tokio::time::Instant;

use self::server::{ACCEPTED, LIMIT, Link, STREAM, Server, call, legacy, outcome, soon};

const ENDPOINT: &str = "event: endpoint\ndata: /message?session=7\n\n";

fn options() -> Options {
    let mut options = Options::default();
    options.limits.frame_bytes = 10_000;
    options
}

async fn connect(server: &Server) -> Result<(Connection, Inbox), CallError> {
    let headers = [("Authorization", "Bearer secret")];
    let endpoint = Endpoint::new(&server.url(), headers).expect("legal");
    let (reader, writer) = sse_transport::connect(&endpoint, &options().limits).await?;
    Ok(Connection::over_streams(reader, writer, &options()))
}

/// What becomes of a client whose stream begins with these bytes.
async fn begun(server: &Server, begin: &str) -> (Result<(Connection, Inbox), CallError>, Link) {
    let serve = async {
        let mut link = server.accept().await;
        let got = link.next().await;
        assert_eq!(got.line, "GET /mcp?a=b HTTP/1.1");
        assert_eq!(got.header("accept"), Some("text/event-stream"));
        assert_eq!(got.header("authorization"), Some("Bearer secret"));
        link.write(begin).await;
        link
    };
    soon(async { tokio::join!(connect(server), serve) }).await
}

async fn open(server: &Server) -> (Connection, Inbox, Link) {
    let length = ENDPOINT.len();
    let (opened, stream) = begun(server, &format!("{STREAM}{length:x}\r\n{ENDPOINT}\r\n")).await;
    let (connection, inbox) = opened.expect("opened");
    (connection, inbox, stream)
}

#[tokio::test]
async fn messages_are_posts_in_order_and_answers_are_events() {
    let server = Server::start().await;
    let (connection, mut inbox, mut stream) = open(&server).await;
    let note = Message::notification("notifications/x", "{}");
    let first = call(&connection, legacy("\"a\""));
    connection.send(note.bytes().clone()).await.expect("sent");
    let second = call(&connection, legacy("\"a\""));
    let serve = async {
        let mut link = server.accept().await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let got = link.next().await;
            assert_eq!(got.line, "POST /message?session=7 HTTP/1.1");
            assert_eq!(got.header("content-type"), Some("application/json"));
            assert_eq!(got.header("authorization"), Some("Bearer secret"));
            assert_eq!(got.header("mcp-session-id"), None);
            seen.push(got.message().id().map(str::to_owned));
            link.write(ACCEPTED).await;
        }
        let ids = ["1", "2"].map(|id| Some(id.to_owned()));
        assert_eq!(seen, [ids[0].clone(), None, ids[1].clone()]);
        stream.event(note.as_str()).await;
        stream.chunk("event: ping\ndata: noise\n\n: comment\n\n").await;
        stream
            .chunk("data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":2,\"result\":{\"n\":1.0}}\n\n")
            .await;
        stream.event(Message::result("1", "{}").as_str()).await;
    };
    let both = async { tokio::join!(first.reply(), second.reply()) };
    let ((first, second), ()) = soon(async { tokio::join!(both, serve) }).await;
    assert_eq!(first.expect("an answer").result_json(), Some("{}"));
    assert_eq!(second.expect("an answer").result_json(), Some("{\"n\":1.0}"));
    assert_eq!(soon(inbox.next()).await.expect("open").as_str(), note.as_str());
    assert_eq!(connection.stats().malformed, 0);

    connection.close("enough");
    assert!(stream.try_next().await.is_none(), "the stream goes with the connection");
    assert!(!format!("{connection:?}").contains("secret"));
}

/// Other than a broken answer, a message that is not taken leaves nothing to wait for.
#[tokio::test]
async fn a_message_that_is_not_taken_ends_the_connection_with_the_reason() {
    let server = Server::start().await;
    for (answer, why) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", "HTTP status 404: gone"),
        ("HTTP/1.1 307 X\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "http://x/"),
        ("nonsense\r\n\r\n", "invalid HTTP version"),
    ] {
        let (connection, _inbox, _stream) = open(&server).await;
        let serve = async {
            let mut link = server.accept().await;
            link.next().await;
            link.write(answer).await;
        };
        let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("not taken");
        assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(error.to_string().contains("not taken"), "{error}");
        assert_eq!(soon(connection.ended()).await, error);
    }
}

#[tokio::test]
async fn a_message_that_nobody_acknowledges_is_given_up_in_time() {
    let server = Server::start().await;
    let (connection, _inbox, _stream) = open(&server).await;
    let mut waiting = call(&connection, legacy("1"));
    let mut link = server::while_heard(&mut waiting, async {
        let mut link = server.accept().await;
        link.next().await;
        link
    })
    .await;
    tokio::time::pause();
    let begun = Instant::now();
    let error = waiting.next().await.expect_err("given up");
    assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
    // The wait began a moment before the clock stood still.
    assert!((9..=10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    tokio::time::resume();
    assert!(link.try_next().await.is_none());
}

#[tokio::test]
async fn the_end_of_the_stream_is_the_end_of_the_connection() {
    let server = Server::start().await;
    for end in ["0\r\n\r\n", "garbage", ""] {
        let (connection, _inbox, mut stream) = open(&server).await;
        let waiting = call(&connection, legacy("1"));
        let serve = async {
            let mut link = server.accept().await;
            link.next().await;
            link.write(ACCEPTED).await;
            stream.write(end).await;
            stream.die(false).await;
        };
        let error = outcome(waiting, serve).await.expect_err("over");
        assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
        assert!(connection.is_ended());
    }
    let (connection, _inbox, mut stream) = open(&server).await;
    stream.chunk(&format!("data: {}\n\n", "x".repeat(20_000))).await;
    let why = soon(connection.ended()).await.to_string();
    assert!(why.contains("longer than"), "{why}");
}

#[tokio::test]
async fn what_is_no_such_server_is_named() {
    let server = Server::start().await;
    let length = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let evil = "event: endpoint\ndata: http://evil.test/message\n\n";
    for (begin, expected) in [
        (format!("HTTP/1.1 401 No\r\n{}", length("")), "HTTP status 401"),
        (format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{}", length("x")), "no stream"),
        (format!("{STREAM}0\r\n\r\n"), "before it said where messages go"),
        (format!("{STREAM}{:x}\r\n{evil}\r\n", evil.len()), "nothing is sent there"),
    ] {
        let (opened, mut link) = begun(&server, &begin).await;
        let error = opened.map(drop).expect_err("no such server");
        assert!(error.to_string().contains(expected), "{error}");
        // Whatever was open is closed.
        assert!(link.try_next().await.is_none());
    }
}

#[tokio::test]
async fn a_server_that_never_says_where_messages_go_is_given_up() {
    let server = Server::start().await;
    for begin in ["", STREAM, &format!("{STREAM}9\r\ndata: 1\n\n\r\n")] {
        let connecting = tokio::spawn({
            let endpoint = Endpoint::new(&server.url(), []).expect("legal");
            async move { sse_transport::connect(&endpoint, &options().limits).await.map(drop) }
        });
        let mut link = server.accept().await;
        link.next().await;
        link.write(begin).await;
        tokio::time::pause();
        let begun = Instant::now();
        let error = connecting.await.expect("no panic").expect_err("given up");
        assert!(matches!(error, CallError::Timeout { .. }), "{error:?}");
        assert!(begun.elapsed() < LIMIT);
        tokio::time::resume();
    }
}

/// Requests of the server come as they do everywhere.
#[tokio::test]
async fn what_the_server_asks_is_answered_by_a_post() {
    let server = Server::start().await;
    let (connection, mut inbox, mut stream) = open(&server).await;
    stream.event(Message::request("9", "roots/list", "{}").as_str()).await;
    let asked = soon(inbox.next()).await.expect("open");
    let answer = Message::result(asked.id().expect("a request"), r#"{"roots":[]}"#);
    connection.send(answer.bytes().clone()).await.expect("sent");
    let mut link = server.accept().await;
    assert_eq!(link.next().await.body, answer.as_str());
    link.write(ACCEPTED).await;
    let mut waiting = call(&connection, legacy("1"));
    let id = link.next().await.message().id().expect("a request").to_owned();
    link.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nAccepted").await;
    stream.event(Message::result(&id, "{}").as_str()).await;
    assert!(matches!(soon(waiting.next()).await, Ok(Event::Reply(_))));
}
