//! The task that probes, on paused time.

#![cfg(feature = "tokio")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_health::{Config, Outcome, Prober, State};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

const INTERVAL: Duration = Duration::from_secs(30);

fn counted(outcome: Outcome) -> (Arc<AtomicUsize>, Prober) {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let prober = Prober::start(Config::default(), move || {
        counting.fetch_add(1, Ordering::Relaxed);
        std::future::ready(outcome.clone())
    });
    (count, prober.expect("the default means something"))
}

#[tokio::test(start_paused = true)]
async fn asks_once_an_interval_and_stops_when_dropped() {
    let (count, prober) = counted(Outcome::Good);
    let mut state = prober.watch();
    timeout(INTERVAL, state.wait_for(|state| *state == State::Healthy)).await.unwrap().unwrap();
    sleep(INTERVAL * 100).await;
    let asked = count.load(Ordering::Relaxed);
    assert!((90..=112).contains(&asked), "{asked} in a hundred intervals");
    drop(prober);
    sleep(INTERVAL * 10).await;
    assert_eq!(count.load(Ordering::Relaxed), asked);
}

#[tokio::test(start_paused = true)]
async fn many_do_not_ask_at_the_same_moment() {
    let start = Instant::now();
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let probers: Vec<_> = (0..100)
        .map(|_| {
            let times = Arc::clone(&times);
            Prober::start(Config::default(), move || {
                times.lock().unwrap().push(start.elapsed().as_millis());
                std::future::ready(Outcome::Good)
            })
        })
        .collect();
    sleep(INTERVAL).await;
    let mut times = times.lock().unwrap().clone();
    assert!(times.len() >= 100 && probers.len() == 100);
    times.sort_unstable();
    let most = times.windows(11).map(|near| near[10] - near[0]).min().unwrap();
    assert!(most > 100, "eleven within {most} ms");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_unhealthy_and_never_asked_twice_at_a_time() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    struct Guard(Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let mut config = Config::default();
    config.timeout = INTERVAL * 2;
    let (running_now, most_at_once) = (Arc::clone(&running), Arc::clone(&most));
    let prober = Prober::start(config, move || {
        let now = running_now.fetch_add(1, Ordering::Relaxed) + 1;
        most_at_once.fetch_max(now, Ordering::Relaxed);
        let guard = Guard(Arc::clone(&running_now));
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Outcome::Good
        }
    })
    .unwrap();
    let mut state = prober.watch();
    state.wait_for(|state| *state == State::Unhealthy).await.unwrap();
    assert_eq!(most.load(Ordering::Relaxed), 1);
    let report = prober.passive().report();
    assert_eq!(report.trouble.as_deref(), Some("no answer within 60s"));
    assert_eq!((report.checks, report.checks_failed), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_is_not_asked() {
    let (count, prober) = counted(Outcome::Bad("it is".into()));
    for _ in 0..1000 {
        prober.passive().succeeded(Duration::from_millis(1));
        sleep(INTERVAL / 10).await;
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert_eq!(prober.passive().report().state, State::Healthy);
    let mut state = prober.watch();
    let unhealthy = state.wait_for(|state| *state == State::Unhealthy);
    timeout(INTERVAL * 5, unhealthy).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_are_heard_of_at_once_where_they_are_news() {
    let (_, prober) = counted(Outcome::Bad("it is".into()));
    let mut state = prober.watch();
    state.wait_for(|state| *state == State::Unhealthy).await.unwrap();
    let passive = prober.passive();
    passive.succeeded(Duration::from_millis(1));
    passive.succeeded(Duration::from_millis(1));
    assert_eq!(passive.state(), State::Healthy);
    for _ in 0..20 {
        passive.failed();
    }
    assert_eq!(passive.state(), State::Degraded);
    passive.reset();
    assert_eq!(passive.state(), State::Unknown);
    passive.succeeded(Duration::ZERO);
    assert_eq!(passive.state(), State::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_probe_may_take_part_in_other_things() {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let prober = Prober::start(Config::default(), move || {
        told.notify_one();
        async { Outcome::Unsupported }
    });
    asked.notified().await;
    drop(prober.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_news_counts_as_one_for_the_next_probe() {
    for _ in 0..50 {
        let (count, prober) = counted(Outcome::Bad("it is".into()));
        prober.passive().succeeded(Duration::from_millis(1));
        sleep(INTERVAL / 2).await;
        assert_eq!(count.load(Ordering::Relaxed), 0, "the first one may have come, no second one");
    }
}
