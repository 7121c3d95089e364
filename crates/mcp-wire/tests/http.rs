//! The HTTP client against a server that the test plays byte by byte.

#![cfg(feature = "http")]

#[path = "http/server.rs"]
mod server;

use mcp_wire::http::{Endpoint, EndpointError};
use mcp_wire::{CallError, Connection, Event, Message, Options, ParseError};
use tokio::net::TcpListener;

use self::server::{ACCEPTED, Link, STREAM, Server, call, legacy, modern, outcome, soon};

#[tokio::test]
async fn calls_are_posts_that_share_one_connection() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let first = call(&connection, legacy("\"a\""));
    let (answer, mut link) = soon(async {
        tokio::join!(first.reply(), async {
            let mut link = server.accept().await;
            let got = link.answer(r#"{"a": 1.0}"#).await;
            assert_eq!(got.line, "POST /mcp?a=b HTTP/1.1");
            assert_eq!(got.header("accept"), Some("application/json, text/event-stream"));
            assert_eq!(got.header("content-type"), Some("application/json"));
            assert!(server.url().contains(got.header("host").expect("a host")));
            let expected = r#"{"name":"x","_meta":{"progressToken":1}}"#;
            assert_eq!((got.message().id(), got.message().params()), (Some("1"), Some(expected)));
            link
        })
    })
    .await;
    assert_eq!(answer.expect("an answer").result_json(), Some(r#"{"a": 1.0}"#));
    for n in 2..5 {
        let serve = async { drop(link.answer(&n.to_string()).await) };
        let answer = outcome(call(&connection, legacy("\"a\"")), serve).await.expect("an answer");
        assert_eq!(answer.result_json(), Some(&*n.to_string()));
    }
    let stats = connection.stats();
    assert_eq!((stats.received, stats.in_flight, stats.stray), (4, 0, 0));
}

#[tokio::test]
async fn a_stream_is_heard_to_its_answer_however_it_is_cut() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let stream = concat!(
        ": hello\n\nid: 0\ndata:\n\n",
        "event: ping\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"not this\"}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",",
        "\"params\":{\"progressToken\":1,\"progress\":1}}\n\n",
        "data: noise\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",",
        "\"params\":{\"progressToken\":\"1\",\"progress\":9}}\r\n\r\n",
        "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"id\":7,\"method\":\"roots/list\"}\r\n\r\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":\"somebody else's\"}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":\"nobody's\"}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"Gr\u{fc}\u{df}e\"}\n\n",
    );
    let mut exchange = call(&connection, legacy("\"a\""));
    let serve = async {
        let mut link = server.accept().await;
        link.next().await;
        link.begin_stream().await;
        for byte in stream.as_bytes() {
            // One byte of the text a chunk, also inside of its characters.
            let chunk = [b"1\r\n", &[*byte][..], b"\r\n"].concat();
            link.write_bytes(&chunk).await;
            tokio::task::yield_now().await;
        }
        link
    };
    let hear = async {
        let mut heard = Vec::new();
        loop {
            match exchange.next().await.expect("no failure") {
                Event::Message(message) => heard.push(message.as_str().to_owned()),
                Event::Reply(message) => break (heard, message),
            }
        }
    };
    let ((heard, reply), _link) = soon(async { tokio::join!(hear, serve) }).await;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}"#;
    assert_eq!(heard, [progress, r#"{"jsonrpc":"2.0", "id":7,"method":"roots/list"}"#]);
    assert_eq!(reply.result_json(), Some("\"Grüße\""));
    let stats = connection.stats();
    assert_eq!((stats.received, stats.malformed, stats.stray), (6, 1, 3));
}

#[tokio::test]
async fn a_stream_that_ends_with_its_answer_leaves_its_connection_for_the_next_call() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let mut link = None::<Link>;
    for n in 1..5 {
        let answer = Message::result(&n.to_string(), "{}");
        let serve = async {
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(server.accept().await),
            };
            link.next().await;
            let event = format!("data: {}\n\n", answer.as_str());
            let end = if n < 4 { "0\r\n\r\n" } else { "" };
            link.write(&format!("{STREAM}{:x}\r\n{event}\r\n{end}", event.len())).await;
        };
        let reply = outcome(call(&connection, legacy("1")), serve).await;
        assert_eq!(reply.expect("an answer").as_str(), answer.as_str());
        // Nothing is missing any more: it is for our own tasks to see the end.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    // The last one goes on after its answer, which nobody reads for long.
    tokio::time::pause();
    assert!(link.expect("accepted").try_next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    for end in ["0\r\n\r\n", "", "garbage"] {
        let serve = async {
            let mut link = server.accept().await;
            link.next().await;
            link.begin_stream().await;
            link.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n").await;
            link.write(end).await;
        };
        let error = outcome(call(&connection, legacy("1")), serve).await.expect_err("no answer");
        assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
        assert!(!error.is_unsent());
    }
}

#[tokio::test]
async fn what_needs_no_reply_is_accepted_or_refused() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let note = Message::notification("notifications/x", "{}");
    let serve = async {
        let mut link = server.accept().await;
        assert_eq!(link.next().await.body, note.as_str());
        link.write(ACCEPTED).await;
        assert_eq!(link.next().await.body, note.as_str());
        link.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n").await;
    };
    let send = async {
        let first = connection.send(note.bytes().clone()).await;
        (first, connection.send(note.bytes().clone()).await)
    };
    let (sent, ()) = soon(async { tokio::join!(send, serve) }).await;
    let refused = CallError::Status { status: 403, body: "no!\n".to_owned(), retry_after: None };
    assert_eq!(sent, (Ok(()), Err(refused)));
}

#[tokio::test]
async fn a_stateless_request_repeats_itself_in_headers() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let mut link = None::<Link>;
    for (name, header) in
        [("echo", "echo"), ("Grüße", "=?base64?R3LDvMOfZQ==?="), (" x", "=?base64?IHg=?=")]
    {
        let mut request = modern(name);
        let region = ("Mcp-Param-Region".into(), "eu\nwest".to_owned());
        request.set_headers(vec![region, ("Mcp-Param-N".into(), "7".to_owned())]);
        let serve = async {
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(server.accept().await),
            };
            let got = link.answer("{}").await;
            assert_eq!(got.header("mcp-method"), Some("tools/call"));
            assert_eq!(got.header("mcp-name"), Some(header));
            assert_eq!(got.header("mcp-protocol-version"), Some("2026-07-28"));
            assert_eq!(got.header("mcp-param-region"), Some("=?base64?ZXUKd2VzdA==?="));
            assert_eq!(got.header("mcp-param-n"), Some("7"));
            assert_eq!(got.header("mcp-session-id"), None);
        };
        outcome(call(&connection, request), serve).await.expect("an answer");
    }
}

