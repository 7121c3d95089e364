//! Sessions that clients open and never end (30,000 of them): memory, processes and files come back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use system_tests::census::{descendants, resident_mib};
use system_tests::gateway::Gateway;
use system_tests::raw::{self, Client, Era};
use system_tests::servers::{fleet_with, misbehave};
use system_tests::wait::{PATIENCE, see};

const SESSIONS: usize = 30_000;
/// Beside them, sessions for which a server gets a process each.
const WITH_A_PROCESS: usize = 200;
const CONNECTIONS: usize = 8;
/// What an allocator may hold back of the peak, and what is read once and kept: less than half a
/// kibibyte for each session.
const MARGIN_MIB: u64 = 12;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"leaks","version":"1"}}}"#;

/// A connection that is used again and again.
struct KeptAlive {
    url: String,
    stream: BufReader<TcpStream>,
}

impl KeptAlive {
    fn to(url: &str) -> Self {
        let authority = url["http://".len()..].split('/').next().unwrap();
        let stream = TcpStream::connect(authority).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { url: url.to_owned(), stream: BufReader::new(stream) }
    }

    /// Opens a session.
    fn initialize(&mut self) -> String {
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        let request = raw::request("POST", &self.url, &headers, INITIALIZE.as_bytes());
        self.stream.get_mut().write_all(&request).unwrap();
        let (mut length, mut session) = (0, String::new());
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if let Some(value) = line.strip_prefix("mcp-session-id: ") {
                session = value.to_owned();
            } else if line.is_empty() {
                break;
            }
        }
        self.stream.read_exact(&mut vec![0; length]).unwrap();
        assert!(!session.is_empty(), "no session was opened");
        session
    }
}

/// Opens sessions until so many were opened in all; every hundredth one also listens for a moment.
fn open(url: &str, opened: &AtomicUsize, wanted: usize) {
    let mut connection = KeptAlive::to(url);
    while opened.load(Ordering::Relaxed) < wanted {
        let session = connection.initialize();
        if opened.fetch_add(1, Ordering::Relaxed).is_multiple_of(100) {
            let listening = raw::get(url, &[("Mcp-Session-Id", &session)]).unwrap();
            assert_eq!(listening.status, 200);
        }
    }
}

fn open_many(url: &str, wanted: usize) {
    let opened = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| open(url, &opened, wanted));
        }
    });
}

fn use_a_process(url: &str) {
    let client = Client::connect(url, Era::Legacy("2025-11-25")).unwrap();
    let answer = client.call("one__echo", r#"{"message":"hi"}"#).unwrap();
    assert!(answer.error().is_empty(), "{answer:?}");
}

fn files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn sessions_that_nobody_ends_leave_nothing() {
    let manager = json!({ "sessionIdle": "1s", "maxSessions": SESSIONS + WITH_A_PROCESS });
    let servers = [("one", misbehave(&[])), ("two", misbehave(&[]))];
    let gateway = Gateway::settled(&fleet_with(manager, servers));
    let (url, pid) = (gateway.url(), gateway.process().pid());
    let none_left = || {
        see(PATIENCE, || gateway.status()["sessions"].clone(), |sessions| *sessions == 0);
    };
    // The first ones warm everything up.
    open_many(url, 1_000);
    use_a_process(url);
    none_left();
    let processes = see(PATIENCE, || descendants(pid).len(), |count| *count <= 4);
    let (memory, open_files) = (resident_mib(pid), files(pid));

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..WITH_A_PROCESS / 4).for_each(|_| use_a_process(url)));
        }
        scope.spawn(|| open_many(url, SESSIONS));
    });
    none_left();
    see(PATIENCE, || descendants(pid).len(), |count| *count <= processes);
    see(PATIENCE, || resident_mib(pid), |now| *now <= memory + MARGIN_MIB);
    see(PATIENCE, || files(pid), |now| *now <= open_files + CONNECTIONS);
    // And the next client is as welcome as the first.
    use_a_process(url);
}
