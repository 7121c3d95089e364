//! Sockets that outlive the manager: passed as systemd does, to one life after the other.

use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{self, Client, Era};
use system_tests::servers::{fleet, fleet_with, misbehave};
use system_tests::wait::{PATIENCE, pause, see};

use super::LEGACY;

fn two() -> Value {
    fleet([("a", misbehave(&[])), ("b", misbehave(&[]))])
}

/// A socket that children inherit.
fn socket() -> TcpListener {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
    socket
}

/// A manager with these sockets, one for clients and one for operators.
fn life(dir: &Path, sockets: [&TcpListener; 2], notify: &Path) -> Running {
    let [clients, operators] = sockets.map(std::os::fd::AsRawFd::as_raw_fd);
    let script = format!(
        "export LISTEN_FDS=2 LISTEN_PID=$$; exec 13<&{clients} 14<&{operators} 3<&13 4<&14 13<&- 14<&-; exec \"$0\" up mcp.json"
    );
    let mut command = Command::new("/bin/bash");
    command.args(["-c", &script]).arg(peers::own("mcp-manager")).current_dir(dir);
    command.env("HOME", dir).env("NOTIFY_SOCKET", notify).env_remove("MCP_MANAGER_LOG");
    Running::start(command)
}

/// Takes what managers tell whoever has started them.
struct Notified {
    socket: std::os::unix::net::UnixDatagram,
}

impl Notified {
    fn at(path: &Path) -> Self {
        let socket = std::os::unix::net::UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    fn hear(&self, what: &str) {
        let mut said = [0; 64];
        let length = self.socket.recv(&mut said).unwrap();
        assert_eq!(&said[..length], what.as_bytes());
    }
}

fn set_up(config: &Value) -> (tempfile::TempDir, [TcpListener; 2], Notified) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mcp.json"), config.to_string()).unwrap();
    let notified = Notified::at(&dir.path().join("notify"));
    (dir, [socket(), socket()], notified)
}

#[test]
fn fault_40_no_call_fails_while_one_life_follows_the_other() {
    let (dir, sockets, notified) = set_up(&two());
    let [clients, operators] = &sockets;
    let url = format!("http://{}/mcp", clients.local_addr().unwrap());
    let notify = dir.path().join("notify");
    let start = || {
        let running = life(dir.path(), [clients, operators], &notify);
        notified.hear("READY=1");
        running
    };
    let first = start();
    let (over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let load: Vec<_> = (0..8)
            .map(|caller| {
                let (url, over, calls) = (&url, &over, &calls);
                scope.spawn(move || {
                    let client = Client::connect(url, Era::Modern).unwrap();
                    let mut failed = Vec::new();
                    while !over.load(Ordering::SeqCst) {
                        let answer = match caller % 4 {
                            0 => client.call("a__slow", r#"{"ms":200}"#),
                            _ => client.call("a__echo", r#"{"message":"hi"}"#),
                        };
                        calls.fetch_add(1, Ordering::SeqCst);
                        match answer {
                            Ok(answer) if answer.result().contains("text") => {}
                            other => failed.push(format!("{other:?}")),
                        }
                    }
                    failed
                })
            })
            .collect();
        let more = |count: usize| {
            let before = calls.load(Ordering::SeqCst);
            see(PATIENCE, || calls.load(Ordering::SeqCst), |now| *now >= before + count);
        };
        more(50);
        let mut old = first;
        for _ in 0..3 {
            let new = start();
            more(20);
            old.signal(Signal::TERM);
            notified.hear("STOPPING=1");
            let ended = old.wait(PATIENCE);
            assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", old.stderr());
            more(50);
            old = new;
        }
        over.store(true, Ordering::SeqCst);
        for caller in load {
            assert_eq!(caller.join().unwrap(), Vec::<String>::new(), "of {calls:?}");
        }
        old.stop();
    });
}

/// Whoever connects while there is no manager at all waits for the next one.
#[test]
fn fault_40_a_socket_that_is_kept_keeps_its_clients() {
    let (dir, sockets, notified) = set_up(&two());
    let [clients, operators] = &sockets;
    let url = format!("http://{}/mcp", clients.local_addr().unwrap());
    let notify = dir.path().join("notify");
    std::thread::scope(|scope| {
        let early = scope.spawn(|| {
            let client = Client::connect(&url, Era::Modern).unwrap();
            client.call("a__echo", r#"{"message":"early"}"#).unwrap()
        });
        pause(Duration::from_millis(300));
        let running = life(dir.path(), [clients, operators], &notify);
        notified.hear("READY=1");
        let answer = early.join().unwrap();
        assert!(answer.result().contains("Echo: early"), "{answer:?}");
        // The sockets are ours and the manager's: no server has them.
        let status = raw::get(&format!("http://{}/status", operators.local_addr().unwrap()), &[]);
        let status: Value = serde_json::from_str(&status.unwrap().text().unwrap()).unwrap();
        let own = fs::read_link(format!("/proc/self/fd/{}", clients.as_raw_fd())).unwrap();
        for pid in status["servers"][0]["pids"].as_array().unwrap() {
            let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            assert!(files.filter_map(|file| fs::read_link(file.path()).ok()).all(|to| to != own));
        }
        running.stop();
    });
}

/// With a state directory the second life waits for the first to let go of it, and goes on with its
/// sessions.
#[test]
fn fault_40_sessions_that_are_stored_are_taken_over() {
    let store = tempfile::tempdir().unwrap();
    let config = fleet_with(
        json!({ "stateDir": store.path().join("state") }),
        [("a", misbehave(&[])), ("b", misbehave(&[]))],
    );
    let (dir, sockets, notified) = set_up(&config);
    let [clients, operators] = &sockets;
    let url = format!("http://{}/mcp", clients.local_addr().unwrap());
    let notify = dir.path().join("notify");
    let first = life(dir.path(), [clients, operators], &notify);
    notified.hear("READY=1");
    let client = Client::connect(&url, LEGACY).unwrap();
    let second = life(dir.path(), [clients, operators], &notify);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            for count in 0..20 {
                let answer = client.call("a__slow", r#"{"ms":100}"#).unwrap();
                assert!(answer.result().contains("Slept"), "call {count}: {answer:?}");
            }
        });
        pause(Duration::from_millis(500));
        first.signal(Signal::TERM);
        notified.hear("STOPPING=1");
        notified.hear("READY=1");
        load.join().unwrap();
    });
    assert_eq!(first.wait(PATIENCE).and_then(|status| status.code()), Some(0));
    second.stop();
}
