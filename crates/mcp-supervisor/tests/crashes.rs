//! A program that crashes, a thousand times, with a helper that has left its session. Alone in its
//! process, because it counts what the process holds.
#![cfg(all(feature = "tokio", feature = "shim", target_os = "linux"))]

mod common;

use std::time::Duration;

use common::{Mark, children, descriptors, timed};
use mcp_supervisor::{Launch, Policy, Process, Program, Supervised, supervise};
use tokio::time;

const AT_ONCE: u64 = 8;
const CYCLES: u64 = 1000;

/// A shell around a server with two helpers, one of which also lost its parent. The server is killed
/// as the kernel would do it when memory runs out, or ends with an error.
const CRASHES: [&str; 2] = [
    "setsid sh -c 'sleep 1000; :' & (setsid sleep 1000 &); sh -c 'kill -9 $$'; exit 1",
    "setsid sh -c 'sleep 1000; :' & (setsid sleep 1000 &); kill -9 $$",
];

fn crashing(mark: &Mark, script: &str) -> Supervised<impl Launch> {
    let mut policy = Policy::default();
    (policy.backoff.max, policy.restarts_max) = (Duration::from_millis(1), None);
    policy.backoff.first = policy.backoff.max;
    let ready = |_: Process| std::future::ready(Ok(()));
    supervise(policy, Program::new(mark.shimmed(script), ready)).expect("a valid policy")
}

async fn crashes(supervised: &Supervised<impl Launch>, cycles: u64) {
    let mut watch = supervised.watch();
    let crashed = watch.wait_for(|status| status.incarnation > cycles);
    assert!(time::timeout(Duration::from_secs(120), crashed).await.expect("in time").is_ok());
}

#[tokio::test]
async fn a_thousand_cycles_leave_nothing() {
    let mark = Mark::new();
    // What the first one brings stays: the thread that forks, what tokio opens.
    let first = crashing(&mark, CRASHES[0]);
    first.start();
    crashes(&first, 1).await;
    timed(first.stop()).await;
    drop(first);
    let baseline = descriptors();

    let scripts = CRASHES.iter().cycle().take(AT_ONCE as usize);
    let all: Vec<_> = scripts.map(|script| crashing(&mark, script)).collect();
    all.iter().for_each(Supervised::start);
    for supervised in &all {
        crashes(supervised, CYCLES / AT_ONCE).await;
    }
    for supervised in all {
        timed(supervised.stop()).await;
    }
    mark.assert_gone();
    assert_eq!((children(), descriptors()), (0, baseline));
}
