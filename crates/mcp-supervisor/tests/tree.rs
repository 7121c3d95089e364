//! What is left of a tree when it is stopped, dropped, or ends by itself: nothing.
#![cfg(all(feature = "tokio", feature = "shim"))]

mod common;

use std::time::Duration;

use common::{GROVE, GROVE_SIZE, Mark, PATIENCE, deaf_grove, exists, signal, timed};
use mcp_supervisor::{Exit, Process, Shim, spawn};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStdout;
use tokio::time;

const CHAIN: &str = "sh -c 'sleep 1000; :'; :";
const CHAIN_SIZE: usize = 3;

/// Well above the graces of a test, well below those of a user.
const SOON: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn who_reads_stdin_ends_when_it_closes() {
    let mark = Mark::new();
    for mut spec in [mark.sh("cat"), mark.shimmed("cat")] {
        spec.stdin_grace = PATIENCE;
        let process = mark.plant(&spec, 1).await;
        let (exit, took) = timed(process.stop()).await;
        assert_eq!(exit, Exit::Code(0));
        assert!(took < SOON, "{took:?}");
        mark.assert_gone();
    }
}

#[tokio::test]
async fn who_heeds_sigterm_dies_of_it() {
    let mark = Mark::new();
    for mut spec in [mark.sh(CHAIN), mark.shimmed(CHAIN)] {
        spec.term_grace = PATIENCE;
        let process = mark.plant(&spec, CHAIN_SIZE).await;
        let (exit, took) = timed(process.stop()).await;
        assert_eq!(exit, Exit::Signal(15));
        assert!(took >= spec.stdin_grace && took < SOON, "{took:?}");
        mark.assert_gone();
    }
}

#[tokio::test]
async fn who_does_not_is_killed_in_time() {
    let mark = Mark::new();
    let script = format!("trap '' TERM; {CHAIN}");
    for spec in [mark.sh(&script), mark.shimmed(&script)] {
        let process = mark.plant(&spec, CHAIN_SIZE).await;
        let (exit, took) = timed(process.stop()).await;
        assert_eq!(exit, Exit::Signal(9));
        assert!(took >= spec.stdin_grace + spec.term_grace && took < SOON, "{took:?}");
        mark.assert_gone();
    }
}

