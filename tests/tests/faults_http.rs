//! Faults of the clients at the HTTP face: who may not talk to us, what is too much, what does not
//! fit together, and what is not there. None of it reaches a server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::census::{descendants, peak_mib};
use system_tests::gateway::Gateway;
use system_tests::raw::{self, Client, Era, MODERN, Reply};
use system_tests::servers::{fleet_with, logging, misbehave};
use system_tests::wait::{PATIENCE, pause, see};
use tempfile::TempDir;

const LEGACY: Era = Era::Legacy("2025-11-25");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const ACCEPT: (&str, &str) = ("Accept", "application/json, text/event-stream");

type Headers<'h> = &'h [(&'h str, &'h str)];

/// A gateway in front of a server that writes down whatever reaches it.
struct Watched {
    gateway: Gateway,
    client: Client,
    log: PathBuf,
    before: String,
    _dir: TempDir,
}

impl Watched {
    fn start(manager: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let servers = [("bad", logging(&log, &[])), ("fine", misbehave(&[]))];
        let gateway = Gateway::settled(&fleet_with(manager, servers));
        let client = Client::connect(gateway.url(), LEGACY).unwrap();
        let answer = client.call("bad__echo", r#"{"message":"before"}"#).unwrap();
        assert!(answer.result().contains("before"), "{answer:?}");
        // What the manager asks for itself, such as lists, is asked by now.
        gateway.server_in("bad", "ready");
        let read = || std::fs::read_to_string(&log).unwrap();
        let before = see(PATIENCE, read, |log| log.matches("tools/list").count() == 1);
        Self { gateway, client, log, before, _dir: dir }
    }

    fn url(&self) -> &str {
        self.gateway.url()
    }

    /// The legacy session of `client`.
    fn session(&self) -> (&str, &str) {
        ("Mcp-Session-Id", self.client.session().unwrap())
    }

    /// Sends a call of the logging server with these headers.
    fn post(&self, headers: &[(&str, &str)]) -> Reply {
        let headers = [&[JSON, ACCEPT], headers].concat();
        self.send("POST", self.url(), &headers, CALL)
    }

    fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        raw::exchange(url, &raw::request(method, url, headers, body.as_bytes())).unwrap()
    }

    fn assert_untouched(&self) {
        let log = std::fs::read_to_string(&self.log).unwrap();
        assert_eq!(log, self.before, "something reached the server");
        let answer = self.client.call("bad__echo", r#"{"message":"after"}"#).unwrap();
        assert!(answer.result().contains("after"), "{answer:?}");
    }
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bad__echo","arguments":{"message":"x"}}}"#;

/// A stateless call that says this version of itself.
fn modern(version: &str) -> String {
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    );
    CALL.replace(r#""params":{"#, &format!(r#""params":{{{meta},"#))
}

fn error_code(reply: Reply) -> (u16, Value) {
    let status = reply.status;
    let text = reply.text().unwrap();
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    (status, value["error"]["code"].clone())
}

#[test]
fn fault_31_only_who_calls_us_by_name_may_talk_to_us() {
    let watched = Watched::start(json!({}));
    let session = watched.session();
    let own = watched.url()["http://".len()..].trim_end_matches("/mcp").to_owned();
    let refused: &[&[(&str, &str)]] = &[
        &[("Host", "evil.example")],
        &[("Host", "localhost.evil.example")],
        &[("Host", "")],
        &[("Host", &own), ("Host", &own)],
        &[("Host", &own), ("Host", "evil.example")],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "http://localhost.evil.example")],
        &[("Origin", "http://localhost"), ("Origin", "http://localhost")],
        &[("Origin", "http://localhost"), ("Origin", "http://evil.example")],
    ];
    for headers in refused {
        let reply = watched.post(&[headers, &[session][..]].concat());
        assert_eq!(reply.status, 403, "{headers:?}");
        let admin = format!("{}/status", watched.gateway.admin());
        // The admin port has another address, so `own` is a stranger's name only by its port.
        if headers.iter().all(|(_, value)| *value != own) {
            let reply = watched.send("GET", &admin, headers, "");
            assert_eq!(reply.status, 403, "admin: {headers:?}");
        }
    }
    let none = format!("POST /mcp HTTP/1.1\r\nContent-Length: {}\r\n\r\n{CALL}", CALL.len());
    assert_eq!(raw::exchange(watched.url(), none.as_bytes()).unwrap().status, 403);
    watched.assert_untouched();
    for origin in ["http://localhost:3000", "http://127.0.0.1"] {
        assert_eq!(watched.post(&[("Origin", origin), session]).status, 200, "{origin}");
    }
}

