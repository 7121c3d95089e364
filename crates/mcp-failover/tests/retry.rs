//! What is done for calls: the core by hand, the shell on paused time, and the budget from threads.

#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp_failover::{
    Attempt, Attempts, Budget, BudgetConfig, Call, Expected, Failure, Hedge, Kind, Policy, Reason,
    Retry, Safety, Sent, Step, Verdict,
};
use proptest::prelude::*;
use tokio::time::sleep;

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn start() -> Instant {
    Instant::now()
}

fn budget(now: Instant) -> Arc<Budget> {
    Arc::new(Budget::new(&BudgetConfig::default(), now).unwrap())
}

fn judge(result: &Result<u32, Failure>) -> Verdict {
    match result {
        Ok(_) => Verdict::Answer,
        Err(failure) => Verdict::Failure(*failure),
    }
}

fn safe(safety: Safety) -> Call {
    Call { safety, deadline: None }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_again_until_it_is_answered_or_all_attempts_were_made() {
    let retry = Retry::new(Policy::default(), budget(start())).unwrap();
    let second = |attempt: Attempt| async move {
        if attempt.number < 2 { Err(Failure::PERHAPS) } else { Ok(attempt.number) }
    };
    let answered = retry.run(safe(Safety::Idempotent), second, judge).await;
    assert_eq!(answered.unwrap().unwrap(), 2);
    let never = |_| async { Err::<u32, _>(Failure::PERHAPS) };
    let gave_up = retry.run(safe(Safety::Idempotent), never, judge).await.unwrap_err();
    assert_eq!((gave_up.reason, gave_up.attempts), (Reason::AttemptsSpent, 3));
    let stats = retry.stats();
    assert_eq!((stats.retries, stats.retries_won, stats.gave_up()), (3, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_do_harm_twice_is_made_again_only_if_it_never_left() {
    let retry = Retry::new(Policy::default(), budget(start())).unwrap();
    let made = AtomicUsize::new(0);
    let attempt = |failure| {
        let made = &made;
        move |_| {
            made.fetch_add(1, Ordering::Relaxed);
            async move { Err::<u32, _>(failure) }
        }
    };
    let gave_up =
        retry.run(safe(Safety::Unsafe), attempt(Failure::PERHAPS), judge).await.unwrap_err();
    assert_eq!((gave_up.reason, made.swap(0, Ordering::Relaxed)), (Reason::UnsafeToRepeat, 1));
    assert!(gave_up.may_have_acted);
    let gave_up =
        retry.run(safe(Safety::Unsafe), attempt(Failure::NEVER_SENT), judge).await.unwrap_err();
    assert_eq!((gave_up.attempts, gave_up.may_have_acted), (3, false));
}

#[tokio::test(start_paused = true)]
async fn what_only_reads_and_is_late_is_sent_twice_and_the_slower_one_is_dropped() {
    let mut policy = Policy::default();
    let mut hedge = Hedge::default();
    hedge.samples_min = 10;
    policy.hedge = Some(hedge);
    let retry = Retry::new(policy, budget(start())).unwrap();
    let call = safe(Safety::ReadOnly);
    for _ in 0..50 {
        let quick = |_| async {
            sleep(Duration::from_millis(10)).await;
            Ok::<u32, Failure>(0)
        };
        retry.run(call, quick, judge).await.unwrap().unwrap();
    }
    let dropped = RefCell::new(0);
    struct Dropped<'a>(&'a RefCell<u32>);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            *self.0.borrow_mut() += 1;
        }
    }
    let begun = tokio::time::Instant::now();
    let slow_first = |attempt: Attempt| {
        let guard = Dropped(&dropped);
        async move {
            let _guard = guard;
            let first = attempt.kind == Kind::First;
            sleep(if first { Duration::from_secs(60) } else { Duration::from_millis(5) }).await;
            Ok::<u32, Failure>(attempt.number)
        }
    };
    assert_eq!(retry.run(call, slow_first, judge).await.unwrap().unwrap(), 2);
    assert!(begun.elapsed() < Duration::from_millis(30), "{:?}", begun.elapsed());
    assert_eq!((*dropped.borrow(), retry.stats().hedges_won), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_everything_and_no_attempt_begins_that_could_not_be_answered() {
    let retry = Retry::new(Policy::default(), budget(start())).unwrap();
    let deadline = Some((tokio::time::Instant::now() + Duration::from_secs(1)).into_std());
    let call = Call { safety: Safety::ReadOnly, deadline };
    let begun = tokio::time::Instant::now();
    let silent = |_| std::future::pending::<Result<u32, Failure>>();
    let gave_up = retry.run(call, silent, judge).await.unwrap_err();
    assert_eq!(
        (gave_up.reason, begun.elapsed()),
        (Reason::DeadlineExceeded, Duration::from_secs(1))
    );
    let waits = Failure { sent: Sent::Never, retry_after: Some(Duration::from_secs(2)) };
    let deadline = Some((tokio::time::Instant::now() + Duration::from_secs(1)).into_std());
    let told = |_| async move { Err::<u32, _>(waits) };
    let gave_up = retry.run(Call { deadline, ..call }, told, judge).await.unwrap_err();
    assert_eq!(gave_up.reason, Reason::NoTimeLeft);
}

#[test]
fn a_budget_is_never_exceeded_whoever_takes_from_it() {
    let now = start();
    let mut config = BudgetConfig::default();
    (config.ratio, config.min_per_sec, config.burst) = (0.1, 5, 20);
    let budget = Budget::new(&config, now).unwrap();
    let taken = AtomicUsize::new(0);
    const CALLS: usize = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for call in 0..CALLS / 4 {
                    budget.deposit();
                    let at = now + Duration::from_micros(call as u64 * 400);
                    taken.fetch_add(usize::from(budget.withdraw(at)), Ordering::Relaxed);
                }
            });
        }
    });
    // A tenth of the calls, five a second for two seconds, and what it began with; of each thread a call
    // may have been paid into a budget that was just full.
    let most = CALLS / 10 + 5 * 2 + 20 + 4;
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken <= most, "{taken} of {most}");
    assert!(taken >= CALLS / 10 / 2, "it is there to be used: {taken}");
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(u64),
    Answer,
    Fail(Sent, Option<u64>),
}

