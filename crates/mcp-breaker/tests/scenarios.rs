//! When a breaker opens and what closes it, told as stories.

mod common;

use std::sync::{Arc, Mutex};

use common::{World, config, ms};
use mcp_breaker::{Breaker, Cause, Outcome, State, Window};

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let mut world = World::new(|_| {});
    world.calls("bbbbgbbbb");
    assert_eq!(world.state(), State::Closed);
    world.calls("b");
    assert_eq!(world.state(), State::Open);
    assert_eq!(world.refused().cause, Cause::FailuresInRow { failures: 5 });
    assert_eq!(
        world.refused().to_string(),
        "circuit is open because 5 calls failed in a row; retry in 5s"
    );
}

#[test]
fn what_opens_it_and_what_does_not() {
    // What happens, and why it is open then.
    let stories: [(&str, Option<&str>); 10] = [
        ("gbgbgbgbg", None),
        ("gbgbgbgbgb", Some("5 of 10 calls failed, 50 % is the limit")),
        // A success never opens it: the share is looked at when the next one fails.
        ("bbgbbgbbgg", None),
        ("bbgbbgbbggb", Some("7 of 11 calls failed, 50 % is the limit")),
        ("ggggggbggggbggggbggggb", None),
        // What says nothing counts nowhere, and does not end a row.
        ("tttttttttttttt", None),
        ("iiiiiiiiiiiiii", None),
        ("bbitbbtib", Some("5 calls failed in a row")),
        ("sgsgsgsgs", None),
        ("sgsgsgggss", Some("5 of 10 calls were slow, 50 % is the limit")),
    ];
    for window in [Window::Time(ms(30_000)), Window::Calls(20)] {
        for (calls, cause) in stories {
            let mut world = World::new(|config| {
                (config.window, config.slow_share) = (window, Some(0.5));
            });
            world.calls(calls);
            let view = world.breaker.state(world.now);
            let found = (view.state == State::Open).then(|| view.cause.to_string());
            assert_eq!(found.as_deref(), cause, "{calls} in {window:?}");
        }
    }
}

#[test]
fn what_is_out_of_the_window_does_not_count() {
    let mut world = World::new(|config| config.failures_in_row = None);
    world.calls("bbbbbbbbb");
    world.pass(ms(35_000));
    world.calls("ggggggggggb");
    assert_eq!(world.state(), State::Closed);

    let mut world = World::new(|config| {
        (config.failures_in_row, config.window) = (None, Window::Calls(10));
    });
    world.calls("bbbbbbbbbggggggggggbbbb");
    assert_eq!(world.state(), State::Closed);
    world.calls("b");
    assert_eq!(world.state(), State::Open);
}

#[test]
fn after_the_cooldown_probes_decide_one_at_a_time() {
    let mut world = World::new(|_| {});
    world.calls("bbbbb");
    world.pass(ms(4_999));
    assert_eq!(world.refused().retry_after, ms(1));
    world.pass(ms(1));
    let probe = world.permit().unwrap();
    assert_eq!(world.state(), State::HalfOpen);
    assert_eq!(world.refused().cause, Cause::Probing);
    probe.record(Outcome::Success, world.now);
    assert_eq!(world.state(), State::HalfOpen);
    world.calls("g");
    assert_eq!(world.state(), State::Closed);
    // What was before is forgotten.
    world.calls("bbbb");
    assert_eq!(world.state(), State::Closed);
}

#[test]
fn a_probe_that_fails_or_is_slow_opens_it_for_longer_each_time() {
    let mut world = World::new(|config| config.slow_share = Some(1.0));
    world.calls("bbbbb");
    for (call, cause, cooldown) in [
        ("b", Cause::ProbeFailed, 10_000),
        ("s", Cause::ProbeSlow, 20_000),
        ("B", Cause::ProbeFailed, 40_000),
        ("b", Cause::ProbeFailed, 60_000),
        ("b", Cause::ProbeFailed, 60_000),
    ] {
        world.cool();
        world.calls(call);
        let refused = world.refused();
        assert_eq!((refused.cause, refused.retry_after), (cause, ms(cooldown)));
    }
}

#[test]
fn who_comes_back_only_to_fail_again_has_not_earned_a_short_cooldown() {
    let mut world = World::new(|_| {});
    world.calls("bbbbb");
    world.cool();
    world.calls("gg");
    world.pass(ms(4_000));
    world.calls("bbbbb");
    assert_eq!(world.refused().retry_after, ms(10_000));
    world.cool();
    world.calls("gg");
    world.pass(ms(10_000));
    world.calls("bbbbb");
    assert_eq!(world.refused().retry_after, ms(5_000));
}

#[test]
fn a_permit_that_is_dropped_gives_the_place_of_a_probe_back() {
    let mut world = World::new(|_| {});
    world.calls("bbbbb");
    world.cool();
    for _ in 0..100 {
        drop(world.permit().unwrap());
    }
    assert_eq!(world.breaker.stats(world.now).ignored, 100);
    world.calls("gg");
    assert_eq!(world.state(), State::Closed);
}

#[test]
fn a_probe_that_is_lost_counts_as_failed_in_the_end() {
    let mut world = World::new(|_| {});
    world.calls("bbbbb");
    world.cool();
    let lost = world.breaker.admit(world.now).unwrap();
    world.pass(ms(59_999));
    assert_eq!(world.refused().cause, Cause::Probing);
    world.pass(ms(1));
    assert_eq!(world.refused().cause, Cause::ProbesUnanswered);
    world.cool();
    world.calls("g");
    // And if it is found after all, it is too late.
    world.breaker.record(lost, Outcome::Failure, ms(0), world.now);
    assert_eq!(world.state(), State::HalfOpen);
    assert_eq!(world.breaker.stats(world.now).late, 1);
}

