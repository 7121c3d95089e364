//! Programs under supervision: real processes, real deaths.
#![cfg(all(feature = "tokio", feature = "shim"))]

mod common;

use std::future::{Future, Ready, pending, ready};
use std::time::Duration;

use common::{GROVE, GROVE_SIZE, Mark, PATIENCE, signal, timed};
use mcp_supervisor::{
    Exit, GaveUp, Launch, Phase, Policy, Process, Program, ProgramError, Restart, Spec, Status,
    Supervised, Unready, supervise,
};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time;

const SHORT: Duration = Duration::from_millis(10);

/// Pauses that a test can wait for, and three restarts.
fn hasty() -> Policy {
    let mut policy = Policy::default();
    (policy.backoff.first, policy.backoff.max) = (SHORT, SHORT);
    policy.restarts_max = Some(3);
    policy
}

fn at_once(_: Process) -> Ready<Result<(), String>> {
    ready(Ok(()))
}

fn started<R, F>(policy: Policy, spec: Spec, check: R) -> Supervised<Program<R>>
where
    R: Fn(Process) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let supervised = supervise(policy, Program::new(spec, check)).expect("a valid policy");
    supervised.start();
    supervised
}

async fn until<L: Launch>(supervised: &Supervised<L>, phase: Phase) -> Status<L::Error> {
    let mut watch = supervised.watch();
    let there = watch.wait_for(|status| status.phase == phase);
    time::timeout(PATIENCE, there).await.expect("in time").expect("it is supervised").clone()
}

#[tokio::test]
async fn a_crash_loop_ends_in_a_failed_state_that_says_why() {
    let mark = Mark::new();
    for spec in [mark.sh("echo no configuration >&2; exit 3"), mark.shimmed("kill -9 $$")] {
        let is_shimmed = spec.shim.is_some();
        let supervised = started(hasty(), spec, at_once);
        let status = until(&supervised, Phase::Failed(GaveUp::TooManyRestarts)).await;
        let said = status.error.expect("why").to_string();
        let expected =
            ["ended with exit code 3: no configuration", "ended with signal 9 (SIGKILL)"];
        assert_eq!(said, expected[usize::from(is_shimmed)]);
        let stats = supervised.stats();
        assert_eq!((status.incarnation, stats.restarted, stats.failed), (4, 3, 4));
        mark.assert_gone();
        let _ = timed(supervised.restart()).await;
        assert!(supervised.status().incarnation > 4);
    }
}

#[tokio::test]
async fn what_is_killed_comes_back() {
    let mark = Mark::new();
    let mut policy = hasty();
    (policy.stable_after, policy.restarts_max) = (Duration::from_millis(1), None);
    let supervised = started(policy, mark.sh("echo up; exec sleep 1000"), says_up);
    let mut pid = timed(supervised.ready()).await.0.unwrap().pid();
    for kills in 1..=20 {
        signal(i32::try_from(pid).unwrap(), Signal::KILL);
        let mut watch = supervised.watch();
        let again = watch.wait_for(|status| status.incarnation > kills);
        let (again, took) = timed(again).await;
        drop(again);
        assert!(took < Duration::from_secs(1), "{took:?}");
        let next = timed(supervised.ready()).await.0.unwrap().pid();
        assert_ne!(next, pid);
        // None, where it is just being executed and has no environment.
        assert!(mark.alive().len() <= 1, "two at a time");
        pid = next;
    }
    timed(supervised.stop()).await;
    mark.assert_gone();
}

#[tokio::test]
async fn an_exit_of_zero_is_the_end_of_what_is_transient() {
    let mark = Mark::new();
    let mut policy = hasty();
    policy.restart = Restart::Transient;
    for spec in [mark.sh("read line; exit 0"), mark.shimmed("read line; exit 0")] {
        let supervised = started(policy.clone(), spec, at_once);
        let process = timed(supervised.ready()).await.0.unwrap();
        drop(process.take_stdin());
        let status = until(&supervised, Phase::Stopped).await;
        assert!(status.error.is_none() && status.incarnation == 1);
        assert_eq!(process.exit(), Some(Exit::Code(0)));
        assert_eq!(supervised.stats().failed, 0);
    }
}