fn event() -> impl Strategy<Value = Event> {
    let sent = prop_oneof![Just(Sent::Never), Just(Sent::Perhaps)];
    prop_oneof![
        2 => (0_u64..400).prop_map(Event::Pass),
        1 => Just(Event::Answer),
        4 => (sent, prop::option::of(0_u64..8_000)).prop_map(|(sent, told)| Event::Fail(sent, told)),
    ]
}

proptest! {
    #[test]
    fn what_may_do_harm_is_out_once_and_every_call_comes_to_an_end(
        safety in prop_oneof![Just(Safety::Unsafe), Just(Safety::Idempotent), Just(Safety::ReadOnly)],
        attempts_max in 1_u32..6,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut now = start();
        let budget = budget(now);
        let mut policy = Policy::default();
        policy.attempts_max = attempts_max;
        policy.hedge = Some(Hedge::default());
        let deadline = Some(now + Duration::from_secs(5));
        let expected = Expected { attempt: Duration::from_millis(1), late: Some(Duration::from_millis(50)) };
        let mut attempts = Attempts::new(&policy, Call { safety, deadline }, expected);
        let (mut out, mut sent, mut perhaps) = (Vec::new(), 0, false);
        let mut over = false;
        for event in events.into_iter().chain(std::iter::repeat_n(Event::Pass(400), 20)) {
            loop {
                match attempts.step(now, &budget) {
                    Step::Send(attempt) => {
                        prop_assert!(safety != Safety::Unsafe || (!perhaps && out.is_empty()));
                        prop_assert!(safety == Safety::ReadOnly || out.is_empty());
                        sent += 1;
                        out.push(attempt.number);
                    }
                    Step::Wait(_) => break,
                    Step::GiveUp(_) => {
                        over = true;
                        break;
                    }
                }
            }
            prop_assert!(sent <= attempts_max);
            if over {
                break;
            }
            match event {
                Event::Pass(millis) => now += Duration::from_millis(millis),
                Event::Answer => {
                    if let Some(number) = out.pop() {
                        attempts.ended(number, Verdict::Answer, now, 0, &budget);
                        over = true;
                        break;
                    }
                }
                Event::Fail(how, told) => {
                    if let Some(number) = out.pop() {
                        perhaps |= how == Sent::Perhaps;
                        let retry_after = told.map(Duration::from_millis);
                        let failure = Failure { sent: how, retry_after };
                        attempts.ended(number, Verdict::Failure(failure), now, 7, &budget);
                    }
                }
            }
        }
        prop_assert!(over, "it never ended");
    }
}