#[tokio::test]
async fn a_crowd_without_a_shim_is_gone_on_return() {
    let mark = Mark::new();
    // Only the end of its leader brings the crowd down.
    let spec = mark.sh("trap '' TERM; for i in $(seq 200); do sleep 1000 2>&- & done; read line");
    let process = mark.plant(&spec, 201).await;
    let last = mark.alive().into_iter().next_back().unwrap();
    process.stop().await;
    let stat = std::fs::read_to_string(format!("/proc/{last}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    mark.assert_gone();
}

#[tokio::test]
async fn a_shim_ends_those_who_left_the_group() {
    let mark = Mark::new();
    for script in [GROVE, &deaf_grove()] {
        let process = mark.plant(&mark.shimmed(script), GROVE_SIZE).await;
        let everyone = mark.alive();
        let (_, took) = timed(process.stop()).await;
        assert!(took < SOON, "{took:?}");
        assert!(!everyone.into_iter().any(exists), "dead and reaped, every one");
    }
}

#[tokio::test]
async fn a_shim_outruns_those_who_keep_forking() {
    let mark = Mark::new();
    // Starts orphans without end; and a relay, whose every runner starts the next one and is gone.
    let hydra = "trap '' TERM; while :; do (setsid sleep 1000 &); sleep 0.005; done";
    let relay = "trap '' TERM; setsid sh -c \"$RELAY\" & exit";
    for script in [hydra, &format!("({relay}); sleep 1000; :"), relay] {
        let mut spec = mark.shimmed(script);
        spec.env.insert("RELAY".into(), relay.into());
        let process = spawn(&spec).await.unwrap();
        // The relay alone ends with its first runner, maybe before it is stopped.
        time::sleep(Duration::from_millis(50)).await;
        let (_, took) = timed(process.stop()).await;
        assert!(took < SOON, "{took:?}");
        mark.assert_gone();
    }
}

#[tokio::test]
async fn a_frozen_tree_is_ended_too() {
    let mark = Mark::new();
    // The shim is woken by SIGCONT, and its program with it.
    let process = mark.plant(&mark.shimmed(&deaf_grove()), GROVE_SIZE).await;
    mark.alive().into_iter().for_each(|pid| signal(pid, Signal::STOP));
    let (exit, took) = timed(process.stop()).await;
    assert_eq!(exit, Exit::Signal(9));
    assert!(took < SOON, "{took:?}");
    mark.assert_gone();
}

#[tokio::test]
async fn a_shim_that_is_held_down_is_done_without() {
    let mark = Mark::new();
    let process = mark.plant(&mark.shimmed(&deaf_grove()), GROVE_SIZE).await;
    let shim = i32::try_from(process.pid()).unwrap();
    let hold_down = async {
        loop {
            signal(shim, Signal::STOP);
            time::sleep(Duration::from_micros(100)).await;
        }
    };
    let (exit, took) = tokio::select! {
        stopped = timed(process.stop()) => stopped,
        () = hold_down => unreachable!(),
    };
    assert_eq!(exit, Exit::Signal(9));
    assert!(took < Duration::from_secs(6), "{took:?}");
    mark.assert_gone();
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_ended() {
    let mark = Mark::new();
    // It ends once it is told to, so that its descendants are there by then.
    let deserter = |script: &str| format!("trap '' TERM; {{ {script}\n}} & read line; exit 7");
    for (spec, size) in [
        (mark.shimmed(&deserter(GROVE)), GROVE_SIZE),
        (mark.shimmed(&deserter(CHAIN)), CHAIN_SIZE),
        (mark.sh(&deserter(CHAIN)), CHAIN_SIZE),
    ] {
        let process = mark.plant(&spec, size + 1).await;
        drop(process.take_stdin());
        let (exit, took) = timed(process.wait()).await;
        assert_eq!(exit, Exit::Code(7));
        assert!(took < SOON, "{took:?}");
        assert_eq!(process.exit(), Some(exit));
        assert_eq!(process.stop().await, exit);
        mark.assert_gone();
    }
}

#[tokio::test]
async fn a_shim_killed_by_a_stranger_takes_its_group_along() {
    let mark = Mark::new();
    let process = mark.plant(&mark.shimmed(CHAIN), CHAIN_SIZE).await;
    signal(i32::try_from(process.pid()).unwrap(), Signal::KILL);
    assert_eq!(timed(process.wait()).await.0, Exit::Signal(9));
    process.stop().await;
    mark.assert_gone();
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_tree() {
    let mark = Mark::new();
    let script = format!("trap '' TERM; {CHAIN}");
    for spec in [mark.sh(&script), mark.shimmed(&deaf_grove())] {
        let process = mark.plant(&spec, CHAIN_SIZE).await;
        let other = process.clone();
        drop(process);
        time::sleep(spec.stdin_grace * 2).await;
        assert_eq!(other.exit(), None, "one handle is left");
        drop(other);
        mark.gone().await;
    }
}

#[tokio::test]
async fn a_spawn_that_is_given_up_leaves_nothing() {
    let mark = Mark::new();
    for micros in (0..4_000).step_by(200) {
        let spec = mark.shimmed(CHAIN);
        let _ = time::timeout(Duration::from_micros(micros), spawn(&spec)).await;
    }
    mark.gone().await;
}

/// Nobody waits for a process whose runtime is gone, and yet it must not stay a zombie.
async fn reaped(process: &Process) {
    let pid = i32::try_from(process.pid()).expect("a pid");
    let reaped = async {
        while exists(pid) {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    timed(reaped).await;
}

#[test]
fn dropping_the_runtime_ends_the_tree() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mark = Mark::new();
    for spec in [mark.sh(CHAIN), mark.shimmed(&deaf_grove())] {
        let first = runtime();
        let process = first.block_on(mark.plant(&spec, CHAIN_SIZE));
        drop(first);
        runtime().block_on(mark.gone());
        runtime().block_on(reaped(&process));
        assert_eq!(runtime().block_on(process.stop()), Exit::Unknown);
    }
}

/// As it happens, rarely, to one that is told while it installs its handlers.
#[test]
fn a_shim_that_has_missed_its_signal_is_told_again() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mark = Mark::new();
    let mut spec = mark.sh("");
    let mut shim = Shim::new("/bin/sh");
    let misses_one = "trap 'trap - TERM' TERM; echo up; while :; do sleep 0.01; done";
    shim.args = ["-c", misses_one].map(Into::into).into();
    spec.shim = Some(shim);
    let first = runtime();
    let process = first.block_on(async {
        let process = spawn(&spec).await.unwrap();
        let mut stdout = process.take_stdout().unwrap();
        assert_eq!(stdout.read_u8().await.unwrap(), b'u');
        process
    });
    drop(first);
    runtime().block_on(mark.gone());
    runtime().block_on(reaped(&process));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_process_outlives_the_thread_that_asked_for_it() {
    let mark = Mark::new();
    let spec = mark.shimmed("echo up; cat");
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::spawn(move || {
        runtime.block_on(async {
            let process = spawn(&spec).await.unwrap();
            let mut stdout = process.take_stdout().unwrap();
            // The shim runs by then, and would hear of it if this thread were its parent.
            assert_eq!(stdout.read_u8().await.unwrap(), b'u');
            (process, stdout)
        })
    });
    while !thread.is_finished() {
        time::sleep(Duration::from_millis(1)).await;
    }
    let (process, stdout) = thread.join().unwrap();
    // The signal of a parent's death comes at once; then there would be no echo.
    time::sleep(Duration::from_millis(100)).await;
    assert_eq!(echo(&process, stdout).await, "p\nthere?\n");
}

#[tokio::test]
async fn signals_to_a_shim_alone_are_disregarded() {
    let mark = Mark::new();
    let process = spawn(&mark.shimmed("echo up; exec cat")).await.unwrap();
    let mut stdout = process.take_stdout().unwrap();
    assert_eq!(stdout.read_u8().await.unwrap(), b'u');
    for one in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::ALARM] {
        signal(i32::try_from(process.pid()).unwrap(), one);
    }
    time::sleep(Duration::from_millis(20)).await;
    assert_eq!(echo(&process, stdout).await, "p\nthere?\n");
}

/// Has `cat` say the rest of its stdout, and end.
async fn echo(process: &Process, mut stdout: ChildStdout) -> String {
    process.take_stdin().expect("not taken").write_all(b"there?\n").await.expect("it reads");
    let mut said = String::new();
    timed(stdout.read_to_string(&mut said)).await.0.expect("it writes");
    assert_eq!(timed(process.wait()).await.0, Exit::Code(0));
    said
}

#[tokio::test]
async fn everyone_is_asked_once() {
    let mark = Mark::new();
    // A read is interrupted by each signal. The crowd takes a shim some time to look through, so
    // that two signals do not pass for one.
    let counts = "for i in $(seq 50); do (trap '' TERM; exec sleep 1000) & done
        trap 'echo asked' TERM; echo ready; while :; do read line; done";
    for script in [counts, "setsid --wait sh -c \"$COUNTS\""] {
        let mut spec = mark.shimmed(script);
        spec.env.insert("COUNTS".into(), counts.into());
        let process = spawn(&spec).await.unwrap();
        let _held_open = process.take_stdin();
        let mut said = BufReader::new(process.take_stdout().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).await.unwrap();
        timed(process.stop()).await;
        let mut rest = String::new();
        timed(said.read_to_string(&mut rest)).await.0.unwrap();
        assert_eq!((&first[..], &rest[..]), ("ready\n", "asked\n"));
        mark.assert_gone();
    }
}

#[tokio::test]
async fn any_number_may_wait_and_stop() {
    let mark = Mark::new();
    let process = mark.plant(&mark.shimmed(CHAIN), CHAIN_SIZE).await;
    let ask = |stops: bool| {
        let process = process.clone();
        tokio::spawn(async move { if stops { process.stop().await } else { process.wait().await } })
    };
    let asked: Vec<_> = (0..20).map(|n| ask(n % 4 == 0)).collect();
    for one in asked {
        assert_eq!(timed(one).await.0.unwrap(), Exit::Signal(15));
    }
    mark.assert_gone();
}

#[tokio::test]
async fn a_stop_that_is_not_waited_for_goes_on() {
    let mark = Mark::new();
    let process = mark.plant(&mark.shimmed(&deaf_grove()), GROVE_SIZE).await;
    time::timeout(Duration::from_millis(1), process.stop()).await.unwrap_err();
    assert_eq!(timed(process.wait()).await.0, Exit::Signal(9));
    mark.assert_gone();
}
