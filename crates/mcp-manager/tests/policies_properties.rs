//! Whatever happens to replicas, what may do harm is sent once, and what is repeated has a limit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod troupe;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use tokio::time::sleep;

use self::troupe::{Troupe, call_marked, fleet};

const REPLICAS: usize = 3;
const RETRIES: usize = 3;
/// Everything that repeats calls, at its most eager.
const BLOCK: &str = r#"{"hedge": "20ms", "attemptTimeout": "50ms", "callTimeout": "2s",
    "retries": 3, "retryBudget": 100}"#;

#[derive(Clone, Debug)]
enum Event {
    /// A call that may change something.
    Act,
    /// A call that only reads.
    Read,
    Kill(Index),
    Release(Index),
    Hold(Index),
    /// New lives cannot begin, or can again.
    Refuse(bool),
    /// Nobody says anything any more, or everybody does.
    Mute(bool),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Act),
        4 => Just(Event::Read),
        2 => any::<Index>().prop_map(Event::Kill),
        2 => any::<Index>().prop_map(Event::Release),
        1 => any::<Index>().prop_map(Event::Hold),
        1 => any::<bool>().prop_map(Event::Refuse),
        1 => any::<bool>().prop_map(Event::Mute),
        4 => (1_u64..200).prop_map(Event::Wait),
    ]
}

/// How often each call was heard by some life: those that act, and those that read.
async fn play(events: Vec<Event>) -> (Vec<usize>, Vec<usize>) {
    let troupe = Troupe::modern();
    let definition = troupe.under(REPLICAS, BLOCK);
    let fleet = fleet(vec![definition]).await;
    let (mut acts, mut reads) = (Vec::new(), Vec::new());
    let mut calls = tokio::task::JoinSet::new();
    for (number, event) in events.into_iter().enumerate() {
        let (tool, marks) = match event {
            Event::Act => ("hold", &mut acts),
            Event::Read => ("peek", &mut reads),
            Event::Kill(which) => {
                troupe.kill(which.index(troupe.lives()));
                continue;
            }
            Event::Release(which) => {
                troupe.release(which.index(troupe.lives()));
                continue;
            }
            Event::Hold(which) => {
                troupe.hold(which.index(troupe.lives()));
                continue;
            }
            Event::Refuse(refuses) => {
                troupe.refuses.store(refuses, Ordering::Relaxed);
                continue;
            }
            Event::Mute(mute) => {
                troupe.mute.store(mute, Ordering::Relaxed);
                continue;
            }
            Event::Wait(millis) => {
                sleep(Duration::from_millis(millis)).await;
                continue;
            }
        };
        let mark = format!("call-{number}.");
        marks.push(mark.clone());
        let fleet = Arc::clone(&fleet);
        calls.spawn(async move { call_marked(&fleet, "a", tool, &mark).await });
    }
    // Every call ends, however it does.
    calls.join_all().await;
    let told = |mark: &String| (0..troupe.lives()).map(|life| troupe.told(life, mark)).sum();
    (acts.iter().map(told).collect(), reads.iter().map(told).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_may_change_something_reaches_at_most_one_replica_once(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let (acts, reads) = runtime.block_on(play(events));
        for told in acts {
            prop_assert!(told <= 1, "sent {told} times");
        }
        // Each attempt may have a second one beside it, at the most.
        for told in reads {
            prop_assert!(told <= 2 * (1 + RETRIES), "sent {told} times");
        }
    }
}
