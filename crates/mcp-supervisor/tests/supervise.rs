//! The shell of supervision, on paused time: these tests wait for nothing.
#![cfg(feature = "tokio")]

mod stage;

use std::time::Duration;

use mcp_supervisor::{GaveUp, Phase, Policy, Status, Supervised, Unready, supervise};
use stage::{Act, Stage};
use tokio::time;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.backoff.jitter = 0.0;
    policy
}

fn started(policy: Policy, acts: impl IntoIterator<Item = Act>) -> (Supervised<Stage>, Stage) {
    let stage = Stage::new(acts);
    let supervised = supervise(policy, stage.clone()).expect("a valid policy");
    supervised.start();
    (supervised, stage)
}

async fn until(supervised: &Supervised<Stage>, what: impl FnMut(&Status<String>) -> bool) {
    supervised.watch().wait_for(what).await.expect("it is supervised");
}

#[tokio::test(start_paused = true)]
async fn what_crashes_is_launched_again_after_pauses_that_double_and_then_given_up() {
    let (supervised, stage) = started(policy(), [Act::dies(secs(10))]);
    until(&supervised, |status| matches!(status.phase, Phase::Failed(_))).await;
    let launches: Vec<_> =
        stage.log().split(' ').filter(|w| w.contains("launch")).map(str::to_owned).collect();
    // Ten seconds of life, then 1, 2, 4, 8, 16, 32, 60 and 60 s.
    let at = ["0", "11", "23", "37", "55", "81", "123", "193", "263"];
    let expected: Vec<_> = at.iter().zip(1..).map(|(at, n)| format!("{at}:launch{n}")).collect();
    assert_eq!(launches, expected);
    let status = supervised.status();
    assert_eq!(status.phase, Phase::Failed(GaveUp::TooManyRestarts));
    assert_eq!(status.error.as_deref(), Some("died"));
    time::sleep(secs(100_000)).await;
    assert_eq!(supervised.status().incarnation, 9, "nothing starts until it is told to");
    assert_eq!(
        supervised.ready().await.unwrap_err(),
        Unready::Failed { error: Some("died".into()) }
    );

    let ready = supervised.restart().await.unwrap();
    assert_eq!(ready.number, 10);
    let stats = supervised.stats();
    assert_eq!((stats.started, stats.restarted, stats.failed, stats.given_up), (10, 8, 9, 1));
}
