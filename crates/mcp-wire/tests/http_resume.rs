//! Streams that break off, and are taken up again where they were (2025-11-25, SEP-1699).

#![cfg(feature = "http")]

#[path = "http/server.rs"]
mod server;

use std::time::Duration;

use mcp_wire::{CallError, Event, Exchange, Message, Timing};
use tokio::time::{Instant, timeout};

use self::server::{
    ACCEPTED, Got, Link, NO_STREAM, STREAM, Server, call, legacy, modern, outcome, soon,
    while_heard,
};

const TIMING: Timing =
    Timing { timeout: Duration::from_secs(60), timeout_max: Duration::from_secs(600) };
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
const END: &str = "0\r\n\r\n";

/// Begins the answer to the next call, primes it, and leaves it.
async fn begin_and_leave(server: &Server, primer: &str) {
    let mut link = server.accept().await;
    assert_eq!(link.next().await.message().method(), "tools/call");
    link.begin_stream().await;
    link.chunk(primer).await;
    link.write(END).await;
}

/// The client's attempt to go on.
async fn resumption(server: &Server) -> (Link, Got) {
    let mut link = server.accept().await;
    let got = link.next().await;
    assert_eq!(got.line, "GET /mcp?a=b HTTP/1.1");
    assert_eq!(got.header("accept"), Some("text/event-stream"));
    (link, got)
}

