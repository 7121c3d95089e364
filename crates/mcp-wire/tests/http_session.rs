//! Sessions over HTTP: how they are named, what they hear unasked, how calls and they end.

#![cfg(feature = "http")]

#[path = "http/server.rs"]
mod server;

use mcp_wire::{CallError, Event, Message};

use self::server::{
    ACCEPTED, Got, Link, NO_STREAM, STREAM, Server, call, legacy, modern, open, outcome, soon,
    while_heard,
};

#[tokio::test]
async fn a_session_is_named_in_every_request_until_it_is_deleted() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    let mut link = None::<Link>;
    let named = |got: &Got| {
        let header = |name| got.header(name).map(str::to_owned);
        (header("mcp-session-id"), header("mcp-protocol-version"))
    };
    let s1 = (Some("s1".to_owned()), Some("2025-06-18".to_owned()));
    let serve = async {
        let link = link.insert(server.accept().await);
        assert_eq!(named(&link.answer("{}").await), s1);
    };
    outcome(call(&connection, legacy("1")), serve).await.expect("an answer");
    let mut link = link.expect("accepted");
    // Whoever asks on behalf of a stateless client is no part of the session.
    let serve = async {
        let got = link.answer("{}").await;
        assert_eq!(named(&got), (None, Some("2026-07-28".to_owned())));
    };
    outcome(call(&connection, modern("x")), serve).await.expect("an answer");

    let last = call(&connection, legacy("1"));
    drop(connection);
    let serve = async { drop(link.answer("{}").await) };
    outcome(last, serve).await.expect("an exchange is a handle");
    let got = link.next().await;
    assert_eq!((got.line.as_str(), named(&got)), ("DELETE /mcp?a=b HTTP/1.1", s1));
}

#[tokio::test]
async fn a_lost_session_is_told_and_not_deleted() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    let mut link = None::<Link>;
    let serve = async {
        let link = link.insert(server.accept().await);
        link.next().await;
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}"#;
        link.json("404 Not Found", body).await;
    };
    let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("lost");
    assert_eq!(error, CallError::SessionLost);
    assert!(error.is_unsent() && connection.is_ended());
    assert_eq!(connection.ended().await, CallError::SessionLost);
    let later = soon(call(&connection, legacy("1")).reply()).await;
    assert_eq!(later.expect_err("lost"), CallError::SessionLost);
    drop(connection);
    assert!(link.expect("accepted").try_next().await.is_none());
}

/// Many servers say it in the words of the official TypeScript SDK's examples.
#[tokio::test]
async fn a_session_is_lost_by_400_only_if_the_error_says_so() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    let error = |code: i64, message: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"{message}"}}}}"#)
    };
    let other = [
        error(-32000, "Bad Request: no such tool"),
        error(-32602, "the session argument is missing"),
    ];
    let mut link = None::<Link>;
    for body in other {
        let serve = async {
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(server.accept().await),
            };
            link.next().await;
            link.json("400 Bad Request", &body).await;
        };
        outcome(call(&connection, legacy("1")), serve).await.expect("an error of the server");
        assert!(!connection.is_ended());
    }
    let serve = async {
        let link = link.as_mut().expect("accepted");
        link.next().await;
        let body = error(-32000, "Bad Request: No valid session ID provided");
        link.json("400 Bad Request", &body).await;
    };
    let lost = outcome(call(&connection, legacy("1")), serve).await.expect_err("lost");
    assert_eq!((lost, connection.is_ended()), (CallError::SessionLost, true));
}

/// A session's request is cancelled by a message, for the server may take a broken connection for
/// an accident.
#[tokio::test]
async fn whoever_drops_a_call_of_a_session_tells_the_server() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    for stream in [false, true] {
        let mut dropped = call(&connection, legacy("1"));
        let (mut link, got) = while_heard(&mut dropped, async {
            let mut link = server.accept().await;
            let got = link.next().await;
            if stream {
                link.begin_stream().await;
            }
            (link, got)
        })
        .await;
        if stream {
            let note = Message::notification("notifications/message", "{}");
            link.event(note.as_str()).await;
            let heard = soon(dropped.next()).await;
            assert!(matches!(heard, Ok(Event::Message(_))), "{heard:?}");
        }
        drop(dropped);
        assert!(link.try_next().await.is_none(), "nobody reads this connection any more");
        let mut link = server.accept().await;
        let cancelled = link.next().await;
        let params = format!(
            r#"{{"requestId":{},"reason":"the caller has gone"}}"#,
            got.message().id().expect("a request")
        );
        assert_eq!(cancelled.message().method(), "notifications/cancelled");
        assert_eq!(cancelled.message().params(), Some(&*params));
        assert_eq!(cancelled.header("mcp-session-id"), Some("s1"));
    }
    assert_eq!(connection.stats().in_flight, 0);
}

