//! Many threads and one breaker: what must hold however they come together.

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use common::{World, ms};
use mcp_breaker::{Outcome, State, Window};

const THREADS: u64 = 12;

#[test]
fn nothing_is_counted_twice_or_lost() {
    for window in [Window::Time(ms(100)), Window::Calls(50)] {
        let world = World::new(|config| {
            (config.window, config.failures_in_row) = (window, None);
            (config.failure_share, config.calls_min) = (None, 1);
        });
        let barrier = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (world, barrier) = (&world, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for call in 0..20_000_u64 {
                        // Buckets are begun anew all the time.
                        let now = world.now + ms(call / 10);
                        let permit = world.breaker.permit(now).unwrap();
                        let failed = (call + thread) % 7 == 0;
                        let outcome = if failed { Outcome::Failure } else { Outcome::Success };
                        permit.record(outcome, now);
                    }
                });
            }
        });
        let stats = world.breaker.stats(world.now + ms(2_000));
        let failures =
            (0..THREADS).map(|thread| (20_000 + thread).div_ceil(7) - thread.div_ceil(7));
        assert_eq!(stats.failures, failures.sum::<u64>(), "{window:?}");
        assert_eq!(stats.successes + stats.failures, THREADS * 20_000, "{window:?}");
    }
}

#[test]
fn never_more_probes_than_permitted_and_none_leaks() {
    const PROBES: u32 = 3;
    let mut world = World::new(|config| {
        (config.probes, config.successes_to_close) = (PROBES, u32::MAX);
    });
    world.calls("bbbbb");
    world.cool();
    let (in_flight, most, admitted) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (world, in_flight, most, admitted) = (&world, &in_flight, &most, &admitted);
            scope.spawn(move || {
                for call in 0..20_000 {
                    let Ok(permit) = world.permit() else { continue };
                    most.fetch_max(in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
                    admitted.fetch_add(1, SeqCst);
                    std::hint::spin_loop();
                    in_flight.fetch_sub(1, SeqCst);
                    match (call + thread) % 3 {
                        0 => drop(permit),
                        1 => permit.record(Outcome::Throttled { retry_after: None }, world.now),
                        _ => permit.record(Outcome::Success, world.now),
                    }
                }
            });
        }
    });
    assert!((1..=PROBES).contains(&most.into_inner()));
    let stats = world.breaker.stats(world.now);
    assert_eq!(stats.rejections + admitted.into_inner(), THREADS * 20_000);
    assert_eq!(world.state(), State::HalfOpen);
    let places: Vec<_> = (0..PROBES).map(|_| world.permit().expect("a place")).collect();
    assert!(world.permit().is_err(), "{places:?}");
}