async fn message(exchange: &mut Exchange) -> Message {
    match soon(exchange.next()).await {
        Ok(Event::Message(message)) => message,
        other => panic!("expected a message, not {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_taken_up_where_it_was() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    let mut waiting = call(&connection, legacy("1"));
    let progress = |at: u32| format!(r#"{{"progressToken":2,"progress":{at}}}"#);
    let note = |at| Message::notification("notifications/progress", &progress(at));
    let begun = while_heard(&mut waiting, async {
        begin_and_leave(&server, "id: e1\nretry: 150\ndata:\n\n").await;
        Instant::now()
    })
    .await;
    let (mut link, got) = while_heard(&mut waiting, resumption(&server)).await;
    assert!(begun.elapsed() >= Duration::from_millis(140), "too early");
    assert_eq!(got.header("last-event-id"), Some("e1"));
    assert_eq!(got.header("mcp-session-id"), Some("s1"));
    assert_eq!(got.header("mcp-protocol-version"), Some("2025-06-18"));
    // It brings something, and breaks off again: this time the connection is lost.
    link.write(STREAM).await;
    link.chunk(&format!("id: e2\ndata: {}\n\n", note(1).as_str())).await;
    assert!(message(&mut waiting).await.params().is_some_and(|it| it.contains(r#""t""#)));
    drop(link);
    let (mut link, got) = while_heard(&mut waiting, resumption(&server)).await;
    assert_eq!(got.header("last-event-id"), Some("e2"));
    link.write(STREAM).await;
    link.event(note(2).as_str()).await;
    message(&mut waiting).await;
    link.event(Message::result("2", r#"{"a": 1.0}"#).as_str()).await;
    let Ok(Event::Reply(reply)) = soon(waiting.next()).await else { panic!("no answer") };
    assert_eq!(reply.result_json(), Some(r#"{"a": 1.0}"#));
    // It is over: no cancellation, and the connection can be used again.
    drop(waiting);
    link.write(END).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let serve = async {
        let got = link.next().await;
        assert_eq!(got.message().method(), "tools/call");
        link.json("200 OK", Message::result("3", "{}").as_str()).await;
    };
    outcome(call(&connection, legacy("1")), serve).await.expect("an answer");
}

#[tokio::test]
async fn what_has_no_ids_and_what_has_no_session_is_not_taken_up() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    for (request, primer) in [
        (legacy("1"), "retry: 1\ndata:\n\n"),
        (legacy("1"), "id: e1\ndata:\n\nid\ndata:\n\n"),
        (modern("x"), "id: e1\nretry: 1\ndata:\n\n"),
    ] {
        let serve = begin_and_leave(&server, primer);
        let error = outcome(call(&connection, request), serve).await.expect_err("no answer");
        let why = "the stream ended without an answer".to_owned();
        assert_eq!(error, CallError::Closed { why });
    }
    let serve = async { drop(server.accept().await.answer("{}").await) };
    outcome(call(&connection, legacy("1")), serve).await.expect("nothing was asked between");
}

#[tokio::test]
async fn an_answer_that_cannot_be_taken_up_is_given_up_after_five_tries() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    let mut waiting = connection.call(legacy("1"), TIMING);
    while_heard(&mut waiting, begin_and_leave(&server, "id: e1\ndata:\n\n")).await;
    tokio::time::pause();
    let begun = Instant::now();
    let mut tries = 0;
    let serve = async {
        loop {
            let (mut link, got) = resumption(&server).await;
            assert_eq!(got.header("last-event-id"), Some("e1"));
            tries += 1;
            // Busy, nobody there, a stream that ends at once: it can be anything.
            match tries % 3 {
                0 => link.write(BUSY).await,
                1 => drop(link),
                _ => link.write(&format!("{STREAM}{END}")).await,
            }
        }
    };
    let error = tokio::select! {
        () = serve => unreachable!("it never ends"),
        heard = waiting.next() => heard.expect_err("given up"),
    };
    assert!(matches!(error, CallError::Closed { .. }) && !error.is_unsent(), "{error:?}");
    assert_eq!(tries, 5);
    // The first pause began a moment before the clock stood still.
    let pauses = 1 + 1 + 2 + 4 + 8 + 16;
    assert!((pauses - 1..=pauses).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(!connection.is_ended());
}

/// What comes of it is no `SessionLost`, which would mean that nothing was done.
#[tokio::test]
async fn a_server_that_does_not_resume_is_asked_once() {
    for (status, lost) in [("404 Not Found", true), ("405 No", false), ("400 What", false)] {
        let server = Server::start().await;
        let (connection, _inbox, _) = server.session(NO_STREAM).await;
        let mut waiting = call(&connection, legacy("1"));
        let primer = "id: e1\nretry: 1\ndata:\n\n";
        while_heard(&mut waiting, begin_and_leave(&server, primer)).await;
        let (mut link, _) = while_heard(&mut waiting, resumption(&server)).await;
        link.json(status, "").await;
        let error = soon(waiting.next()).await.expect_err("not resumed");
        assert!(matches!(error, CallError::Closed { .. }) && !error.is_unsent(), "{error:?}");
        assert!(error.to_string().contains("cannot be resumed"), "{error}");
        assert_eq!(connection.is_ended(), lost);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_stream_to_go_on_can_leave_and_is_late_in_time() {
    let server = Server::start().await;
    let (connection, _inbox, _) = server.session(NO_STREAM).await;
    for late in [false, true] {
        let mut waiting = connection.call(legacy("1"), TIMING);
        let primer = "id: e1\nretry: 9999999\ndata:\n\n";
        while_heard(&mut waiting, begin_and_leave(&server, primer)).await;
        if late {
            tokio::time::pause();
            let error = waiting.next().await.expect_err("late");
            assert_eq!(error, CallError::Timeout { after: TIMING.timeout });
            tokio::time::resume();
        }
        drop(waiting);
        let mut link = server.accept().await;
        assert_eq!(link.next().await.message().method(), "notifications/cancelled");
        link.write(ACCEPTED.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_str()).await;
    }
}

#[tokio::test]
async fn a_sessions_own_stream_comes_back_again_and_again() {
    let server = Server::start().await;
    let (connection, mut inbox, mut stream) = server.session(STREAM).await;
    let note = |at: u32| Message::notification("notifications/message", &format!("[{at}]"));
    stream.chunk(&format!("id: o1\ndata: {}\n\n", note(1).as_str())).await;
    assert_eq!(soon(inbox.next()).await.expect("open").as_str(), note(1).as_str());
    drop(stream);

    tokio::time::pause();
    let mut begun = Instant::now();
    for pause in [1, 1, 2, 4, 8] {
        let (mut link, got) = resumption(&server).await;
        assert_eq!(got.header("last-event-id"), Some("o1"));
        assert_eq!(begun.elapsed().as_secs(), pause);
        begun = Instant::now();
        link.write(BUSY).await;
    }
    // Something is heard: it begins from the first, at the pace that the server names.
    let (mut link, _) = resumption(&server).await;
    link.write(STREAM).await;
    link.chunk("id: o2\nretry: 3000\ndata:\n\n").await;
    link.write(END).await;
    let begun = Instant::now();
    let (mut link, got) = resumption(&server).await;
    assert_eq!((got.header("last-event-id"), begun.elapsed().as_secs()), (Some("o2"), 3));
    tokio::time::resume();
    link.write(STREAM).await;
    link.event(note(2).as_str()).await;
    assert_eq!(soon(inbox.next()).await.expect("open").as_str(), note(2).as_str());
    drop(connection);
    assert!(link.try_next().await.is_none(), "the stream goes with the last handle");
}

#[tokio::test]
async fn a_stream_whose_session_is_lost_says_so() {
    let server = Server::start().await;
    let (connection, _inbox, stream) = server.session(STREAM).await;
    drop(stream);
    tokio::time::pause();
    let (mut link, got) = resumption(&server).await;
    assert_eq!(got.header("last-event-id"), None);
    tokio::time::resume();
    link.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(soon(connection.ended()).await, CallError::SessionLost);
}

/// A server without such a stream may know nothing of the path, or of the method.
#[tokio::test]
async fn a_server_without_a_stream_of_its_own_is_asked_once_and_keeps_its_session() {
    for status in ["405 Method Not Allowed", "404 Not Found", "400 What", "501 Never"] {
        let server = Server::start().await;
        let no = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (connection, _inbox, _link) = server.session(&no).await;
        tokio::time::pause();
        let nothing = timeout(Duration::from_secs(3_600), server.accept_any()).await;
        assert!(nothing.is_err(), "{status}: asked again");
        tokio::time::resume();
        assert!(!connection.is_ended());
    }
}
