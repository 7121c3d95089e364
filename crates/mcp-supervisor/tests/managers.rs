//! A supervisor is killed, a hundred times, at any moment of its life. Nothing is left.
//!
//! It is this file again, as a process of its own that runs only [`supervisor`]. This process makes
//! itself the reaper of all: whatever outlives its own parents becomes its child, so that "nothing
//! is left" is what the kernel says of its children. Alone in its process for that.
#![cfg(all(feature = "tokio", feature = "shim", target_os = "linux"))]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Mark, PATIENCE, descriptors};
use mcp_supervisor::{Ledger, Policy, Process, Program, supervise};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};
use tokio::time::{self, Instant};

/// Holds the mark and the directory of the ledger for [`supervisor`].
const ROLE: &str = "SUPERVISES_UNTIL_KILLED";

const AT_ONCE: u64 = 4;
const KILLS: u64 = 100;

/// A shell around a server, and helpers that leave.
const SERVER: &str = "setsid sh -c 'sleep 1000; :' & (setsid sleep 1000 &); sh -c 'sleep 1000; :'";
const SERVER_SIZE: u64 = 6;

/// Does nothing as a test. As a supervisor, keeps two servers, one of which keeps crashing.
#[tokio::test]
async fn supervisor() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (mark, dir) = role.split_once('\n').unwrap();
    let mark = std::mem::ManuallyDrop::new(Mark::of(mark));
    let ledger = Ledger::open(dir).unwrap();
    ledger.end_leftovers(Duration::ZERO).await.unwrap();
    let keep = |script: &str| {
        let mut policy = Policy::default();
        (policy.backoff.max, policy.restarts_max) = (Duration::from_millis(5), None);
        policy.backoff.first = policy.backoff.max;
        let mut spec = mark.shimmed(script);
        spec.ledger = Some(ledger.clone());
        let ready = |_: Process| std::future::ready(Ok(()));
        let supervised = supervise(policy, Program::new(spec, ready)).unwrap();
        supervised.start();
        supervised
    };
    let server = keep(SERVER);
    let _crashing = keep("(setsid sleep 1000 &); exit 1");
    let process = server.ready().await.unwrap();
    while process.usage().is_none_or(|usage| usage.processes < SERVER_SIZE - 1) {
        time::sleep(Duration::from_millis(2)).await;
    }
    std::fs::write(format!("{dir}/ready-{}", std::process::id()), "").unwrap();
    std::future::pending().await
}

fn start(mark: &Mark, dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().expect("this file"))
        .args(["--exact", "supervisor", "--nocapture"])
        .env(ROLE, format!("{}\n{}", mark.text(), dir.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("this file starts")
}

/// Reaps children until there are none, and tells how many there were.
async fn reap_all() -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut reaped = 0;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => reaped += 1,
            Err(Errno::CHILD) => return reaped,
            Ok(None) | Err(_) => {
                assert!(Instant::now() < deadline, "something outlives its supervisor");
                time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_kills_leave_nothing() {
    set_child_subreaper(Some(getpid())).expect("any process may");
    let (mark, dir) = (Mark::new(), tempfile::tempdir().unwrap());
    let baseline = descriptors();
    let mut reaped = 0;
    for round in 0..KILLS / AT_ONCE {
        let all: Vec<_> = (0..AT_ONCE).map(|_| start(&mark, dir.path())).collect();
        // In every other round as soon as may be, the moments being spread over the start.
        for (number, supervisor) in all.iter().enumerate() {
            let ready = dir.path().join(format!("ready-{}", supervisor.id()));
            let deadline = Instant::now() + PATIENCE;
            let early = round % 2 == 1;
            if early {
                time::sleep(Duration::from_millis(round + number as u64)).await;
            }
            while !early && !ready.exists() {
                assert!(Instant::now() < deadline, "it does not get ready");
                time::sleep(Duration::from_millis(2)).await;
            }
        }
        for supervisor in all {
            let _ = kill_process(Pid::from_child(&supervisor), Signal::KILL);
        }
        reaped += reap_all().await;
        mark.assert_gone();
    }
    // Each of them, and its shims, which outlive it for as long as they take to end their trees.
    assert!(reaped >= KILLS + KILLS / 2, "{reaped}");
    assert_eq!(descriptors(), baseline);

    let ledger = Ledger::open(dir.path()).unwrap();
    let report = ledger.end_leftovers(Duration::ZERO).await.unwrap();
    assert!(report.ended.is_empty() && report.alive.is_empty(), "{report:?}");
    let files = std::fs::read_dir(dir.path()).unwrap().flatten();
    let records = files.filter(|file| file.file_name().to_string_lossy().starts_with("process-"));
    assert_eq!(records.count(), 0);
}
