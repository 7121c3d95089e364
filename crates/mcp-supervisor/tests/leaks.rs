//! Alone in its process, because it counts what the process holds.
#![cfg(all(feature = "tokio", feature = "shim"))]

mod common;

use std::time::Duration;

use common::{Mark, children, descriptors, timed};
use mcp_supervisor::{Phase, Policy, Process, Program, supervise};

#[tokio::test]
async fn a_hundred_cycles_leave_no_descriptor_and_no_zombie() {
    let mark = Mark::new();
    let mut baseline = None;
    for round in 0..=100 {
        let spec = if round % 2 == 0 { mark.shimmed("cat") } else { mark.sh("cat") };
        let process = mark.plant(&spec, 1).await;
        process.stop().await;
        drop(process);
        assert_eq!(children(), 0);
        let now = descriptors();
        assert_eq!(*baseline.get_or_insert(now), now, "after round {round}");
    }
    a_hundred_crashes(&mark).await;
    assert_eq!((children(), Some(descriptors())), (0, baseline), "after a hundred crashes");
    mark.assert_gone();
}

/// Under supervision, until it is told to stop.
async fn a_hundred_crashes(mark: &Mark) {
    let mut policy = Policy::default();
    (policy.backoff.max, policy.restarts_max) = (Duration::from_millis(1), None);
    policy.backoff.first = policy.backoff.max;
    let ready = |_: Process| std::future::ready(Ok(()));
    let program = Program::new(mark.sh("(sleep 1000 &) ; exit 1"), ready);
    let supervised = supervise(policy, program).expect("a valid policy");
    supervised.start();
    let mut watch = supervised.watch();
    let crashes = watch.wait_for(|status| status.incarnation > 100);
    assert!(timed(crashes).await.0.is_ok());
    timed(supervised.stop()).await;
    assert_eq!(supervised.status().phase, Phase::Stopped);
    drop(supervised);
}
