//! What a connection bears from either side, and how it ends: nothing waits or grows for ever.

mod peer;

use std::time::Duration;

use mcp_wire::{CallError, Connection, Message, Options, Request, Timing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use tokio::time::{Instant, timeout};

use self::peer::{PIPE_BYTES, connect, connected, failure, message, request, result, settle};

fn closed(error: &CallError) -> bool {
    matches!(error, CallError::Closed { .. })
}

/// A request of about this many bytes.
fn large(bytes: usize) -> Request {
    let params = format!(r#"{{"padding":"{}"}}"#, "x".repeat(bytes));
    Request::read(Message::request("1", "tools/call", &params)).expect("legal")
}

/// Fault 4: a peer that does not read costs a bound of memory, and nobody ever waits for it.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_refused_more_and_heard_all_the_same() {
    let (connection, _inbox, mut peer) = connected();
    let mut calls = Vec::new();
    let refused = loop {
        let mut call = connection.call(large(100_000), Timing::default());
        // Refused at once, or not at all: the first look decides.
        match timeout(Duration::ZERO, call.next()).await {
            Ok(outcome) => break outcome.expect_err("nobody has answered"),
            Err(_) => calls.push(call),
        }
        assert!(calls.len() < 1_000, "never refused");
    };
    assert_eq!(refused, CallError::Overloaded);
    assert!(refused.is_unsent());
    assert_eq!(connection.stats().in_flight, calls.len() as u64);
    // It still writes, and is heard.
    peer.result("1", "{}").await;
    assert_eq!(result(&mut calls.remove(0)).await, "{}");

    // And when it reads again, everything that was accepted arrives, in order, and there is room.
    for id in 1..=calls.len() + 1 {
        assert_eq!(peer.next().await.id(), Some(&*id.to_string()));
    }
    let mut next = connection.call(request("tools/list"), Timing::default());
    let sent = peer.next().await;
    assert_eq!(sent.method(), "tools/list");
    peer.result(sent.id().expect("a request"), "{}").await;
    assert_eq!(result(&mut next).await, "{}");
}

/// Fault 4: one that reads nothing and says nothing is given up, and everybody who waits hears why.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_for_too_long_is_given_up() {
    let (near, mut peer) = duplex(PIPE_BYTES);
    let (reader, writer) = split(near);
    let options = Options::default();
    let (connection, _inbox) = Connection::over_streams(reader, writer, &options);
    let (stall, begun) = (options.stall_timeout, Instant::now());
    let nearly = stall - Duration::from_secs(1);
    let patient = Timing { timeout: stall * 100, timeout_max: stall * 100 };
    let mut written = connection.call(large(PIPE_BYTES * 2), patient);
    let mut waiting = connection.call(large(PIPE_BYTES), patient);
    // As long as it says anything, or reads anything, it is busy and not lost.
    for _ in 0..5 {
        assert!(timeout(nearly, written.next()).await.is_err());
        let said = Message::notification("notifications/message", r#"{"level":"info","data":1}"#);
        peer.write_all(format!("{}\n", said.as_str()).as_bytes()).await.expect("heard");
    }
    for _ in 0..5 {
        assert!(timeout(nearly, written.next()).await.is_err());
        peer.read_exact(&mut [0; 100]).await.expect("something to read");
    }
    let busy = begun.elapsed();
    assert!(busy > stall * 9, "{busy:?}");
    let error = failure(&mut written).await;
    assert!(closed(&error) && error.to_string().contains("was read for 30s"), "{error}");
    assert!(failure(&mut waiting).await.is_unsent(), "nothing of this one was written");
    let lost = begun.elapsed() - busy;
    assert!(lost >= stall && lost <= stall / 5 * 6, "{lost:?}");
    assert!(connection.is_ended());
}

/// One message always fits, however large.
#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_queue_goes_through() {
    let (connection, _inbox, mut peer) = connected();
    let mut call = connection.call(large(12 << 20), Timing::default());
    assert_eq!(peer.next().await.id(), Some("1"));
    peer.result("1", &format!("\"{}\"", "y".repeat(PIPE_BYTES * 3))).await;
    assert_eq!(result(&mut call).await.len(), PIPE_BYTES * 3 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_read_loses_its_call_and_nobody_elses() {
    let (connection, _inbox, mut peer) = connected();
    let mut slow = connection.call(request("tools/call"), Timing::default());
    let mut other = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    peer.next().await;
    for n in 0..4_097 {
        peer.progress("1", n).await;
    }
    peer.progress("2", 7).await;
    peer.result("1", "{}").await;
    peer.result("2", "{}").await;

    assert!(message(&mut other).await.as_str().contains(r#""progress":7"#));
    assert_eq!(result(&mut other).await, "{}");
    // What fitted can still be read, then the reason.
    for n in 0..4_096 {
        assert!(message(&mut slow).await.as_str().contains(&format!("\"progress\":{n}}}")));
    }
    assert_eq!(failure(&mut slow).await, CallError::SlowCaller { limit: 4_096 });
    drop(slow);
    let told = peer.next().await;
    let params = r#"{"requestId":1,"reason":"the caller does not read"}"#;
    assert_eq!((told.method(), told.params()), ("notifications/cancelled", Some(params)));
    assert!(peer.hears_nothing().await);
    let stats = connection.stats();
    assert_eq!((stats.slow_callers, stats.stray, stats.in_flight), (1, 1, 0));
}

/// Fault 5.
#[tokio::test(start_paused = true)]
async fn a_thousand_lines_of_noise_in_a_row_end_the_connection_and_fewer_do_not() {
    let (connection, _inbox, mut peer) = connected();
    let mut call = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    for _ in 0..2 {
        peer.write("noise\n\n".repeat(999)).await;
        peer.progress("1", 1).await;
        message(&mut call).await;
    }
    assert_eq!(connection.stats().malformed, 1_998);
    peer.write("noise\n".repeat(1_000)).await;
    let error = failure(&mut call).await;
    assert!(matches!(&error, CallError::Protocol { .. }), "{error:?}");
    assert_eq!(connection.ended().await, error);
    assert!(peer.try_next().await.is_none());
}

/// Fault 6.
#[tokio::test(start_paused = true)]
async fn a_line_over_the_limit_ends_the_connection() {
    let mut options = Options::default();
    options.limits.frame_bytes = 1_000;
    for end in ["", "\n"] {
        let (connection, _inbox, mut peer) = connect(&options);
        let mut call = connection.call(request("tools/call"), Timing::default());
        peer.next().await;
        let fits = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(964));
        assert_eq!(fits.len(), 1_000);
        peer.write(format!("{fits}\r\n")).await;
        assert_eq!(result(&mut call).await.len(), 966);

        let mut call = connection.call(request("tools/call"), Timing::default());
        peer.write(format!("{}{end}", "x".repeat(1_001))).await;
        let error = failure(&mut call).await;
        let why = "a line is longer than 1000 bytes".to_owned();
        assert_eq!(error, CallError::Protocol { why });
        assert!(connection.is_ended());
    }
}

/// Faults 7 and 8: one bad line harms no other, and nothing depends on how bytes are cut.
#[tokio::test(start_paused = true)]
async fn however_the_bytes_are_cut_the_same_arrives() {
    let stream = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"Gr\u{fc}\u{df}e\"}}\n",
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\r\n\n \0 \n",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"b\":2}}\r\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}",
    );
    for cut in [1, 2, 7, 64, stream.len()] {
        let (connection, mut inbox, mut peer) = connected();
        let mut first = connection.call(request("tools/call"), Timing::default());
        let mut second = connection.call(request("tools/call"), Timing::default());
        for piece in stream.as_bytes().chunks(cut) {
            peer.write(piece).await;
            settle().await;
        }
        peer.hang_up().await;
        assert_eq!(result(&mut first).await, r#"{"a":"Grüße"}"#);
        assert_eq!(result(&mut second).await, r#"{"b":2}"#);
        assert_eq!(inbox.next().await.expect("said").method(), "notifications/message");
        let stats = connection.stats();
        assert_eq!((stats.received, stats.malformed, stats.stray), (3, 2, 0));
        assert!(closed(&connection.ended().await));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_does_not_read_is_counted_and_requests_are_refused() {
    let (connection, mut inbox, mut peer) = connected();
    for n in 0..1_024 {
        peer.notify("notifications/message", &format!(r#"{{"n":{n}}}"#)).await;
    }
    peer.notify("notifications/message", r#"{"n":1024}"#).await;
    peer.line(r#"{"jsonrpc":"2.0","id":"theirs","method":"roots/list"}"#).await;
    let refusal = peer.next().await;
    assert_eq!(refusal.id(), Some("\"theirs\""));
    let error = refusal.error_json().expect("an error");
    assert!(error.contains("-32603"), "{error}");
    assert_eq!(connection.stats().dropped, 2);
    for n in 0..1_024 {
        let expected = format!(r#"{{"n":{n}}}"#);
        assert_eq!(inbox.next().await.expect("kept").params(), Some(&*expected));
    }

    // The same where nobody ever reads.
    drop(inbox);
    peer.line(r#"{"jsonrpc":"2.0","id":-0,"method":"roots/list"}"#).await;
    assert_eq!(peer.next().await.id(), Some("-0"));
    assert_eq!(connection.stats().dropped, 3);
}

#[tokio::test(start_paused = true)]
async fn closing_fails_every_call_and_tells_the_peer() {
    let (connection, mut inbox, mut peer) = connected();
    let ended = connection.ended();
    let mut calls: Vec<_> =
        (0..3).map(|_| connection.call(request("tools/call"), Timing::default())).collect();
    connection.close("enough");
    connection.close("again");
    let enough = CallError::Closed { why: "enough".to_owned() };
    for call in &mut calls {
        assert_eq!(failure(call).await, enough);
    }
    assert_eq!((ended.await, connection.is_ended()), (enough.clone(), true));
    settle().await;
    let unsent = CallError::Unsent { why: "enough".to_owned() };
    assert_eq!(failure(&mut connection.call(request("x"), Timing::default())).await, unsent);
    assert_eq!(
        connection.send(Message::notification("x", "{}").bytes().clone()).await,
        Err(unsent)
    );
    assert_eq!(connection.stats().in_flight, 0);
    // The stream is gone although handles are left.
    while peer.try_next().await.is_some() {}
    drop((connection, calls));
    assert!(inbox.next().await.is_none());
}

/// Fault 1: the peer is gone, and everybody knows at once.
#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_fails_every_call_after_what_it_said() {
    let (connection, _inbox, mut peer) = connected();
    let begun = Instant::now();
    let mut answered = connection.call(request("tools/call"), Timing::default());
    let mut waiting = connection.call(request("tools/call"), Timing::default());
    peer.progress("2", 1).await;
    peer.result("1", "{}").await;
    drop(peer);
    assert!(closed(&connection.ended().await));
    assert_eq!(result(&mut answered).await, "{}");
    message(&mut waiting).await;
    assert!(closed(&failure(&mut waiting).await));
    let late = failure(&mut connection.call(request("x"), Timing::default())).await;
    assert!(matches!(late, CallError::Unsent { .. }) && late.is_unsent(), "{late:?}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(connection.stats().in_flight, 0);
}

/// Whoever repeats a call must know whether any of it was written, byte for byte.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_written_is_told_apart_from_one_that_was() {
    let (connection, _inbox, mut peer) = connected();
    let mut read = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    // The pipe takes the beginning of this one, and nothing of the next.
    let mut begun = connection.call(large(2 * PIPE_BYTES), Timing::default());
    let mut behind = connection.call(request("tools/call"), Timing::default());
    settle().await;
    drop(peer);
    for call in [&mut read, &mut begun] {
        let error = failure(call).await;
        assert!(closed(&error) && !error.is_unsent(), "{error:?}");
    }
    for _ in 0..2 {
        let error = failure(&mut behind).await;
        assert!(matches!(error, CallError::Unsent { .. }), "{error:?}");
    }
}

/// What was said to be unsent is not sent after all, however long its peer reads on.
#[tokio::test(start_paused = true)]
async fn what_was_not_written_when_the_connection_ended_never_is() {
    let (connection, _inbox, mut peer) = connected();
    let begun = connection.call(large(2 * PIPE_BYTES), Timing::default());
    let mut behind = connection.call(request("resources/read"), Timing::default());
    peer.hang_up().await;
    assert!(failure(&mut behind).await.is_unsent());
    assert!(!peer.rest().await.contains("resources/read"));
    drop(begun);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_the_connection_after_what_was_sent() {
    let (connection, mut inbox, mut peer) = connected();
    let mut call = connection.call(request("tools/call"), Timing::default());
    let last = large(PIPE_BYTES * 3);
    connection.send(last.message().bytes().clone()).await.expect("queued");
    let (clone, ended) = (connection.clone(), connection.ended());
    drop((connection, clone));
    // A call in flight is a handle.
    assert_eq!(peer.next().await.id(), Some("1"));
    peer.result("1", "{}").await;
    assert_eq!(result(&mut call).await, "{}");
    drop(call);
    assert_eq!(peer.next().await.bytes(), last.message().bytes());
    assert!(peer.try_next().await.is_none());
    assert!(closed(&ended.await));
    assert!(inbox.next().await.is_none());
}

/// A peer that neither reads nor closes does not keep the stream open for ever.
#[tokio::test(start_paused = true)]
async fn a_peer_that_ignores_the_end_is_left() {
    let (connection, _inbox, mut peer) = connected();
    connection.send(vec![b'x'; PIPE_BYTES * 3].into()).await.expect("queued");
    let begun = Instant::now();
    drop(connection);
    let gone = async {
        while peer.try_write("\n").await {
            settle().await;
        }
    };
    timeout(Duration::from_secs(60), gone).await.expect("left");
    assert!(begun.elapsed() >= Duration::from_secs(10));
}
