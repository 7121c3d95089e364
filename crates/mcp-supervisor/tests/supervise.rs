//! The shell of supervision, on paused time: these tests wait for nothing.
#![cfg(feature = "tokio")]

mod stage;

use std::time::Duration;

use mcp_supervisor::{GaveUp, Phase, Policy, Restart, Status, Supervised, Unready, supervise};
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

#[tokio::test(start_paused = true)]
async fn what_was_stable_is_launched_again_at_once() {
    let (supervised, stage) = started(policy(), [Act::dies(secs(60)), Act::well()]);
    until(&supervised, |status| status.incarnation == 2).await;
    supervised.ready().await.unwrap();
    assert_eq!(stage.log(), "0:launch1 0:ready 60:gone1 60:launch2 60:ready");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_late_has_failed_and_is_ended_first() {
    let slow = Act::well().starting_in(secs(61)).ending_in(secs(3));
    let (supervised, stage) = started(policy(), [slow, Act::well()]);
    let started = time::Instant::now();
    let late = supervised.ready().await.unwrap_err();
    assert_eq!(started.elapsed(), secs(63), "it waits for a start, but for no pause after it");
    let Unready::Failing { error, until } = late else { panic!("{late:?}") };
    assert_eq!(error, "not ready within 60s");
    assert_eq!(until, (started + secs(64)).into_std());
    assert!(supervised.running().is_none());

    self::until(&supervised, |status| status.incarnation == 2).await;
    assert_eq!(supervised.ready().await.unwrap().number, 2);
    assert_eq!(stage.log(), "0:launch1 63:abandoned 64:launch2 64:ready");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_start_says_why_at_once() {
    let (supervised, stage) = started(policy(), [Act::refuses("no such program"), Act::well()]);
    let Err(Unready::Failing { error, .. }) = supervised.ready().await else { panic!() };
    assert_eq!(error, "no such program");
    until(&supervised, |status| status.incarnation == 2).await;
    supervised.ready().await.unwrap();
    assert_eq!(supervised.status().error.as_deref(), Some("no such program"), "until it ends well");
    assert_eq!(stage.log(), "0:launch1 0:abandoned 1:launch2 1:ready");
}

#[tokio::test(start_paused = true)]
async fn whoever_needs_it_waits_for_the_restart_of_what_was_ready() {
    let (supervised, _) = started(policy(), [Act::dies(secs(5)), Act::well().starting_in(secs(2))]);
    assert_eq!(supervised.ready().await.unwrap().number, 1);
    until(&supervised, |status| matches!(status.phase, Phase::Backoff { .. })).await;
    let died = time::Instant::now();
    assert_eq!(supervised.ready().await.unwrap().number, 2);
    assert_eq!(died.elapsed(), secs(1 + 2));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_handed_out_no_more_while_it_is_cleared_away() {
    let (supervised, stage) = started(policy(), [Act::dies(secs(5)).ending_in(secs(4))]);
    let player = supervised.ready().await.unwrap();
    until(&supervised, |status| status.phase != Phase::Running).await;
    assert!(supervised.running().is_none());
    assert_eq!(stage.alive(), 1);
    assert_eq!(std::sync::Arc::strong_count(&player), 2, "the test's, and that which is ended");
    until(&supervised, |status| matches!(status.phase, Phase::Backoff { .. })).await;
    assert_eq!((stage.alive(), stage.log()), (0, "0:launch1 0:ready 9:gone1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_normal_is_the_end_of_what_is_transient() {
    let mut transient = policy();
    transient.restart = Restart::Transient;
    let acts = [Act::dies(secs(1)), Act::ends(secs(1)), Act::well()];
    let (supervised, stage) = started(transient, acts);
    until(&supervised, |status| status.phase == Phase::Stopped).await;
    assert_eq!(supervised.status().error, None);
    assert_eq!(supervised.ready().await.unwrap_err(), Unready::Stopped);
    assert_eq!(stage.log(), "0:launch1 0:ready 1:gone1 2:launch2 2:ready 3:gone2");
    supervised.start();
    assert_eq!(supervised.ready().await.unwrap().number, 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_returns_when_nothing_is_left() {
    let act = || Act::well().starting_in(secs(10)).ending_in(secs(4));
    for stopped_after in [1, 5, 10, 20] {
        let (supervised, stage) = started(policy(), [act()]);
        time::sleep(secs(stopped_after)).await;
        let asked = time::Instant::now();
        let (one, two) = (supervised.clone(), supervised.clone());
        tokio::join!(one.stop(), two.stop());
        assert_eq!(asked.elapsed(), secs(4), "stopped after {stopped_after} s");
        assert_eq!((stage.alive(), supervised.status().phase), (0, Phase::Stopped));
        let quick = time::Instant::now();
        supervised.stop().await;
        assert_eq!(supervised.ready().await.unwrap_err(), Unready::Stopped);
        assert_eq!(quick.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_faster_than_the_start_leaves_nothing_to_start() {
    let (supervised, stage) = started(policy(), [Act::well()]);
    supervised.stop().await;
    time::sleep(secs(10)).await;
    assert_eq!(stage.log(), "0:abandoned");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_nobody_waits_for_goes_on() {
    let (supervised, stage) = started(policy(), [Act::well().ending_in(secs(4))]);
    supervised.ready().await.unwrap();
    time::timeout(secs(1), supervised.stop()).await.unwrap_err();
    assert_eq!(supervised.ready().await.unwrap_err(), Unready::Stopped, "no use in waiting");
    time::sleep(secs(4)).await;
    assert_eq!(stage.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_started_again_while_it_stops_does_not_hold_up_who_stopped_it() {
    let (supervised, stage) = started(policy(), [Act::well().ending_in(secs(4))]);
    supervised.ready().await.unwrap();
    let stops = supervised.clone();
    let stop = tokio::spawn(async move { stops.stop().await });
    time::sleep(secs(1)).await;
    supervised.start();
    assert_eq!(supervised.ready().await.unwrap().number, 2);
    stop.await.unwrap();
    assert_eq!(stage.log(), "0:launch1 0:ready 4:gone1 4:launch2 4:ready");
}

#[tokio::test(start_paused = true)]
async fn a_restart_starts_the_new_when_the_old_is_gone() {
    let (supervised, stage) = started(policy(), [Act::well().ending_in(secs(4))]);
    supervised.ready().await.unwrap();
    assert_eq!(supervised.restart().await.unwrap().number, 2);
    assert_eq!(stage.log(), "0:launch1 0:ready 4:gone1 4:launch2 4:ready");
    let stats = supervised.stats();
    assert_eq!((stats.started, stats.stopped, stats.restarted, stats.failed), (2, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_called_no_good_is_ended_and_comes_back_as_the_policy_says() {
    let (supervised, stage) = started(policy(), [Act::well()]);
    let first = supervised.ready().await.unwrap();
    time::sleep(secs(5)).await;
    supervised.fail(&first, "does not answer".to_owned());
    supervised.fail(&first, "late".to_owned());
    assert!(supervised.running().is_none());
    assert_eq!(supervised.ready().await.unwrap().number, 2);
    assert_eq!(supervised.status().error.as_deref(), Some("does not answer"));
    supervised.fail(&first, "late".to_owned());
    time::sleep(secs(1)).await;
    assert_eq!(supervised.running().unwrap().number, 2, "a verdict on the first is not on it");
    assert_eq!(stage.log(), "0:launch1 0:ready 5:gone1 6:launch2 6:ready");
    assert_eq!(supervised.stats().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_it() {
    let (supervised, stage) = started(policy(), [Act::well().ending_in(secs(4))]);
    let other = supervised.clone();
    let mut status = supervised.watch();
    supervised.ready().await.unwrap();
    drop(supervised);
    time::sleep(secs(10)).await;
    assert_eq!(stage.alive(), 1);
    drop(other);
    status.wait_for(|status| status.phase == Phase::Stopped).await.unwrap();
    assert_eq!((stage.alive(), stage.log()), (0, "0:launch1 0:ready 14:gone1".to_owned()));
    assert!(status.changed().await.is_err(), "its task has ended too");
}

#[tokio::test(start_paused = true)]
async fn a_nudge_is_worth_one_attempt_a_second() {
    let mut hurried = policy();
    (hurried.nudge, hurried.restarts_max) = (true, None);
    let (supervised, stage) = started(hurried, [Act::refuses("down")]);
    for _ in 0..1000 {
        time::sleep(Duration::from_millis(10)).await;
        supervised.nudge();
    }
    let launches = stage.log().matches("launch").count();
    assert_eq!(launches, 10, "in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_task_that_has_panicked() {
    let (supervised, _) = started(policy(), []);
    assert_eq!(supervised.ready().await.unwrap_err(), Unready::Stopped);
    supervised.start();
    assert_eq!(supervised.restart().await.unwrap_err(), Unready::Stopped);
    supervised.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_say_different_things_at_once_end_in_what_the_last_one_said() {
    let mut patient = policy();
    (patient.restarts_max, patient.backoff.first) = (None, Duration::from_millis(1));
    patient.backoff.max = Duration::from_millis(1);
    let dies = Act::dies(Duration::from_millis(1));
    let (supervised, stage) = started(patient, [dies, Act::refuses("no"), Act::well()]);
    let tasks: Vec<_> = (0..8).map(|task| tokio::spawn(tell(supervised.clone(), task))).collect();
    for task in tasks {
        time::timeout(secs(60), task).await.expect("nobody waits forever").unwrap();
    }
    supervised.stop().await;
    assert_eq!((stage.alive(), supervised.status().phase), (0, Phase::Stopped));
    time::timeout(secs(60), supervised.restart()).await.unwrap().unwrap();
}

/// Looks at it from inside of a status, too.
async fn tell(supervised: Supervised<Stage>, task: usize) {
    for step in 0..300 {
        match (step * 7 + task) % 6 {
            0 => supervised.stop().await,
            1 => drop(supervised.restart().await),
            2 => drop(supervised.ready().await),
            3 => until(&supervised, |_| supervised.running().is_some() || step > 0).await,
            4 => {
                let running = supervised.running();
                running.into_iter().for_each(|one| supervised.fail(&one, "no good".to_owned()));
            }
            _ => supervised.start(),
        }
    }
}

#[tokio::test]
async fn a_policy_that_means_nothing_is_refused() {
    let mut policy = policy();
    policy.start_timeout = Duration::ZERO;
    let refused = supervise(policy, Stage::new([])).unwrap_err();
    assert_eq!(refused.to_string(), "start_timeout must be longer than zero");
}
