//! What holds whatever happens.

#![expect(clippy::disallowed_methods, reason = "some point in time to begin at")]

use std::time::{Duration, Instant};

use mcp_health::{Calls, Config, Health, Outcome, PhiAccrual, PhiConfig, State};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Probe(u8),
    Calls(Calls),
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    let calls = (0_u64..20, 0_u64..20, 0_u64..20)
        .prop_map(|(succeeded, slow, failed)| Event::Calls(Calls { succeeded, slow, failed }));
    prop_oneof![8 => (0_u8..4).prop_map(Event::Probe), 4 => calls, 1 => Just(Event::Reset)]
}

fn config() -> impl Strategy<Value = Config> {
    (1_u32..5, 1_u32..5, 1_u32..30, 0.05_f64..=1.0).prop_map(|(unhealthy, healthy, min, share)| {
        let mut config = Config::default();
        config.unhealthy_after = unhealthy;
        config.healthy_after = healthy;
        config.results_min = min;
        config.degraded_share = share;
        config
    })
}

proptest! {
    #[test]
    fn a_state_changes_only_for_good_reasons(
        config in config(),
        events in prop::collection::vec((0_u64..120, event()), 0..200),
    ) {
        let mut now = Instant::now();
        let mut health = Health::new(config.clone(), now).expect("a config");
        // As told, without the machine: bad probes in a row; signs of life since it got unhealthy.
        let (mut bad, mut good) = (0, 0_u64);
        for (seconds, event) in events {
            now += Duration::from_secs(seconds);
            let before = health.state();
            let quick = Duration::from_millis(1);
            let change = match &event {
                Event::Probe(0) => {
                    (bad, good) = (bad + 1, 0);
                    health.probed(&Outcome::Bad("it is".into()), quick, now)
                }
                Event::Probe(kind) => {
                    (bad, good) = (0, good + 1);
                    let outcome = if *kind == 1 { Outcome::Unsupported } else { Outcome::Good };
                    health.probed(&outcome, quick, now)
                }
                Event::Calls(calls) => {
                    if calls.succeeded > 0 {
                        (bad, good) = (0, good + calls.succeeded);
                    }
                    health.called(*calls, now)
                }
                Event::Reset => {
                    (bad, good) = (0, 0);
                    health.reset(now)
                }
            };
            let after = health.state();
            prop_assert_eq!(change.is_some(), before != after);
            prop_assert_eq!(after == State::Unhealthy, bad >= config.unhealthy_after
                || (before == State::Unhealthy && good < u64::from(config.healthy_after)
                    && !matches!(event, Event::Reset)));
            if before != State::Unknown {
                prop_assert_eq!(after == State::Unknown, matches!(event, Event::Reset));
            }
            if before != after {
                good = 0;
            }
        }
        // Liveness: whatever was, so many good probes and a while later it is well.
        now += Duration::from_secs(120);
        for _ in 0..config.healthy_after.max(config.results_min) + 1 {
            health.probed(&Outcome::Good, Duration::from_millis(1), now);
        }
        prop_assert_eq!(health.state(), State::Healthy);
        // And the other way round.
        for _ in 0..config.unhealthy_after {
            health.probed(&Outcome::Bad("it is".into()), Duration::from_millis(1), now);
        }
        prop_assert_eq!(health.state(), State::Unhealthy);
    }

    #[test]
    fn a_silence_is_never_less_suspicious_a_moment_later(
        beats in prop::collection::vec(0_u64..10_000, 1..150),
        silence in prop::collection::vec(0_u64..100_000_000, 1..50),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut detector = PhiAccrual::new(PhiConfig::default());
        prop_assert_eq!(detector.phi(now), 0.0);
        for millis in beats {
            now += Duration::from_millis(millis);
            detector.heartbeat(now);
        }
        let mut last = detector.phi(start);
        for millis in silence {
            now += Duration::from_millis(millis);
            let phi = detector.phi(now);
            prop_assert!(phi.is_finite() && phi >= last, "{} after {}", phi, last);
            last = phi;
        }
        detector.heartbeat(now);
        prop_assert!(detector.phi(now) <= last);
    }
}

/// Heartbeats of a second with noise: a suspicion of 8 is not raised by any of 100,000 of them, and
/// is raised within three seconds of a real end.
#[test]
fn noise_is_not_taken_for_an_end() {
    let mut now = Instant::now();
    let mut detector = PhiAccrual::new(PhiConfig::default());
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut alarms = 0;
    for _ in 0..100_000 {
        detector.heartbeat(now);
        // Twelve numbers from 0 to 1 add up to something normal, with a deviation of 1.
        let mut sum = 0.0;
        for _ in 0..12 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            sum += (random >> 11) as f64 / (1_u64 << 53) as f64;
        }
        now += Duration::from_secs_f64(1.0 + 0.05 * (sum - 6.0));
        alarms += usize::from(detector.suspects(8.0, now));
    }
    assert_eq!(alarms, 0);
    assert!(detector.suspects(8.0, now + Duration::from_secs(2)));
}