/// For a stateless request, closing its connection is what cancels it.
#[tokio::test]
async fn whoever_drops_a_stateless_call_closes_its_connection() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    for stream in [false, true] {
        let mut dropped = call(&connection, modern("x"));
        let mut link = while_heard(&mut dropped, async {
            let mut link = server.accept().await;
            link.next().await;
            if stream {
                link.begin_stream().await;
            }
            link
        })
        .await;
        drop(dropped);
        assert!(link.try_next().await.is_none());
    }
    // The next thing that is said is the next call.
    let serve = async {
        let got = server.accept().await.answer("{}").await;
        assert_eq!(got.message().method(), "tools/call");
    };
    outcome(call(&connection, modern("x")), serve).await.expect("an answer");
}

#[tokio::test]
async fn closing_fails_what_is_in_flight_and_lets_no_more_in() {
    let server = Server::start().await;
    let (connection, mut inbox, _) = server.session(NO_STREAM).await;
    let mut waiting = call(&connection, legacy("1"));
    let _link = while_heard(&mut waiting, async {
        let mut link = server.accept().await;
        link.next().await;
        link
    })
    .await;
    connection.close("enough");
    let enough = CallError::Closed { why: "enough".to_owned() };
    assert_eq!(soon(waiting.next()).await.expect_err("closed"), enough);
    let unsent = CallError::Unsent { why: "enough".to_owned() };
    assert_eq!(soon(call(&connection, legacy("1")).reply()).await.expect_err("closed"), unsent);
    let note = Message::notification("x", "{}");
    assert_eq!(soon(connection.send(note.bytes().clone())).await, Err(unsent));
    assert_eq!(connection.ended().await, enough);
    drop((waiting, connection));
    assert!(soon(inbox.next()).await.is_none());
    let goodbye = server.accept().await.next().await;
    assert_eq!(goodbye.line, "DELETE /mcp?a=b HTTP/1.1");
}

#[tokio::test]
async fn what_a_session_hears_unasked_comes_to_the_inbox() {
    let server = Server::start().await;
    let (connection, mut inbox, mut stream) = server.session(STREAM).await;
    let note = Message::notification("notifications/message", r#"{"a":1e400}"#);
    let asks = Message::request("1", "roots/list", "{}");
    for event in [note.as_str(), "noise", asks.as_str()] {
        stream.event(event).await;
    }
    assert_eq!(soon(inbox.next()).await.expect("open").as_str(), note.as_str());
    assert_eq!(soon(inbox.next()).await.expect("open").as_str(), asks.as_str());
    let stats = connection.stats();
    assert_eq!((stats.received, stats.malformed, stats.dropped), (3, 1, 0));

    // It ends, and is opened again a moment later.
    tokio::time::pause();
    stream.chunk("").await;
    let mut again = server.accept().await;
    let got = again.next().await;
    assert_eq!(got.line, "GET /mcp?a=b HTTP/1.1");
    assert_eq!(got.header("accept"), Some("text/event-stream"));
    assert_eq!(got.header("mcp-session-id"), Some("s1"));
    tokio::time::resume();
    again.write(STREAM).await;
    again.event(note.as_str()).await;
    assert_eq!(soon(inbox.next()).await.expect("open").as_str(), note.as_str());

    // Nobody reads any more: who asks is told so.
    drop(inbox);
    again.event(asks.as_str()).await;
    let mut refusal = server.accept().await;
    let got = refusal.next().await;
    assert_eq!((got.message().id(), connection.stats().dropped), (Some("1"), 1));
    assert!(got.message().error_json().is_some_and(|error| error.contains("-32603")));
    refusal.write(ACCEPTED).await;

    drop(connection);
    assert!(again.try_next().await.is_none(), "the stream goes with the last handle");
}

/// Some servers do not even send the head of the stream before there is something to say.
#[tokio::test]
async fn a_stream_that_never_begins_keeps_no_session_alive() {
    let server = Server::start().await;
    let (connection, mut inbox, mut stream) = server.session("").await;
    drop(connection);
    let goodbye = server.accept().await.next().await;
    assert_eq!(goodbye.line, "DELETE /mcp?a=b HTTP/1.1");
    assert!(stream.try_next().await.is_none());
    assert!(soon(inbox.next()).await.is_none());
}

#[tokio::test]
async fn a_server_that_gives_no_session_gets_no_goodbye() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let serve = async {
        let mut link = server.accept().await;
        link.answer(r#"{"protocolVersion":"2025-06-18"}"#).await;
        link.next().await;
        link.write(ACCEPTED).await;
        let got = link.next().await;
        assert_eq!(got.header("mcp-session-id"), None);
        assert_eq!(got.header("mcp-protocol-version"), Some("2025-06-18"));
        link.write(NO_STREAM).await;
    };
    soon(async { tokio::join!(open(&connection), serve) }).await;
    let mut link = None::<Link>;
    let serve = async {
        let link = link.insert(server.accept().await);
        link.next().await;
        link.json("404 Not Found", "").await;
    };
    let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("refused");
    assert_eq!(error, CallError::Status { status: 404, body: String::new(), retry_after: None });
    drop(connection);
    assert!(link.expect("accepted").try_next().await.is_none());
}