#[test]
fn fault_31_headers_and_body_must_say_the_same() {
    let watched = Watched::start(json!({}));
    let version = ("MCP-Protocol-Version", MODERN);
    let (method, name) = (("Mcp-Method", "tools/call"), ("Mcp-Name", "bad__echo"));
    let legacy = ("MCP-Protocol-Version", "2025-11-25");
    let cases: &[(Headers<'_>, &str, i64)] = &[
        (&[method, name], MODERN, -32020),
        (&[legacy, method, name], MODERN, -32020),
        (&[version, version, method, name], MODERN, -32020),
        (&[version, name], MODERN, -32020),
        (&[version, ("Mcp-Method", "tools/list"), name], MODERN, -32020),
        (&[version, ("Mcp-Method", "Tools/Call"), name], MODERN, -32020),
        (&[version, method, method, name], MODERN, -32020),
        (&[version, method], MODERN, -32020),
        (&[version, method, ("Mcp-Name", "fine__echo")], MODERN, -32020),
        (&[version, method, ("Mcp-Name", "=?base64?!?=")], MODERN, -32020),
        (&[("MCP-Protocol-Version", "2027-01-01"), method, name], "2027-01-01", -32022),
        (&[("MCP-Protocol-Version", "1999-01-01"), method, name], "1999-01-01", -32022),
    ];
    for (headers, body, expected) in cases {
        let headers = [&[JSON, ACCEPT], *headers].concat();
        let reply = watched.send("POST", watched.url(), &headers, &modern(body));
        assert_eq!(error_code(reply), (400, json!(expected)), "{headers:?} {body}");
    }
    // Without a word in the body the header alone is not enough, nor is it with half of one.
    let headers = [JSON, ACCEPT, version, method, name];
    let reply = watched.send("POST", watched.url(), &headers, CALL);
    assert_eq!(error_code(reply), (400, json!(-32602)));
    let half = modern(MODERN).replace("clientCapabilities", "clientInfo");
    let reply = watched.send("POST", watched.url(), &headers, &half);
    assert_eq!(error_code(reply), (400, json!(-32602)));
    watched.assert_untouched();
}

#[test]
fn fault_31_what_no_client_sends_is_refused() {
    let watched = Watched::start(json!({}));
    let session = watched.session();
    let version = ("MCP-Protocol-Version", MODERN);
    let status = |method: &str, headers: &[(&str, &str)], body: &str| {
        watched.send(method, watched.url(), headers, body).status
    };
    for (headers, body) in [(&[session][..], format!("[{CALL}]")), (&[session], "[]".to_owned())] {
        let headers = [&[JSON, ACCEPT], headers].concat();
        let reply = watched.send("POST", watched.url(), &headers, &body);
        assert_eq!(error_code(reply), (400, json!(-32600)), "{body}");
    }
    let batch = format!("[{}]", modern(MODERN));
    let (method, name) = (("Mcp-Method", "tools/call"), ("Mcp-Name", "bad__echo"));
    assert_eq!(status("POST", &[JSON, ACCEPT, version, method, name], &batch), 400);
    // The stateless era has no stream and no session to end.
    for method in ["GET", "DELETE"] {
        assert_eq!(status(method, &[ACCEPT, version], ""), 405, "{method}");
        assert_eq!(status(method, &[ACCEPT, version, session], ""), 405, "{method}");
        assert_eq!(status(method, &[ACCEPT], ""), 400, "{method} without a session");
        let unknown = ("Mcp-Session-Id", "0123456789abcdef0123456789abcdef");
        assert_eq!(status(method, &[ACCEPT, unknown], ""), 404, "{method}");
    }
    for method in ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"] {
        assert_eq!(status(method, &[ACCEPT, session], ""), 405, "{method}");
    }
    assert_eq!(status("GET", &[("Accept", "text/html"), session], ""), 406);
    assert_eq!(status("POST", &[ACCEPT, session], CALL), 415);
    assert_eq!(status("POST", &[("Content-Type", "text/plain"), ACCEPT, session], CALL), 415);
    assert_eq!(status("POST", &[JSON, ACCEPT], CALL), 400, "without a session");
    assert_eq!(status("POST", &[JSON, ACCEPT, session, session], CALL), 400);
    assert_eq!(
        status("POST", &[JSON, ACCEPT, session, ("MCP-Protocol-Version", "1.0")], CALL),
        400
    );
    watched.assert_untouched();
}