#[test]
fn a_probe_that_is_told_to_wait_waits() {
    let mut world = World::new(|_| {});
    world.calls("bbbbb");
    world.cool();
    let retry_after = Some(ms(7_000));
    world.permit().unwrap().record(Outcome::Throttled { retry_after }, world.now);
    let refused = world.refused();
    assert_eq!((refused.cause, refused.retry_after), (Cause::ProbeThrottled, ms(7_000)));
    world.pass(ms(7_000));
    let retry_after = Some(ms(u64::MAX));
    world.permit().unwrap().record(Outcome::Throttled { retry_after }, world.now);
    assert_eq!(world.refused().retry_after, ms(60_000), "nobody decides that for us");
}

#[test]
fn a_call_from_before_decides_nothing() {
    let mut world = World::new(|_| {});
    let before: Vec<_> = (0..3).map(|_| world.breaker.admit(world.now).unwrap()).collect();
    world.calls("bbbbb");
    world.cool();
    let probe = world.breaker.admit(world.now).unwrap();
    for (ticket, outcome) in before.into_iter().zip([Outcome::Failure, Outcome::Success]) {
        world.breaker.record(ticket, outcome, ms(0), world.now);
    }
    assert_eq!(world.state(), State::HalfOpen);
    world.breaker.record(probe, Outcome::Success, ms(0), world.now);
    assert_eq!(world.breaker.stats(world.now).late, 2);
}

#[test]
fn by_hand_it_stays_as_it_is_until_it_is_reset() {
    let mut world = World::new(|_| {});
    world.breaker.force_open(world.now);
    world.pass(ms(1_000_000));
    let refused = world.refused();
    assert_eq!((refused.cause, refused.retry_after), (Cause::Forced, ms(5_000)));
    world.breaker.force_close(world.now);
    world.calls("bbbbbbbbbbbbbbbbbbbb");
    assert_eq!(world.state(), State::ForcedClosed);
    assert_eq!(world.breaker.stats(world.now).window.failures, 20);
    world.breaker.reset(world.now);
    assert_eq!(world.breaker.state(world.now).cause, Cause::Reset);
    world.calls("bbbb");
    assert_eq!(world.state(), State::Closed);
}

#[test]
fn jitter_makes_a_cooldown_shorter_never_longer() {
    let mut cooldowns: Vec<_> = (0..100)
        .map(|seed| {
            let (now, config) = (*common::START, config(|config| config.jitter = 0.5));
            let breaker = Breaker::with_seed(config, now, seed).unwrap();
            for _ in 0..5 {
                breaker.permit(now).unwrap().record(Outcome::Failure, now);
            }
            breaker.state(now).until.unwrap() - now
        })
        .collect();
    cooldowns.sort();
    assert!(cooldowns[0] >= ms(2_500) && cooldowns[99] <= ms(5_000), "{cooldowns:?}");
    cooldowns.dedup();
    assert!(cooldowns.len() > 90);
}

#[test]
fn what_is_counted() {
    let mut world = World::new(|config| config.failures_in_row = None);
    world.calls("ggbs");
    world.pass(ms(2_000));
    world.calls("bBti");
    world.pass(ms(2_000));
    world.calls("ggg");
    world.breaker.force_open(world.now);
    world.refused();
    let stats = world.breaker.stats(world.now);
    assert_eq!((stats.successes, stats.failures, stats.slow), (6, 3, 2));
    assert_eq!((stats.throttled, stats.ignored, stats.late, stats.rejections), (1, 1, 0, 1));
    assert_eq!((stats.changes, stats.successes_in_row, stats.window.failures_in_row), (1, 3, 0));
    assert_eq!((stats.window.calls, stats.window.failure_share()), (9, 1.0 / 3.0));
    let tick = ms(2);
    let (success, failure) = (stats.last_success.unwrap(), stats.last_failure.unwrap());
    assert!(world.now - success < tick && world.now - ms(2_000) - failure < tick, "{stats:?}");
}

#[test]
fn each_change_is_told_once_with_nothing_locked() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut world = World::new(|_| {});
    let (telling, now) = (Arc::clone(&told), world.now);
    let cell = Arc::new(std::sync::OnceLock::<Arc<Breaker>>::new());
    let inside = Arc::clone(&cell);
    let breaker = Breaker::with_seed(config(|_| {}), now, 1).unwrap().on_change(move |change| {
        // Would never return if anything were locked.
        let breaker = inside.get().unwrap();
        assert_eq!(breaker.state(change.at).state, change.to);
        telling.lock().unwrap().push((change.serial, change.from, change.to));
    });
    let breaker = Arc::new(breaker);
    cell.set(Arc::clone(&breaker)).unwrap();
    for _ in 0..5 {
        breaker.permit(now).unwrap().record(Outcome::Failure, now);
    }
    world.pass(ms(5_000));
    for _ in 0..2 {
        breaker.permit_owned(world.now).unwrap().record(Outcome::Success, world.now);
    }
    let expected = [
        (1, State::Closed, State::Open),
        (2, State::Open, State::HalfOpen),
        (3, State::HalfOpen, State::Closed),
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}