#[tokio::test]
async fn configured_headers_are_sent_and_change_nothing_of_the_protocols() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[
        ("Authorization", "Bearer secret"),
        ("X-Two", "a"),
        ("X-Two", "b"),
        ("Host", "elsewhere"),
        ("Accept", "text/html"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Mcp-Session-Id", "theirs"),
        ("MCP-Protocol-Version", "1999-01-01"),
        ("Mcp-Method", "theirs"),
        ("Mcp-Name", "theirs"),
        ("Mcp-Param-A", "theirs"),
    ]);
    let mut link = None::<Link>;
    for (request, version) in [(modern("x"), Some("2026-07-28")), (legacy("1"), None)] {
        let serve = async {
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(server.accept().await),
            };
            let got = link.answer("{}").await;
            assert_eq!(got.header("authorization"), Some("Bearer secret"));
            assert_eq!(got.all("x-two"), ["a", "b"]);
            assert_ne!(got.header("host"), Some("elsewhere"));
            assert_eq!(got.header("accept"), Some("application/json, text/event-stream"));
            assert_eq!(got.header("content-type"), Some("application/json"));
            assert_eq!(got.header("mcp-protocol-version"), version);
            assert_eq!(got.header("mcp-method"), version.map(|_| "tools/call"));
            for absent in ["mcp-session-id", "mcp-param-a", "transfer-encoding", "connection"] {
                assert_eq!(got.header(absent), None, "{absent}");
            }
        };
        outcome(call(&connection, request), serve).await.expect("an answer");
    }
    assert!(!format!("{connection:?}").contains("secret"));
}

