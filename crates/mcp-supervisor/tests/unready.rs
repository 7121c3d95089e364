//! A program that never gets ready, a thousand times. Alone in its process, because it counts what
//! the process holds.
#![cfg(all(feature = "tokio", feature = "shim", target_os = "linux"))]

mod common;

use std::time::Duration;

use common::{Mark, children, descriptors, timed};
use mcp_supervisor::{Launch, Policy, Process, Program, Supervised, supervise};
use tokio::time;

const AT_ONCE: u64 = 8;
const TRIES: u64 = 1000;

fn never_ready(mark: &Mark) -> Supervised<impl Launch> {
    let mut policy = Policy::default();
    policy.start_timeout = Duration::from_millis(20);
    (policy.backoff.max, policy.restarts_max) = (Duration::from_millis(1), None);
    policy.backoff.first = policy.backoff.max;
    let mut spec = mark.shimmed("(setsid sleep 1000 &); sleep 1000; :");
    spec.stdin_grace = Duration::from_millis(1);
    let never = |_: Process| std::future::pending::<Result<(), String>>();
    supervise(policy, Program::new(spec, never)).expect("a valid policy")
}

#[tokio::test]
async fn a_thousand_tries_leave_nothing() {
    let mark = Mark::new();
    // What the first one brings stays: the thread that forks, what tokio opens.
    let first = never_ready(&mark);
    first.start();
    let failed = first.watch().wait_for(|status| status.incarnation > 1).await.is_ok();
    assert!(failed);
    first.stop().await;
    drop(first);
    mark.gone().await;
    let baseline = descriptors();

    let all: Vec<_> = (0..AT_ONCE).map(|_| never_ready(&mark)).collect();
    all.iter().for_each(Supervised::start);
    for supervised in &all {
        let mut watch = supervised.watch();
        let tries = watch.wait_for(|status| status.incarnation > TRIES / AT_ONCE);
        assert!(time::timeout(Duration::from_secs(120), tries).await.unwrap().is_ok());
    }
    for supervised in all {
        timed(supervised.stop()).await;
    }
    mark.assert_gone();
    assert_eq!((children(), descriptors()), (0, baseline));
}