#[test]
fn fault_29_what_is_too_large_is_refused_unread() {
    const LIMIT: usize = 64 << 10;
    let watched = Watched::start(json!({ "maxFrameBytes": "64KiB" }));
    let session = watched.session();
    let too_long = CALL.replace('x', &"x".repeat(LIMIT));
    let headers = [JSON, ACCEPT, session];
    assert_eq!(watched.send("POST", watched.url(), &headers, &too_long).status, 413);
    // What is announced need not be waited for.
    let head = |length: &str| {
        let request = raw::request("POST", watched.url(), &headers, b"");
        String::from_utf8(request).unwrap().replace("Content-Length: 0", length)
    };
    let huge = head("Content-Length: 99999999999");
    assert_eq!(raw::exchange(watched.url(), huge.as_bytes()).unwrap().status, 413);
    let chunk = format!("{:x}\r\n{too_long}\r\n0\r\n\r\n", too_long.len());
    let chunked = head("Transfer-Encoding: chunked") + &chunk;
    assert_eq!(raw::exchange(watched.url(), chunked.as_bytes()).unwrap().status, 413);
    // Two lengths, or a length and chunks, are how requests are smuggled past a proxy.
    for lengths in ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1"] {
        assert_eq!(raw::exchange(watched.url(), head(lengths).as_bytes()).unwrap().status, 400);
    }

    // A head is refused by what is buffered of it, which may be a little more than the limit.
    let long = "x".repeat(4 * LIMIT);
    for headers in [vec![("X-Long", long.as_str())], vec![("X-Many", "x"); 2000]] {
        let reply = watched.post(&headers);
        assert_eq!(reply.status, 431, "{} headers", headers.len());
    }
    let url = format!("{}/{long}", watched.url());
    assert!(matches!(raw::post(&url, &[session], CALL).unwrap().status, 414 | 431));
    watched.assert_untouched();
    let peak = peak_mib(watched.gateway.process().pid());
    assert!(peak < 128, "{peak} MiB");
}

#[test]
fn fault_32_what_does_not_exist_is_never_all_servers() {
    let watched = Watched::start(json!({}));
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;
    let root = watched.url().trim_end_matches("/mcp");
    let paths = [
        "/mcp/nobody",
        "/mcp/",
        "/mcp//",
        "/mcp//bad",
        "/mcp/bad/",
        "/mcp/bad/fine",
        "/mcp/Bad",
        "/mcp/bad%00",
        "/mcp/%20bad",
        "/mcp/bad%20",
        "/mcp/..",
        "/mcp/.",
        "/mcp/%2e%2e",
        "/mcp/..%2f",
        "/mcp/..%2fbad",
        "/mcp/%2e%2e%2fmcp",
        "/mcp/bad%2f..",
        "/mcp/*",
        "/mcp/%2a",
        "/mcp/%",
        "/mcp/%zz",
        "/mcp/%ff",
        "/mcp/b%D0%B0d",
        "/mcp/null",
        "/mcp/undefined",
        "/mcp/__proto__",
        "/mcp/bad,fine",
        "/mcp/bad;x",
        "/mcpbad",
        "/mcp.",
        "/Mcp",
        "/",
        "/status",
        "//mcp",
    ];
    for path in paths {
        let url = format!("{root}{path}");
        let reply = raw::post(&url, &[], initialize).unwrap();
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.header("mcp-session-id"), None, "{path}");
        assert!(!reply.text().unwrap().contains("serverInfo"), "{path}");
    }
    // A query is not part of the name.
    let reply = raw::post(&format!("{root}/mcp/bad?x=/.."), &[], initialize).unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.text().unwrap().contains(r#""name":"misbehave""#));

    let huge = "x".repeat(10 << 20);
    let names = [
        "",
        "echo",
        "__echo",
        "bad__",
        "bad",
        "bad_echo",
        "Bad__echo",
        "nobody__echo",
        "../bad__echo",
        "b\u{430}d__echo",
        "bad\0__echo",
        " bad__echo",
        "*__echo",
        "__proto__",
        &huge,
    ];
    for era in [LEGACY, Era::Modern] {
        let client = Client::connect(watched.url(), era).unwrap();
        for name in names.iter().filter(|name| era == LEGACY || name.len() < 100) {
            // Such a name cannot be repeated in a header.
            if era == Era::Modern && !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                continue;
            }
            let start: String = name.chars().take(20).collect();
            let answer = client.call(name, "{}").unwrap();
            let code = answer.value()["error"]["code"].clone();
            // A tool that only its server can know not to have is asked for there.
            let known = *name == "bad__";
            assert!(code == -32602 || known, "{era:?} {start:?}: {answer:?}");
            assert!(answer.message.len() < 10_000, "{start:?} came back whole");
        }
    }
    let log = std::fs::read_to_string(&watched.log).unwrap();
    assert!(!log.contains("nobody") && !log.contains("xxxx"), "{log}");
}