#[test]
fn an_endpoint_that_cannot_be_called_is_refused() {
    for url in ["", "nonsense", "/mcp", "ftp://x/", "http://", "http://user:word@x/", "http:///a"] {
        let error = Endpoint::new(url, []).expect_err(url);
        assert_eq!(error, EndpointError::Url { url: url.to_owned() });
    }
    for (name, value) in [("a b", "x"), ("", "x"), ("x", "secret\n")] {
        let error = Endpoint::new("http://[::1]:80", [(name, value)]).expect_err(name);
        assert_eq!(error, EndpointError::Header { name: name.to_owned() });
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error_before_anything_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let endpoint = Endpoint::new(&url, []).expect("legal");
    let (connection, _inbox) = Connection::over_http(endpoint, &Options::default());
    let error = soon(call(&connection, legacy("1")).reply()).await.expect_err("refused");
    assert!(matches!(error, CallError::Connect { .. }) && error.is_unsent(), "{error:?}");
    assert_eq!(connection.stats().in_flight, 0);
    assert!(!connection.is_ended());
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_is_called_on_new_ones() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    for _ in 0..3 {
        let serve = async { drop(server.accept().await.answer("{}").await) };
        outcome(call(&connection, legacy("1")), serve).await.expect("an answer");
    }
}

#[tokio::test]
async fn what_the_server_answers_is_passed_on_or_named() {
    let server = Server::start().await;
    let (connection, _inbox) = server.client(&[]);
    let error = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32022}}}}"#);
    let status = |status, body: &str| {
        Err(CallError::Status { status, body: body.to_owned(), retry_after: None })
    };
    let protocol =
        Err(CallError::Protocol { why: "the body is not the answer to this request".to_owned() });
    let result = |id: &str| Message::result(id, "{}").as_str().to_owned();
    let long = "x".repeat(300);
    let table = [
        ("400 Bad Request", error("1"), Ok(error("1"))),
        ("404 Not Found", error("\"mine\""), protocol.clone()),
        ("400 Bad Request", error("null"), Ok(error("null"))),
        ("200 OK", error("null"), Ok(error("null"))),
        ("400 Bad Request", result("1"), status(400, &result("1"))),
        ("503 Service Unavailable", long.clone(), status(503, &long[..200])),
        ("429 Too Many Requests", String::new(), status(429, "")),
        ("302 Found", String::new(), status(302, "")),
        ("200 OK", result("\"1\""), protocol.clone()),
        ("200 OK", result("2"), protocol.clone()),
        ("200 OK", r#"{"jsonrpc":"2.0","method":"x"}"#.to_owned(), protocol),
        ("200 OK", "[]".to_owned(), Err(CallError::Unreadable(ParseError::Batch))),
        (
            "200 OK",
            format!("\"{}\"", "x".repeat(10_000)),
            Err(CallError::Unreadable(ParseError::TooLarge { limit: 10_000 })),
        ),
    ];
    for (status, body, expected) in table {
        let (connection, _inbox) = server.client(&[]);
        let serve = async {
            let mut link = server.accept().await;
            link.next().await;
            link.json(status, &body).await;
        };
        let got = outcome(call(&connection, modern("x")), serve).await;
        assert_eq!(got.map(|reply| reply.as_str().to_owned()), expected, "{status} {body}");
    }
    assert_eq!(connection.stats().received, 0);
}
