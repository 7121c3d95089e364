//! WebSocket as lines (fault 25): what a peer may do with frames, and what comes of it.

#![cfg(feature = "ws")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "websocket/frames.rs"]
mod frames;
#[path = "websocket/wrongs.rs"]
mod wrongs;

use std::time::Duration;

use mcp_wire::ws::{Closer, Reader, Role, Writer, lines};
use mcp_wire::{
    CallError, Connection, Limits, LineError, LineReader, Message, Options, Outbox, Request, Timing,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use frames::{BINARY, CLOSE, CONTINUE, PING, PONG, Peer, TEXT};
use wrongs::{Wrong, wrongs};

/// What one message may be in these tests.
pub(crate) const FRAME_MAX: usize = 64 << 10;

struct Near {
    lines: LineReader<Reader<DuplexStream>>,
    writer: Writer<DuplexStream>,
    closer: Closer<DuplexStream>,
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.frame_bytes = FRAME_MAX;
    limits
}

/// The side under test, and the bare frames at its other end. The pipe between takes `room` bytes.
fn pair(role: Role, room: usize) -> (Near, Peer) {
    let (near, far) = duplex(room);
    let (reader, writer, closer) = lines(near, role, &limits());
    let near = Near { lines: LineReader::new(reader, FRAME_MAX), writer, closer };
    let masks = role == Role::Server;
    (near, Peer::new(far, masks))
}

impl Near {
    async fn line(&mut self) -> String {
        let line = timeout(Duration::from_secs(1_000), self.lines.next()).await;
        let line = line.expect("something comes").expect("a line").expect("not the end");
        String::from_utf8(line.to_vec()).unwrap()
    }

    /// How the connection ended.
    async fn end(&mut self) -> std::io::Error {
        loop {
            match self.lines.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a WebSocket never just ends"),
                Err(LineError::Io(error)) => return error,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_is_a_frame_in_both_directions_and_roles() {
    for role in [Role::Client, Role::Server] {
        let (mut near, mut peer) = pair(role, 4096);
        near.writer.write_all(b"{\"a\":1}\n\n{\"b\":2}\n").await.unwrap();
        near.writer.flush().await.unwrap();
        for expected in [r#"{"a":1}"#, r#"{"b":2}"#] {
            let frame = peer.next().await.unwrap();
            assert_eq!((frame.first, frame.text()), (0x80 | TEXT, expected));
            // RFC 6455, section 5.1: a client masks every frame, a server none.
            assert_eq!(frame.masked, role == Role::Client);
        }
        peer.send(TEXT, true, b"[1,\r\n 2]").await;
        peer.send(TEXT, true, b"").await;
        peer.send(TEXT, true, b"[3]").await;
        assert_eq!(near.line().await, "[1,\r\r 2]");
        assert_eq!(near.line().await, "[3]");
    }
}

#[tokio::test(start_paused = true)]
async fn two_frames_never_have_the_same_mask() {
    let (mut near, mut peer) = pair(Role::Client, 4096);
    near.writer.write_all(b"xxxx\nxxxx\n").await.unwrap();
    near.writer.flush().await.unwrap();
    let masks = [peer.next().await.unwrap().mask, peer.next().await.unwrap().mask];
    assert_ne!(masks[0], masks[1]);
}

/// A line break inside of a string is no JSON, and must not become some on the way.
#[tokio::test(start_paused = true)]
async fn a_line_break_in_a_string_stays_illegal() {
    let (mut near, mut peer) = pair(Role::Server, 4096);
    peer.send(TEXT, true, b"{\"jsonrpc\":\"2.0\",\n\"method\":\"a\"}").await;
    peer.send(TEXT, true, b"{\"jsonrpc\":\"2.0\",\"method\":\"a\nb\"}").await;
    assert!(Message::parse(near.line().await, &limits()).is_ok());
    assert!(Message::parse(near.line().await, &limits()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_written_in_pieces_is_sent_in_fragments() {
    let (mut near, mut peer) = pair(Role::Server, 4096);
    for piece in ["{\"ä", "\":", "1}\n{}\n"] {
        near.writer.write_all(piece.as_bytes()).await.unwrap();
    }
    near.writer.flush().await.unwrap();
    let mut frames = Vec::new();
    for _ in 0..4 {
        let frame = peer.next().await.unwrap();
        frames.push((frame.first, frame.text().to_owned()));
    }
    let expected = [(TEXT, "{\"ä"), (CONTINUE, "\":"), (0x80, "1}"), (0x80 | TEXT, "{}")];
    assert_eq!(frames, expected.map(|(first, text)| (first, text.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn fragments_are_one_message_with_pings_between_and_characters_cut() {
    let (mut near, mut peer) = pair(Role::Server, 4096);
    let text = r#"{"a":"äöü€𝄞"}"#.as_bytes();
    let last = text.len() - 1;
    for (at, byte) in text.iter().enumerate() {
        let kind = if at == 0 { TEXT } else { CONTINUE };
        peer.send(kind, at == last, &[*byte]).await;
        peer.send(PING, true, b"?").await;
    }
    assert_eq!(near.line().await.as_bytes(), text);
    let pong = peer.next().await.unwrap();
    assert_eq!((pong.first, pong.text()), (0x80 | PONG, "?"));
}

/// Fault 8: one message in one-byte reads.
#[tokio::test(start_paused = true)]
async fn frames_may_be_cut_at_every_byte() {
    let text = "x".repeat(300);
    for role in [Role::Client, Role::Server] {
        let (mut near, mut peer) = pair(role, 1);
        for message in ["{\"a\":1}", &text] {
            let frame = frames::encode(TEXT, true, message.as_bytes(), role == Role::Server);
            let (line, ()) = tokio::join!(near.line(), peer.raw(&frame));
            assert_eq!(line, message);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fault_25_every_broken_rule_has_its_close_code() {
    for Wrong { what, role, bytes, code } in wrongs() {
        let (mut near, mut peer) = pair(role, 1 << 20);
        peer.raw(&bytes).await;
        let end = near.end().await;
        assert_eq!(end.kind(), std::io::ErrorKind::InvalidData, "{what}: {end}");
        assert!(end.to_string().contains(&format!("({code})")), "{what}: {end}");
        assert_eq!(peer.close_code().await, Some(code), "{what}");
        // Nothing is taken after it, and nothing sent.
        assert!(near.writer.write_all(b"{}\n").await.is_err(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_just_the_limit_passes() {
    let (mut near, mut peer) = pair(Role::Server, 1 << 20);
    let text = "x".repeat(FRAME_MAX);
    peer.send(TEXT, true, text.as_bytes()).await;
    assert_eq!(near.line().await, text);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_peer_is_answered_and_its_words_are_kept() {
    for role in [Role::Client, Role::Server] {
        for (payload, words) in [
            (&b"\x03\xe9back soon"[..], "with code 1001: \"back soon\""),
            (b"\x0f\xa0", "with code 4000"),
            (b"", "the peer closed the WebSocket"),
            // Not for the wire, so it counts as a broken protocol, in the peer's own answer, too.
            (b"\x03\xed", "with code 1002"),
        ] {
            let (mut near, mut peer) = pair(role, 4096);
            peer.send(CLOSE, true, payload).await;
            let end = near.end().await;
            assert!(end.to_string().contains(words), "{end}");
            let answered = peer.close_code().await;
            let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
            assert_eq!(answered, code.map(|code| if code == 1005 { 1002 } else { code }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_off_is_told_apart_from_one_that_is_closed() {
    let (mut near, peer) = pair(Role::Server, 4096);
    drop(peer);
    let end = near.end().await;
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(end.to_string().contains("without being closed"), "{end}");
}

/// Pings that nobody reads the answers to: the last is answered, and nothing piles up.
#[tokio::test(start_paused = true)]
async fn fault_25_a_flood_of_pings_is_answered_as_far_as_it_is_read() {
    const PINGS: u32 = 100_000;
    let (mut near, peer) = pair(Role::Server, 4096);
    let (mut from_near, mut to_near) = peer.split();
    let flood = async {
        for number in 0..PINGS {
            to_near.send(PING, true, &number.to_be_bytes()).await;
        }
        to_near.send(TEXT, true, b"{}").await;
    };
    let (line, ()) = tokio::join!(near.line(), flood);
    assert_eq!(line, "{}");
    let reading = async {
        let (mut pongs, mut last) = (0, 0);
        loop {
            let frame = from_near.next().await.unwrap();
            if frame.first == 0x80 | TEXT {
                return (pongs, last);
            }
            assert_eq!(frame.first, 0x80 | PONG);
            (pongs, last) = (pongs + 1, u32::from_be_bytes(frame.payload.try_into().unwrap()));
        }
    };
    let writing = async {
        near.writer.write_all(b"{}\n").await.unwrap();
        near.writer.flush().await.unwrap();
        std::future::pending::<()>().await;
    };
    let (pongs, last) = tokio::select! { read = reading => read, () = writing => (0, 0) };
    assert!(pongs < 2000, "{pongs} pongs were kept");
    assert_eq!(last, PINGS - 1, "the last ping must be answered");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    let (mut near, mut peer) = pair(Role::Server, 4096);
    let start = Instant::now();
    let (end, pings) = tokio::join!(near.end(), async {
        let mut pings = Vec::new();
        while pings.len() < 2 {
            let frame = peer.next().await.unwrap();
            assert_eq!(frame.first, 0x80 | PING);
            pings.push(start.elapsed().as_secs());
        }
        pings
    });
    assert_eq!(pings, [15, 30]);
    assert_eq!(start.elapsed().as_secs(), 45);
    assert_eq!(end.kind(), std::io::ErrorKind::TimedOut);
    assert!(end.to_string().contains("silent for 45s"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_not_silent() {
    let (mut near, mut peer) = pair(Role::Client, 4096);
    let start = Instant::now();
    let answering = async {
        for _ in 0..20 {
            assert_eq!(peer.next().await.unwrap().first, 0x80 | PING);
            peer.send(PONG, true, b"").await;
        }
        peer.send(TEXT, true, b"[1]").await;
    };
    let (line, ()) = tokio::join!(near.line(), answering);
    assert_eq!(line, "[1]");
    assert_eq!(start.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn closing_says_why_and_waits_for_the_peer() {
    let (near, mut peer) = pair(Role::Server, 4096);
    near.closer.set(1001, &"ä".repeat(100));
    let (mut writer, lines) = (near.writer, near.lines);
    writer.write_all(b"[1]\n").await.unwrap();
    let closing = async {
        near.closer.close().await;
        Instant::now()
    };
    let agreeing = async {
        assert_eq!(peer.next().await.unwrap().text(), "[1]");
        let close = peer.next().await.unwrap();
        assert_eq!(close.first, 0x80 | CLOSE);
        assert_eq!(close.payload[..2], 1001_u16.to_be_bytes());
        assert_eq!(close.payload[2..], *"ä".repeat(61).as_bytes());
        peer.send(CLOSE, true, &close.payload).await;
        assert!(peer.next().await.is_none(), "the server ends the connection");
        Instant::now()
    };
    let start = Instant::now();
    let (closed, agreed) = tokio::join!(closing, agreeing);
    assert_eq!((closed - start, agreed - start), (Duration::ZERO, Duration::ZERO));
    drop((writer, lines));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_agree_is_waited_for_two_seconds() {
    let (near, _peer) = pair(Role::Client, 4096);
    let start = Instant::now();
    near.closer.close().await;
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_both_halves_closes_normally() {
    for role in [Role::Client, Role::Server] {
        let (near, mut peer) = pair(role, 4096);
        drop(near);
        assert_eq!(peer.close_code().await, Some(1000));
        peer.send(CLOSE, true, &1000_u16.to_be_bytes()).await;
        if role == Role::Server {
            assert!(peer.next().await.is_none());
        }
    }
}

/// What was still being sent is read away: to leave it would reset a TCP connection, and with it
/// the close that says what was wrong.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_message_that_is_too_long_is_read_away() {
    let (mut near, peer) = pair(Role::Server, 1024);
    let (mut from_near, mut to_near) = peer.split();
    let sending = tokio::spawn(async move {
        assert!(to_near.try_send(TEXT, true, &[b'x'; FRAME_MAX + 1]).await, "it was read");
    });
    let end = near.end().await;
    assert!(end.to_string().contains("(1009)"), "{end}");
    drop(near);
    sending.await.unwrap();
    assert_eq!(from_near.close_code().await, Some(1009));
}

/// The writing half belongs to a task, and the reading half writes pongs: neither may take the
/// other's place among those who wait for the connection.
#[tokio::test(start_paused = true)]
async fn a_reader_that_writes_wakes_the_writer_that_waits() {
    const MESSAGES: usize = 500;
    let (near, peer) = pair(Role::Server, 64);
    let (mut from_near, mut to_near) = peer.split();
    let Near { mut lines, writer, closer: _closer } = near;
    let (outbox, queue) = Outbox::new(writer);
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = lines.next().await {} });
    let writing = tokio::spawn(queue.run());
    for number in 0..MESSAGES {
        outbox.send(format!("[{number},\"{}\"]", "x".repeat(1000)).as_bytes()).unwrap();
    }
    let flood = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            to_near.send(PING, true, b"ping").await;
        }
        to_near
    });
    let mut next = 0;
    while next < MESSAGES {
        let frame = timeout(Duration::from_secs(5), from_near.next()).await;
        let frame = frame.expect("nobody is forgotten").unwrap();
        if frame.first == 0x80 | TEXT {
            assert!(frame.text().starts_with(&format!("[{next},")), "{}", frame.text());
            next += 1;
        }
    }
    drop(flood.await.unwrap());
    drop(outbox);
    drop(from_near);
    let _ = writing.await.unwrap();
    reading.await.unwrap();
}

fn request() -> Request {
    Request::read(Message::request("1", "tools/call", "{}")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_runs_over_it_and_says_how_it_was_closed() {
    let (near, far) = duplex(4096);
    let mut peer = Peer::new(far, false);
    let (reader, writer, _) = lines(near, Role::Client, &limits());
    let (connection, _inbox) = Connection::over_streams(reader, writer, &Options::default());
    let answered = connection.call(request(), Timing::default());
    let asked = Message::parse(peer.next().await.unwrap().payload, &limits()).unwrap();
    let answer = Message::result(asked.id().unwrap(), "{}");
    peer.send(TEXT, true, answer.bytes()).await;
    assert_eq!(answered.reply().await.unwrap().result_json(), Some("{}"));

    let lost = connection.call(request(), Timing::default());
    peer.send(CLOSE, true, b"\x03\xe9maintenance").await;
    let error = lost.reply().await.unwrap_err();
    let said = matches!(&error, CallError::Closed { why } if why.contains("1001: \"maintenance\""));
    assert!(said, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_the_rules_is_a_protocol_error() {
    let (near, far) = duplex(4096);
    let mut peer = Peer::new(far, false);
    let (reader, writer, _) = lines(near, Role::Client, &limits());
    let (connection, _inbox) = Connection::over_streams(reader, writer, &Options::default());
    let call = connection.call(request(), Timing::default());
    peer.send(BINARY, true, b"{}").await;
    let error = call.reply().await.unwrap_err();
    assert!(matches!(&error, CallError::Protocol { why } if why.contains("1003")), "{error:?}");
    assert_eq!(peer.close_code().await, Some(1003));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_says_goodbye() {
    let (near, far) = duplex(4096);
    let mut peer = Peer::new(far, false);
    let (reader, writer, closer) = lines(near, Role::Client, &limits());
    drop(closer);
    let (connection, _inbox) = Connection::over_streams(reader, writer, &Options::default());
    connection.close("not needed any more");
    assert_eq!(peer.close_code().await, Some(1000));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    /// Any messages, cut into any fragments, through any pipe, arrive as they are and in order, in
    /// both directions at once.
    #[test]
    fn messages_survive_in_order(
        messages in proptest::collection::vec("[^\r\n]{1,200}", 1..20),
        cuts in proptest::collection::vec(1_usize..50, 1..8),
        room in 1_usize..5000,
        is_server in proptest::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let role = if is_server { Role::Server } else { Role::Client };
            let (near, peer) = pair(role, room);
            let (mut from_near, mut to_near) = peer.split();
            let Near { mut lines, mut writer, closer: _closer } = near;
            let sending = async {
                for message in &messages {
                    to_near.in_fragments(message.as_bytes(), &cuts).await;
                }
            };
            let writing = async {
                for message in &messages {
                    writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
                }
                writer.flush().await.unwrap();
            };
            let reading = async {
                let mut read = Vec::new();
                while read.len() < messages.len() {
                    read.push(from_near.message().await);
                }
                read
            };
            let listening = async {
                let mut heard = Vec::new();
                while heard.len() < messages.iter().filter(|text| !text.trim_ascii().is_empty()).count() {
                    let line = lines.next().await.unwrap().unwrap();
                    heard.push(String::from_utf8(line.to_vec()).unwrap());
                }
                heard
            };
            let all = async { tokio::join!(sending, writing, reading, listening) };
            let all = timeout(Duration::from_secs(5), all).await;
            let ((), (), read, heard) = all.expect("nobody is forgotten");
            assert_eq!(read, messages);
            let kept = messages.iter().map(|text| text.trim_ascii_end());
            let kept: Vec<_> = kept.filter(|text| !text.trim_ascii().is_empty()).collect();
            assert_eq!(heard, kept);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn small_reads_get_all_of_a_message() {
    let (near, far) = duplex(4096);
    let mut peer = Peer::new(far, true);
    let (mut reader, _writer, _closer) = lines(near, Role::Server, &limits());
    peer.send(TEXT, true, b"abcd").await;
    peer.send(TEXT, true, b"ef").await;
    let mut all = Vec::new();
    while all.len() < 8 {
        let mut two = [0; 2];
        let read = reader.read(&mut two).await.unwrap();
        all.extend_from_slice(&two[..read]);
    }
    assert_eq!(all, b"abcd\nef\n");
}
