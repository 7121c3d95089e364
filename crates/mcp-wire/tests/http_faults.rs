//! What an HTTP server, or the network before it, does wrong (faults 21, 22 and 23).

#![cfg(feature = "http")]

#[path = "http/server.rs"]
mod server;

use std::time::Duration;

use mcp_wire::http::Endpoint;
use mcp_wire::{CallError, Connection, Event, Message, Options, ParseError, Timing};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use self::server::{NO_STREAM, STREAM, Server, call, legacy, modern, outcome, soon, while_heard};

const TIMING: Timing =
    Timing { timeout: Duration::from_secs(60), timeout_max: Duration::from_secs(600) };

#[tokio::test]
async fn fault_21_a_network_that_takes_no_connection_is_given_up_in_time() {
    // A queue of one place that nobody takes a connection from: further ones are not answered.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(0).expect("listening");
    let address = listener.local_addr().expect("bound");
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) =
        timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        filling.push(stream);
    }
    let endpoint = Endpoint::new(&format!("http://{address}"), []).expect("legal");
    let (connection, _inbox) = Connection::over_http(endpoint, &Options::default());
    tokio::time::pause();
    let begun = Instant::now();
    let error = call(&connection, legacy("1")).reply().await.expect_err("nobody takes it");
    let why = "no connection within 10s".to_owned();
    assert_eq!((error.is_unsent(), error), (true, CallError::Connect { why }));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

/// However a connection dies under an answer, the call fails at once, and is not taken for unsent.
#[tokio::test]
async fn fault_21_a_connection_that_dies_under_an_answer_is_told() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let half_an_event = format!("{STREAM}6\r\ndata: \r\n");
    for sent in ["", "HTTP/1.1 200 O", json, half_an_event.as_str(), STREAM] {
        for reset in [false, true] {
            let serve = async {
                let mut link = server.accept().await;
                link.next().await;
                link.write(sent).await;
                link.die(reset).await;
            };
            let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("dead");
            assert!(matches!(error, CallError::Closed { .. }), "{sent:?} {reset}: {error:?}");
            assert!(!error.is_unsent());
        }
    }
    assert_eq!(connection.stats().in_flight, 0);
}