#[test]
fn a_session_ends_once() {
    let watched = Watched::start(json!({}));
    let client = Client::connect(watched.url(), LEGACY).unwrap();
    let mut stream = client.listen().unwrap();
    assert_eq!(stream.status, 200);
    assert_eq!(client.delete().unwrap().status, 200);
    // Its own stream ends with it.
    while stream.event().unwrap().is_some() {}
    assert_eq!(client.delete().unwrap().status, 404);
    assert_eq!(client.listen().unwrap().status, 404);
    let answer = client.call("bad__echo", "{}").unwrap();
    assert_eq!((answer.status, answer.value()["error"]["code"].clone()), (404, json!(-32001)));
    watched.assert_untouched();
}

#[test]
fn sessions_are_bounded_in_number() {
    let watched = Watched::start(json!({ "maxSessions": 3 }));
    let second = Client::connect(watched.url(), LEGACY).unwrap();
    let _third = Client::connect(watched.url(), LEGACY).unwrap();
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;
    let refused = raw::post(watched.url(), &[], initialize).unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().unwrap().contains("MAX_SESSIONS_REACHED"));
    // Who needs no session is not concerned, and a place that is given up is free.
    let stateless = Client::connect(watched.url(), Era::Modern).unwrap();
    assert!(stateless.call("fine__echo", r#"{"message":"hi"}"#).unwrap().error().is_empty());
    assert_eq!(second.delete().unwrap().status, 200);
    assert!(Client::connect(watched.url(), LEGACY).is_ok());
    assert_eq!(watched.gateway.status()["sessions"], 3);
    watched.assert_untouched();
}

#[test]
fn a_session_that_nobody_uses_ends_with_its_processes() {
    let servers = [("one", misbehave(&[])), ("two", misbehave(&[]))];
    let gateway = Gateway::settled(&fleet_with(json!({ "sessionIdle": "1s" }), servers));
    let pid = gateway.process().pid();
    let before = descendants(pid).len();
    let used = Client::connect(gateway.url(), LEGACY).unwrap();
    let _stream = used.listen().unwrap();
    let idle = Client::connect(gateway.url(), LEGACY).unwrap();
    for client in [&used, &idle] {
        for server in ["one", "two"] {
            let answer = client.call(&format!("{server}__echo"), r#"{"message":"hi"}"#).unwrap();
            assert!(answer.error().is_empty(), "{answer:?}");
        }
    }
    // The one that listens uses its session; the other one's is over after a second.
    see(PATIENCE, || gateway.status()["sessions"].clone(), |sessions| *sessions == 1);
    pause(Duration::from_secs(2));
    assert!(used.call("one__echo", r#"{"message":"hi"}"#).unwrap().error().is_empty());
    assert_eq!(idle.call("one__echo", r#"{"message":"hi"}"#).unwrap().status, 404);
    drop(_stream);
    see(PATIENCE, || gateway.status()["sessions"].clone(), |sessions| *sessions == 0);
    see(PATIENCE, || descendants(pid).len(), |count| *count == before);
}
