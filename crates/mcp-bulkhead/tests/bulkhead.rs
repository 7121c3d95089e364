//! The shell: who waits, who is refused, and that nothing is lost when somebody goes away.

#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_bulkhead::{Adaptive, Ask, Bulkhead, Config, Rejected, Sample};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

fn bulkhead(limit: usize, queued_max: usize) -> Arc<Bulkhead> {
    let mut config = Config::default();
    (config.limit, config.queued_max) = (limit, queued_max);
    Arc::new(Bulkhead::new(config).unwrap())
}

/// Lets everything happen that takes no time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_and_a_long_wait_in_time() {
    let bulkhead = bulkhead(1, 1);
    let _held = bulkhead.try_permit_owned().unwrap();
    let waiting = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.permit_owned(Ask::default()).await.map(drop) }
    });
    settle().await;
    let begun = Instant::now();
    let refused = bulkhead.permit(Ask::default()).await.unwrap_err();
    assert_eq!(refused, Rejected::QueueFull { limit: 1, queued: 1 });
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let late = waiting.await.unwrap().unwrap_err();
    assert_eq!(late, Rejected::WaitedTooLong { after: Duration::from_secs(5) });
    let stats = bulkhead.stats();
    assert_eq!((stats.refused, stats.timed_out, stats.queued, stats.in_flight), (1, 1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_less_waiting_pushes_out_whoever_has_most() {
    let bulkhead = bulkhead(1, 3);
    let held = bulkhead.try_permit_owned().unwrap();
    let mut greedy = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let bulkhead = Arc::clone(&bulkhead);
        greedy.spawn(async move { bulkhead.permit_owned(Ask::of(1)).await.map(drop) });
    }
    settle().await;
    let modest = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.permit_owned(Ask::of(2)).await.map(drop) }
    });
    settle().await;
    drop(held);
    assert_eq!(modest.await.unwrap(), Ok(()));
    let outcomes = greedy.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_has_no_place_and_no_permit() {
    let bulkhead = bulkhead(1, 10);
    for _ in 0..100 {
        let held = bulkhead.try_permit_owned().unwrap();
        let spawn = || {
            let bulkhead = Arc::clone(&bulkhead);
            tokio::spawn(async move { bulkhead.permit_owned(Ask::default()).await.map(drop) })
        };
        let (gone, stays) = (spawn(), spawn());
        settle().await;
        gone.abort();
        drop(held);
        assert_eq!(stays.await.unwrap(), Ok(()));
        assert_eq!((bulkhead.in_flight(), bulkhead.stats().queued), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_refused_when_others_always_wait() {
    let mut config = Config::default();
    (config.limit, config.queued_max) = (1, 1_000);
    config.stale_after = Some(Duration::from_millis(50));
    config.wait_max = Duration::from_secs(60);
    let bulkhead = Arc::new(Bulkhead::new(config).unwrap());
    let mut calls = tokio::task::JoinSet::new();
    // Twice as many as can be done.
    for _ in 0..1_000 {
        let bulkhead = Arc::clone(&bulkhead);
        calls.spawn(async move {
            let waited = Instant::now();
            let _permit = bulkhead.permit_owned(Ask::default()).await.ok()?;
            let waited = waited.elapsed();
            sleep(Duration::from_millis(10)).await;
            Some(waited)
        });
        sleep(Duration::from_millis(5)).await;
    }
    let outcomes = calls.join_all().await;
    let served: Vec<Duration> = outcomes.into_iter().flatten().collect();
    let late =
        served.iter().skip(200).filter(|waited| **waited > Duration::from_millis(60)).count();
    assert!(served.len() >= 480, "the server was never idle: {}", served.len());
    assert_eq!(late, 0, "who is served has not waited for long");
    assert!(bulkhead.stats().stale > 300);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_grows_lets_in_who_waits() {
    let bulkhead = bulkhead(1, 10);
    let _held = bulkhead.try_permit_owned().unwrap();
    let waiting = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.permit_owned(Ask::default()).await.map(drop) }
    });
    settle().await;
    bulkhead.set_limit(2);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

/// A server that does `slots` calls at a time in 10 ms each, under twice as many as it can do.
#[tokio::test(start_paused = true)]
async fn a_limit_is_found_under_load() {
    let mut config = Config::default();
    config.limit = 1;
    config.queued_max = 1_000;
    config.adaptive = Some(Adaptive::default());
    let bulkhead = Arc::new(Bulkhead::new(config).unwrap());
    let slots = Arc::new(tokio::sync::Semaphore::new(16));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (bulkhead, slots) = (Arc::clone(&bulkhead), Arc::clone(&slots));
        calls.spawn(async move {
            for _ in 0..300 {
                let Ok(permit) = bulkhead.permit(Ask::default()).await else { continue };
                let begun = Instant::now();
                let slot = slots.acquire().await.unwrap();
                sleep(Duration::from_millis(10)).await;
                drop(slot);
                permit.finish(Sample::Answered, begun.elapsed());
            }
        });
    }
    calls.join_all().await;
    let limit = bulkhead.limit();
    assert!((12..=60).contains(&limit), "{limit}");
}

/// Calls of each tenant that were done, of an aggressor with a hundred times the calls of the others.
#[tokio::test(start_paused = true)]
async fn one_with_a_hundred_times_the_calls_has_its_share() {
    const TENANTS: usize = 5;
    let bulkhead = bulkhead(4, 64);
    let done: Arc<[AtomicUsize; TENANTS]> = Arc::default();
    let end = Instant::now() + Duration::from_secs(10);
    let mut calls = tokio::task::JoinSet::new();
    for tenant in 0..TENANTS {
        for _ in 0..if tenant == 0 { 400 } else { 4 } {
            let (bulkhead, done) = (Arc::clone(&bulkhead), Arc::clone(&done));
            calls.spawn(async move {
                while Instant::now() < end {
                    let Ok(_permit) = bulkhead.permit(Ask::of(tenant as u64)).await else {
                        sleep(Duration::from_millis(20)).await;
                        continue;
                    };
                    sleep(Duration::from_millis(10)).await;
                    done[tenant].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    calls.join_all().await;
    let done: Vec<f64> = done.iter().map(|done| done.load(Ordering::Relaxed) as f64).collect();
    let sum: f64 = done.iter().sum();
    let squares: f64 = done.iter().map(|done| done * done).sum();
    let jain = sum * sum / (done.len() as f64 * squares);
    assert!(jain >= 0.99, "{jain:.4}: {done:?}");
    assert!(sum >= 0.95 * 4.0 * 1_000.0, "nothing was idle: {sum}");
}

#[derive(Clone, Debug)]
enum Event {
    Try,
    Wait { tenant: u64, priority: u8 },
    GiveBack(usize),
    Abort(usize),
    Limit(usize),
    Pause(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Try),
        6 => (0_u64..4, 0_u8..12).prop_map(|(tenant, priority)| Event::Wait { tenant, priority }),
        5 => any::<usize>().prop_map(Event::GiveBack),
        2 => any::<usize>().prop_map(Event::Abort),
        1 => (1_usize..5).prop_map(Event::Limit),
        2 => (0_u64..3_000).prop_map(Event::Pause),
    ]
}

proptest! {
    #[test]
    fn whatever_is_cancelled_the_limit_holds_and_nothing_is_left_free_beside_who_waits(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let bulkhead = bulkhead(3, 8);
            let (mut held, mut waiting) = (Vec::new(), Vec::new());
            let mut most = 3;
            for event in events {
                match event {
                    Event::Try => held.extend(bulkhead.try_permit_owned()),
                    Event::Wait { tenant, priority } => {
                        let bulkhead = Arc::clone(&bulkhead);
                        let ask = Ask::of(tenant).with_priority(priority);
                        waiting.push(tokio::spawn(async move { bulkhead.permit_owned(ask).await }));
                    }
                    Event::GiveBack(which) if !held.is_empty() => {
                        drop(held.swap_remove(which % held.len()));
                    }
                    Event::Abort(which) if !waiting.is_empty() => {
                        waiting.swap_remove(which % waiting.len()).abort();
                    }
                    Event::Limit(limit) => {
                        bulkhead.set_limit(limit);
                        most = most.max(limit);
                    }
                    Event::Pause(millis) => sleep(Duration::from_millis(millis)).await,
                    Event::GiveBack(_) | Event::Abort(_) => {}
                }
                settle().await;
                for index in (0..waiting.len()).rev() {
                    if waiting[index].is_finished() {
                        held.extend(waiting.swap_remove(index).await.unwrap());
                    }
                }
                let stats = bulkhead.stats();
                prop_assert_eq!(stats.in_flight, held.len());
                prop_assert!(held.len() <= most, "{} of {}", held.len(), most);
                prop_assert!(stats.queued <= 8);
                prop_assert!(stats.queued == 0 || held.len() >= stats.limit, "{stats:?}");
            }
            // Everybody who waits is served in the end.
            held.clear();
            while !waiting.is_empty() {
                settle().await;
                let before = waiting.len();
                for index in (0..waiting.len()).rev() {
                    if waiting[index].is_finished() {
                        drop(waiting.swap_remove(index).await.unwrap());
                    }
                }
                prop_assert!(waiting.len() < before, "somebody starves");
            }
            prop_assert_eq!(bulkhead.in_flight(), 0);
            Ok(())
        })?;
    }
}

/// Threads that take, wait, give up and give back at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_never_have_more_than_there_are() {
    let bulkhead = bulkhead(3, 64);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut calls = tokio::task::JoinSet::new();
    for tenant in 0..32 {
        let (bulkhead, now, most) = (Arc::clone(&bulkhead), Arc::clone(&now), Arc::clone(&most));
        calls.spawn(async move {
            for round in 0..200_u64 {
                if round % 7 == 0 {
                    // Given up as soon as it waits.
                    let waiting = bulkhead.permit(Ask::of(tenant));
                    let _ = tokio::time::timeout(Duration::ZERO, waiting).await;
                    continue;
                }
                let Ok(permit) = bulkhead.permit(Ask::of(tenant)).await else { continue };
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        });
    }
    calls.join_all().await;
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!((bulkhead.in_flight(), bulkhead.stats().queued), (0, 0));
}
