//! What a supervisor that was killed has left is ended by its successor, and nobody else is.
//!
//! The supervisor is this file again, as a process of its own that runs only [`supervisor`]. It has
//! no shim, or nothing would be left.
#![cfg(all(feature = "tokio", feature = "shim", target_os = "linux"))]

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{GROVE, GROVE_SIZE, Mark, deaf_grove, exists, timed};
use mcp_supervisor::{Ledger, Leftovers, spawn};
use tokio::process::{Child, Command};

/// Holds the mark, the directory and the script for [`supervisor`].
const ROLE: &str = "LEAVES_BEHIND";

const GRACE: Duration = Duration::from_millis(200);

/// Does nothing as a test. As a supervisor, starts the script and never stops it.
#[tokio::test]
async fn supervisor() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut role = role.splitn(3, '\n');
    let mark = std::mem::ManuallyDrop::new(Mark::of(role.next().unwrap()));
    let ledger = Ledger::open(role.next().unwrap()).unwrap();
    let mut spec = mark.sh(role.next().unwrap());
    spec.ledger = Some(ledger.clone());
    let _process = spawn(&spec).await.unwrap();
    assert_eq!(ledger.stats().recorded, 1);
    std::future::pending().await
}

async fn supervise(mark: &Mark, dir: &Path, script: &str) -> Child {
    let supervisor = Command::new(std::env::current_exe().expect("this file"))
        .args(["--exact", "supervisor", "--nocapture"])
        .env(ROLE, format!("{}\n{}\n{script}", mark.text(), dir.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("this file starts");
    mark.grown(GROVE_SIZE).await;
    while records(dir).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    supervisor
}

fn records(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir).expect("the directory").flatten();
    files.map(|file| fs::read_to_string(file.path()).expect("a record")).collect()
}

async fn end(dir: &Path) -> Leftovers {
    let ledger = Ledger::open(dir).expect("it opens");
    timed(ledger.end_leftovers(GRACE)).await.0.expect("it reads")
}

#[tokio::test]
async fn a_successor_ends_what_was_left() {
    for script in [GROVE, &deaf_grove()] {
        let (mark, dir) = (Mark::new(), tempfile::tempdir().unwrap());
        let mut supervisor = supervise(&mark, dir.path(), script).await;
        // As long as it lives, it is its business.
        assert_eq!(end(dir.path()).await, Leftovers::default());
        assert_eq!((records(dir.path()).len(), mark.alive().len()), (1, GROVE_SIZE));
        supervisor.kill().await.unwrap();
        assert_eq!(mark.alive().len(), GROVE_SIZE, "nobody has ended them yet");

        let report = end(dir.path()).await;
        assert_eq!((report.ended.len(), report.gone), (1, 0), "{report:?}");
        assert!(report.alive.is_empty() && records(dir.path()).is_empty());
        // Except for the one that had left its parents before: nothing tells whose it was.
        let strays = mark.alive();
        assert!(strays.len() <= 1, "{strays:?}");
    }
}

#[tokio::test]
async fn a_pid_that_was_used_again_is_left_alone() {
    let (mark, dir) = (Mark::new(), tempfile::tempdir().unwrap());
    let innocent = mark.plant(&mark.sh("sleep 1000; :"), 2).await;
    let pid = innocent.pid();
    let started = started(pid);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim();
    let no_one = (1 << 22) + 1;
    let other_boot = "00000000-0000-0000-0000-000000000000";
    let write = |number: u32, text: String| {
        fs::write(dir.path().join(format!("process-{no_one}-7-{number}")), text).unwrap();
    };
    write(1, format!("{pid} {} {boot}\n", started - 1));
    write(2, format!("{pid} {} {boot}\n", started + 1));
    write(3, format!("{pid} {started} {other_boot}\n"));
    write(4, format!("{no_one} {started} {boot}\n"));
    // Torn in two places, and something else.
    write(5, format!("{pid} {started} {boot}"));
    write(6, format!("{pid} "));
    fs::write(dir.path().join("readme"), "not ours").unwrap();

    let report = end(dir.path()).await;
    assert_eq!((report.gone, report.unreadable), (4, 2), "{report:?}");
    assert!(report.ended.is_empty() && report.alive.is_empty());
    assert_eq!(records(dir.path()), ["not ours"]);
    assert_eq!((mark.alive().len(), innocent.exit()), (2, None));

    // The same, were it really its own.
    write(1, format!("{pid} {started} {boot}\n"));
    assert_eq!(end(dir.path()).await.ended, [pid]);
    timed(innocent.wait()).await;
    assert!(!exists(i32::try_from(pid).unwrap()));
    mark.gone().await;
}

fn started(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    fields.split(' ').nth(19).expect("field 22").parse().expect("a number")
}

#[tokio::test]
async fn a_record_lasts_as_long_as_its_process() {
    let (mark, dir) = (Mark::new(), tempfile::tempdir().unwrap());
    let ledger = Ledger::open(dir.path().join("new").join("processes")).unwrap();
    for mut spec in [mark.sh("exec cat"), mark.shimmed("exec cat")] {
        spec.ledger = Some(ledger.clone());
        let process = spawn(&spec).await.unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let expected = format!("{} {} {boot}", process.pid(), started(process.pid()));
        assert_eq!(records(ledger.dir()), [expected]);
        process.stop().await;
        assert!(records(ledger.dir()).is_empty());
    }
    let stats = ledger.stats();
    assert_eq!((stats.recorded, stats.cleared, stats.failed), (2, 2, 0));
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_does_not_stop_anyone() {
    let (mark, dir) = (Mark::new(), tempfile::tempdir().unwrap());
    let ledger = Ledger::open(dir.path().join("processes")).unwrap();
    fs::remove_dir(ledger.dir()).unwrap();
    let mut spec = mark.shimmed("exec cat");
    spec.ledger = Some(ledger.clone());
    let process = spawn(&spec).await.unwrap();
    process.stop().await;
    let stats = ledger.stats();
    assert_eq!((stats.recorded, stats.cleared), (0, 0));
    assert!(stats.failed > 0, "and it is counted");
    assert!(Ledger::open("/proc/no").is_err());
}
