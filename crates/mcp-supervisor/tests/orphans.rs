//! What is left of a tree when its supervisor is killed: nothing.
//!
//! The supervisor is this file again, as a process of its own that runs only [`supervisor`].
#![cfg(all(feature = "tokio", feature = "shim"))]

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::{GROVE, GROVE_SIZE, Mark, deaf_grove, shim, timed};
use mcp_supervisor::spawn;
use tokio::process::{Child, Command};
use tokio::time;

/// Holds the mark and the script for [`supervisor`].
const ROLE: &str = "SUPERVISOR_OF";

/// Does nothing as a test. As a supervisor, starts the script and never stops it.
#[tokio::test]
async fn supervisor() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (mark, script) = role.split_once('\n').unwrap();
    let mark = std::mem::ManuallyDrop::new(Mark::of(mark));
    let _process = spawn(&mark.shimmed(script)).await.unwrap();
    if script.ends_with("# leave") {
        mark.grown(2).await;
        std::process::exit(0);
    }
    std::future::pending().await
}

fn supervise(mark: &Mark, script: &str) -> Child {
    Command::new(std::env::current_exe().expect("this file"))
        .args(["--exact", "supervisor", "--nocapture"])
        .env(ROLE, format!("{}\n{script}", mark.text()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("this file starts")
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing() {
    for script in [GROVE, &deaf_grove()] {
        let mark = Mark::new();
        let mut supervisor = supervise(&mark, script);
        mark.grown(GROVE_SIZE + 1).await;
        supervisor.kill().await.unwrap();
        mark.gone().await;
    }
}

#[tokio::test]
async fn whenever_it_is_killed() {
    let mark = Mark::new();
    let mut seen = 0;
    for millis in 0..40 {
        let mut supervisor = supervise(&mark, GROVE);
        time::sleep(Duration::from_millis(millis / 2)).await;
        seen = seen.max(mark.alive().len());
        supervisor.kill().await.unwrap();
    }
    mark.gone().await;
    assert!(seen > 1, "it was never killed in time to leave anything");
}

#[tokio::test]
async fn a_shim_that_was_orphaned_before_it_could_tell_starts_nothing() {
    let no_ones_pid = (1 << 22) + 1;
    let mut shim = Command::new(shim().path);
    let order = ["0", "-", "-", "0", "", "", "/bin/sh", "-c", "echo started"];
    shim.arg(no_ones_pid.to_string()).args(order);
    let output = timed(shim.output()).await.0.unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(125), &b""[..]));
}

#[tokio::test]
async fn a_supervisor_that_just_leaves_leaves_nothing() {
    let mark = Mark::new();
    let mut supervisor = supervise(&mark, "sleep 1000; : # leave");
    assert!(supervisor.wait().await.unwrap().success());
    mark.gone().await;
}