#[tokio::test]
async fn a_start_that_is_late_leaves_nothing() {
    let mark = Mark::new();
    let mut policy = hasty();
    policy.restart = Restart::Temporary;
    policy.start_timeout = Duration::from_secs(2);
    let supervised = started(policy, mark.shimmed(GROVE), |_| pending());
    mark.grown(GROVE_SIZE + 1).await;
    let (refused, took) = timed(supervised.ready()).await;
    let Err(Unready::Failed { error: Some(error) }) = refused else { panic!("{refused:?}") };
    assert_eq!(error.to_string(), "not ready within 2s");
    mark.assert_gone();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_stop_while_it_starts_leaves_nothing() {
    let mark = Mark::new();
    let supervised = started(hasty(), mark.shimmed(GROVE), |_| pending());
    mark.grown(GROVE_SIZE + 1).await;
    timed(supervised.stop()).await;
    mark.assert_gone();
}

#[tokio::test]
async fn a_stop_at_any_moment_of_a_start_leaves_nothing() {
    let mark = Mark::new();
    let mut spec = mark.shimmed("trap '' TERM; sleep 1000");
    (spec.stdin_grace, spec.term_grace) = (Duration::ZERO, Duration::from_millis(20));
    // From before the task has run at all to after the program has.
    for moment in (0..2000).step_by(50) {
        let supervised = started(hasty(), spec.clone(), |_| pending());
        for _ in 0..moment {
            tokio::task::yield_now().await;
        }
        timed(supervised.stop()).await;
        mark.assert_gone();
    }
}

#[tokio::test]
async fn why_it_is_not_ready_is_told() {
    let mark = Mark::new();
    let mut policy = hasty();
    policy.restart = Restart::Temporary;
    let why = |unready| match unready {
        Err(Unready::Failed { error: Some(error) }) => error,
        other => panic!("{other:?}"),
    };

    let supervised =
        started(policy.clone(), mark.sh("sleep 1000"), |_| ready(Err("no port".to_owned())));
    let error: ProgramError = why(timed(supervised.ready()).await.0);
    assert_eq!(error.to_string(), "not ready: no port");
    mark.assert_gone();

    let supervised = started(policy.clone(), mark.sh("echo no token >&2; exit 4"), |_| pending());
    let error = why(timed(supervised.ready()).await.0);
    assert_eq!(error.to_string(), "ended with exit code 4: no token");

    let supervised = started(policy, Spec::new("no-such-program"), at_once);
    let error = why(timed(supervised.ready()).await.0);
    assert!(error.to_string().contains("\"no-such-program\" not found"), "{error}");
}

#[tokio::test]
async fn a_check_talks_to_what_it_checks() {
    let mark = Mark::new();
    let supervised = started(hasty(), mark.sh("sleep 0.1; echo up; exec cat"), says_up);
    assert!(timed(supervised.ready()).await.0.unwrap().exit().is_none());
    timed(supervised.stop()).await;
    mark.assert_gone();
}

#[tokio::test]
async fn the_last_handle_takes_the_whole_tree_along() {
    let mark = Mark::new();
    let supervised = started(hasty(), mark.shimmed(GROVE), at_once);
    mark.grown(GROVE_SIZE + 1).await;
    drop(supervised);
    mark.gone().await;
}

/// Ready when it has said so.
async fn says_up(process: Process) -> Result<(), String> {
    let stdout = process.take_stdout().ok_or("its stdout is taken")?;
    let line = BufReader::new(stdout).lines().next_line().await;
    match line.map_err(|error| error.to_string())?.as_deref() {
        Some("up") => Ok(()),
        other => Err(format!("said {other:?}")),
    }
}
