//! How long calls take, told as stories.

use std::thread;
use std::time::{Duration, Instant};

use mcp_router::{Allowance, Key, Predictor, PredictorConfig};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the moment at which a test begins")]
    Instant::now()
}

fn predictor(now: Instant) -> Predictor {
    Predictor::new(PredictorConfig::default(), now).expect("a configuration that is well")
}

/// Within what is stated.
fn is_about(told: Option<Duration>, exact: Duration) {
    let told = told.expect("a prediction");
    assert!(told.abs_diff(exact) <= exact / 32, "{told:?} for {exact:?}");
}

#[test]
fn a_tool_is_foretold_and_a_new_one_as_its_server() {
    let now = start();
    let predictor = predictor(now);
    let (fast, slow) = (Key::new("files", "read"), Key::new("files", "search"));
    for _ in 0..19 {
        predictor.observe(fast, ms(2), now);
    }
    assert_eq!(predictor.quantile(fast, 0.5, now), None, "too few");
    for _ in 0..81 {
        predictor.observe(fast, ms(2), now);
    }
    for time in 1..=100 {
        predictor.observe(slow, ms(time * 10), now);
    }
    is_about(predictor.quantile(fast, 0.99, now), ms(2));
    is_about(predictor.quantile(slow, 0.5, now), ms(500));
    is_about(predictor.quantile(slow, 0.99, now), ms(990));
    // Of 200 calls of the server the 199th by length.
    is_about(predictor.quantile(Key::new("files", "new"), 0.99, now), ms(980));
    assert_eq!(predictor.quantile(Key::new("other", "read"), 0.5, now), None);
    assert_eq!(predictor.stats().keys, 3);
}

#[test]
fn what_changed_is_followed_and_what_is_long_ago_forgotten() {
    let mut now = start();
    let predictor = predictor(now);
    let key = Key::new("s", "t");
    (0..1_000).for_each(|_| predictor.observe(key, ms(10), now));
    now += ms(10 * 120_000);
    (0..20).for_each(|_| predictor.observe(key, ms(300), now));
    is_about(predictor.quantile(key, 0.5, now), ms(300));
    assert_eq!(predictor.quantile(key, 0.5, now + ms(60_000)), None, "20 count 14 by now");
    // Clocks of two threads: what comes late counts as of the beginning.
    predictor.observe(key, ms(300), now - ms(10_000_000));
}

#[test]
fn a_deadline_is_a_prediction_with_bounds() {
    let now = start();
    let predictor = predictor(now);
    let key = |tool| Key::new("s", tool);
    let mut allowance = Allowance::default();
    assert_eq!(predictor.deadline(key("t"), &allowance, now), allowance.ceiling);
    for (tool, time) in [("quick", 1), ("usual", 2_000), ("long", 40_000)] {
        (0..100).for_each(|_| predictor.observe(key(tool), ms(time), now));
    }
    assert_eq!(predictor.deadline(key("quick"), &allowance, now), allowance.floor);
    is_about(Some(predictor.deadline(key("usual"), &allowance, now)), ms(6_000));
    assert_eq!(predictor.deadline(key("long"), &allowance, now), allowance.ceiling);
    for nonsense in [f64::NAN, f64::INFINITY, -1.0] {
        allowance.slack = nonsense;
        assert_eq!(predictor.deadline(key("usual"), &allowance, now), allowance.ceiling);
    }
}

#[test]
fn memory_is_bounded_and_what_is_used_stays() {
    let now = start();
    let mut config = PredictorConfig::default();
    config.keys_max = 64;
    let predictor = Predictor::new(config, now).unwrap();
    let used = Key::new("s", "used");
    for turn in 0..5_000 {
        predictor.observe(used, ms(7), now);
        predictor.observe(Key::new("s", &format!("tool-{turn}")), ms(900), now);
    }
    let stats = predictor.stats();
    assert_eq!(stats.keys, 64);
    assert_eq!(stats.evictions, 5_000 + 2 - 64);
    assert_eq!((stats.writes, stats.skipped), (20_000, 0));
    is_about(predictor.quantile(used, 0.99, now), ms(7));
}

#[test]
fn nonsense_is_refused_by_name() {
    let refused = |change: fn(&mut PredictorConfig)| {
        let mut config = PredictorConfig::default();
        change(&mut config);
        Predictor::new(config, start()).unwrap_err().to_string()
    };
    assert_eq!(refused(|config| config.keys_max = 15), "keys_max must be 16 to 2^20");
    let half_life = "half_life must be a millisecond to 30 days";
    assert_eq!(refused(|config| config.half_life = Duration::ZERO), half_life);
    assert_eq!(refused(|config| config.half_life = Duration::MAX), half_life);
    let few = "observations_min must be at least 1";
    assert_eq!(refused(|config| config.observations_min = 0), few);
}

#[test]
fn threads_do_not_wait_and_what_they_let_go_is_counted() {
    const THREADS: u64 = 4;
    const EACH: u64 = 20_000;
    let now = start();
    let predictor = predictor(now);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let predictor = &predictor;
            scope.spawn(move || {
                let key = Key::new("s", if thread % 2 == 0 { "even" } else { "odd" });
                for _ in 0..EACH {
                    predictor.observe(key, ms(5), now);
                    assert!(predictor.quantile(key, 0.5, now).is_none_or(|told| told < ms(6)));
                }
            });
        }
    });
    let stats = predictor.stats();
    assert_eq!(stats.writes + stats.skipped, 2 * THREADS * EACH);
    assert!(stats.skipped < stats.writes, "{stats:?}");
    is_about(predictor.quantile(Key::new("s", "even"), 0.5, now), ms(5));
}
