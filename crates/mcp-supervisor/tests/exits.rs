//! What is told of a process: how it ended, why it did not start, what it said.
#![cfg(all(feature = "tokio", feature = "shim"))]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{Mark, shim, timed};
use mcp_supervisor::{EXEC_FAILED, Exit, Shim, SpawnError, Spec, spawn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;

#[tokio::test]
async fn a_shim_ends_as_its_program_does() {
    let mark = Mark::new();
    let codes = [0, 1, 3, 125, 127, 255];
    let signals = [1, 2, 3, 6, 9, 10, 11, 13, 14, 15, 16, 29, 34, 64];
    let exits = codes.map(|code| (format!("exit {code}"), Exit::Code(code)));
    let deaths = signals.map(|signal| (format!("kill -{signal} $$"), Exit::Signal(signal)));
    for (script, exit) in exits.into_iter().chain(deaths) {
        for spec in [mark.sh(&script), mark.shimmed(&script)] {
            let process = spawn(&spec).await.unwrap();
            let told = timed(process.wait()).await.0;
            assert_eq!(told, exit, "{script}, shim: {}", spec.shim.is_some());
        }
    }
    mark.assert_gone();
}

#[tokio::test]
async fn an_exit_is_told_at_once_with_the_last_words() {
    let mark = Mark::new();
    let script = "read line; echo last >&2; exit 3";
    for spec in [mark.sh(script), mark.shimmed(script)] {
        let process = mark.plant(&spec, 1).await;
        drop(process.take_stdin());
        let (_, took) = timed(process.wait()).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(process.stderr().lines(), ["last"]);
    }
}

#[tokio::test]
async fn last_words_are_complete_however_late_they_are_read() {
    let mark = Mark::new();
    for _ in 0..10 {
        let process = spawn(&mark.sh("seq 10000 >&2")).await.unwrap();
        // Holds the only thread of this runtime until there is an exit, and all the words before it.
        let stat = format!("/proc/{}/stat", process.pid());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {}
        assert_eq!(timed(process.wait()).await.0, Exit::Code(0));
        assert_eq!(process.stderr().lines().last().unwrap(), "10000");
    }
}

#[tokio::test]
async fn stdio_is_the_programs_alone() {
    let mark = Mark::new();
    let spec = mark.shimmed("echo out; exec >&- <&-; sleep 1000");
    let process = spawn(&spec).await.unwrap();
    let mut out = String::new();
    let mut read = process.take_stdout().unwrap();
    timed(read.read_to_string(&mut out)).await.0.unwrap();
    assert_eq!(out, "out\n", "its end is seen while the program runs");
    let written = process.take_stdin().unwrap().write_all(b"anyone?").await;
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(process.exit(), None);
    timed(process.stop()).await;
}

#[tokio::test]
async fn environment_and_directory_are_those_given() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    for shim in [None, Some(shim())] {
        let mut spec = Spec::new("sh");
        spec.args = vec!["-c".into(), "pwd -P; exec env".into()];
        spec.env.insert("ONLY".into(), "this".into());
        spec.env.insert("PWD".into(), here.clone().into());
        (spec.cwd, spec.shim) = (Some(here.clone()), shim);
        let process = spawn(&spec).await.unwrap();
        let mut out = String::new();
        process.take_stdout().unwrap().read_to_string(&mut out).await.unwrap();
        let mut lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.remove(0), here.to_str().unwrap());
        lines.sort_unstable();
        let names: Vec<_> = lines.iter().map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(names, ["ONLY", "PATH", "PWD"]);
    }
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let mark = Mark::new();
    for base in [mark.sh("exit"), mark.shimmed("exit")] {
        let mut spec = base.clone();
        spec.program = "no-such-program".into();
        let error = spawn(&spec).await.unwrap_err();
        assert!(matches!(&error, SpawnError::NotFound { searched, .. } if !searched.is_empty()));

        spec.program = "/etc/passwd".into();
        assert!(matches!(spawn(&spec).await, Err(SpawnError::NotExecutable { .. })));

        let mut spec = base.clone();
        spec.cwd = Some("/no/such/directory".into());
        assert!(matches!(spawn(&spec).await, Err(SpawnError::WorkingDirectory { .. })));

        let mut spec = base.clone();
        spec.args.push("x".repeat(200_000).into());
        assert!(matches!(spawn(&spec).await, Err(SpawnError::ArgumentsTooLong)));

        let mut spec = base.clone();
        spec.env.insert("NAME".into(), "zero\0inside".into());
        assert!(matches!(spawn(&spec).await, Err(SpawnError::Io(_))));
    }
    let mut spec = mark.sh("exit");
    spec.shim = Some(Shim::new("/no/such/shim"));
    assert!(matches!(spawn(&spec).await, Err(SpawnError::Shim { .. })));
    mark.assert_gone();
}

#[tokio::test]
async fn what_only_the_kernel_knows_is_told_by_the_shim() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("foreign");
    fs::write(&foreign, b"\x7fELF\0 of no machine").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = Spec::new(&foreign);
    assert!(matches!(spawn(&spec).await, Err(SpawnError::UnknownFormat { .. })));

    spec.shim = Some(shim());
    let process = spawn(&spec).await.unwrap();
    assert_eq!(timed(process.wait()).await.0, Exit::Code(126));
    let said = process.stderr().lines();
    let expected = format!("{EXEC_FAILED}{foreign:?}: ");
    assert!(matches!(&said[..], [line] if line.starts_with(&expected)), "{said:?}");
}

#[tokio::test]
async fn a_flood_on_stderr_takes_bounded_memory_and_blocks_nobody() {
    let mark = Mark::new();
    let flood = "yes 'a line of a flood, and one more' | head -c 50000000 >&2; echo >&2
        head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2";
    let mut spec = mark.shimmed(flood);
    spec.stderr_lines_max = 100;
    let process = spawn(&spec).await.unwrap();
    assert_eq!(timed(process.wait()).await.0, Exit::Code(0));

    let (lines, stats) = (process.stderr().lines(), process.stderr().stats());
    assert_eq!(lines.len(), 100);
    assert_eq!(lines[99], "last");
    assert!(lines[98].ends_with("xxx [95904 bytes cut]"), "100,000 less 4,096");
    assert!(stats.lines_dropped > 1_000_000 && stats.bytes_dropped > 48_000_000, "{stats:?}");
}

#[tokio::test]
async fn while_it_runs_there_is_no_exit() {
    let mark = Mark::new();
    let process = mark.plant(&mark.shimmed("sleep 1000; :"), 2).await;
    time::timeout(Duration::from_millis(50), process.wait()).await.unwrap_err();
    assert_eq!(process.exit(), None);
    assert!(process.take_stdin().is_some() && process.take_stdin().is_none());
    assert!(process.take_stdout().is_some() && process.take_stdout().is_none());
    timed(process.stop()).await;
}