/// Bytes are no sign of life; only progress is.
#[tokio::test]
async fn fault_22_a_body_that_drips_is_bounded_by_the_deadline_of_its_call() {
    let server = Server::start().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n";
    for (head, drop_of) in [(head, "{"), (STREAM, "2\r\n:\n\r\n"), ("HTTP/1.1 200 OK\r\n", "A")] {
        let (connection, _inbox) = server.client(&[]);
        let mut waiting = connection.call(modern("x"), TIMING);
        let mut link = while_heard(&mut waiting, async {
            let mut link = server.accept().await;
            link.next().await;
            link.write(head).await;
            link
        })
        .await;
        tokio::time::pause();
        let begun = Instant::now();
        let drips = async {
            loop {
                link.write(drop_of).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let error = tokio::select! {
            () = drips => unreachable!("it never ends"),
            heard = waiting.next() => heard.expect_err("late"),
        };
        assert_eq!(error, CallError::Timeout { after: TIMING.timeout });
        assert!(begun.elapsed() <= TIMING.timeout + Duration::from_secs(1));
        tokio::time::resume();
    }
}

#[tokio::test]
async fn fault_23_a_redirect_is_named_and_never_followed() {
    let server = Server::start().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let location = format!("http://{}/mcp", elsewhere.local_addr().expect("bound"));
    let (connection, _inbox) = server.client(&[("Authorization", "Bearer secret")]);
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let serve = async {
            let mut link = server.accept().await;
            link.next().await;
            let head = format!("Location: {location}\r\nContent-Length: 0\r\nConnection: close");
            link.write(&format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n")).await;
        };
        let error = outcome(call(&connection, modern("x")), serve).await.expect_err("elsewhere");
        let text = error.to_string();
        assert!(text.contains(&location) && text.contains("not followed"), "{text}");
        assert!(matches!(error, CallError::Status { .. }), "{error:?}");
    }
    let nobody = timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(nobody.is_err(), "credentials went elsewhere");
}

#[tokio::test]
async fn fault_23_a_refusal_keeps_its_status_and_when_to_come_again() {
    let server = Server::start().await;
    let dated = "HTTP status 503: Retry-After: Fri, 31 Dec 1999 23:59:59 GMT";
    for (status, headers, body, expected, seconds) in [
        (401, "WWW-Authenticate: Bearer\r\n", "who?", "HTTP status 401: who?", None),
        (403, "", "", "HTTP status 403", None),
        (404, "", "nothing here", "HTTP status 404: nothing here", None),
        (429, "Retry-After: 7\r\n", "", "HTTP status 429: Retry-After: 7", Some(7)),
        (503, "Retry-After: 0\r\n", "busy", "HTTP status 503: Retry-After: 0; busy", Some(0)),
        (503, "Retry-After: -1\r\n", "", "HTTP status 503: Retry-After: -1", None),
        (503, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", "", dated, None),
        (500, "", "oops", "HTTP status 500: oops", None),
    ] {
        let (connection, _inbox) = server.client(&[]);
        let serve = async {
            let mut link = server.accept().await;
            link.next().await;
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}");
            link.write(&format!("{head}\r\n\r\n{body}")).await;
        };
        let error = outcome(call(&connection, modern("x")), serve).await.expect_err("refused");
        assert_eq!(error.to_string(), expected);
        let CallError::Status { retry_after, .. } = error else { panic!("{error:?}") };
        assert_eq!(retry_after, seconds.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn fault_23_a_body_that_is_encoded_or_is_no_json_is_refused_by_name() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let page = "the body is \"text/html\", neither JSON nor a stream of events";
    for (head, body, expected) in [
        ("application/json\r\nContent-Encoding: gzip", "\u{1f}\u{8b}", "(\"gzip\")"),
        ("text/event-stream\r\nContent-Encoding: br", "?", "(\"br\")"),
        ("text/html; charset=utf-8", "<html>log in</html>", page),
    ] {
        let serve = async {
            let mut link = server.accept().await;
            assert_eq!(link.next().await.header("accept-encoding"), None);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {head}");
            let length = body.len();
            link.write(&format!(
                "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        };
        let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("refused");
        assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn fault_22_an_event_that_would_be_the_answer_and_cannot_be_read_fails_its_call_at_once() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let mut waiting = call(&connection, legacy("1"));
    let mut link = while_heard(&mut waiting, async {
        let mut link = server.accept().await;
        link.next().await;
        link.begin_stream().await;
        // Somebody else's, a request's, and no message at all: none of them is this answer.
        for data in [
            r#"{"jsonrpc":2,"id":2,"result":{}}"#,
            r#"{"jsonrpc":2,"id":1,"method":"x"}"#,
            "1",
            r#"[{"id":1}]"#,
        ] {
            link.event(data).await;
        }
        link
    })
    .await;
    link.event(r#"{"jsonrpc":2,"id":1,"result":{}}"#).await;
    let error = soon(waiting.next()).await.expect_err("unreadable");
    assert_eq!(error, CallError::Unreadable(ParseError::Version));
    assert_eq!((connection.stats().malformed, connection.stats().in_flight), (5, 1));
    drop(waiting);
    assert!(link.try_next().await.is_none(), "its stream is closed");
}

#[tokio::test]
async fn fault_22_an_event_beyond_the_limit_ends_its_call() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    let serve = async {
        let mut link = server.accept().await;
        link.next().await;
        link.begin_stream().await;
        link.chunk("id: 1\ndata:\n\n").await;
        link.chunk(&format!("data: {}\n\n", "x".repeat(20_000))).await;
    };
    let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("too long");
    assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
}

/// The first event that a call hears, which is no answer.
async fn heard(exchange: &mut mcp_wire::Exchange) -> Message {
    match soon(exchange.next()).await {
        Ok(Event::Message(message)) => message,
        other => panic!("expected a message, not {other:?}"),
    }
}

#[tokio::test]
async fn fault_22_notifications_of_a_stream_without_an_end_are_heard_before_the_deadline() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let mut waiting = connection.call(modern("x"), TIMING);
    let mut link = while_heard(&mut waiting, async {
        let mut link = server.accept().await;
        link.next().await;
        link.begin_stream().await;
        link
    })
    .await;
    let note = Message::notification("notifications/message", "{}");
    link.event(note.as_str()).await;
    assert_eq!(heard(&mut waiting).await.as_str(), note.as_str());
    tokio::time::pause();
    let error = waiting.next().await.expect_err("no answer");
    assert_eq!(error, CallError::Timeout { after: TIMING.timeout });
}
