//! Behaviour as data: one line a moment.

#![expect(clippy::disallowed_methods, reason = "some point in time to begin at")]

use std::time::{Duration, Instant};

use mcp_health::{Calls, Config, Health, Outcome, State, Summary};

use Moment::{Answered, Bad, Failed, Good, Reset, Slow, Unsupported};
use State::{Degraded, Healthy, Unhealthy, Unknown};

enum Moment {
    Good,
    Unsupported,
    Bad,
    /// So many calls that were answered, failed, or answered late.
    Answered(u64),
    Failed(u64),
    Slow(u64),
    Reset,
}

/// Plays a story of `(second, what happened, the state after it)`.
fn play(story: &[(u64, Moment, State)]) -> Health {
    let start = Instant::now();
    let mut health = Health::new(Config::default(), start).expect("the default means something");
    for (line, (second, moment, expected)) in story.iter().enumerate() {
        let now = start + Duration::from_secs(*second);
        let quick = Duration::from_millis(5);
        let before = health.state();
        let calls = |succeeded, slow, failed| Calls { succeeded, slow, failed };
        let change = match moment {
            Good => health.probed(&Outcome::Good, quick, now),
            Unsupported => health.probed(&Outcome::Unsupported, quick, now),
            Bad => health.probed(&Outcome::Bad("no answer".into()), quick, now),
            Answered(count) => health.called(calls(*count, 0, 0), now),
            Failed(count) => health.called(calls(0, 0, *count), now),
            Slow(count) => health.called(calls(*count, *count, 0), now),
            Reset => health.reset(now),
        };
        assert_eq!(health.state(), *expected, "line {line}");
        let told = change.map(|change| (change.from, change.to));
        let changed = (before != *expected).then_some((before, *expected));
        assert_eq!(told, changed, "line {line}: a change is told, and nothing else");
    }
    health
}

#[test]
fn it_takes_three_bad_probes_in_a_row_and_two_good_ones_back() {
    play(&[
        (0, Good, Healthy),
        (30, Bad, Healthy),
        (60, Bad, Healthy),
        (90, Good, Healthy),
        (120, Bad, Healthy),
        (150, Bad, Healthy),
        (180, Bad, Unhealthy),
        (210, Good, Unhealthy),
        (240, Bad, Unhealthy),
        (270, Good, Unhealthy),
        (300, Good, Healthy),
        (330, Bad, Healthy),
    ]);
}

#[test]
fn nothing_is_known_before_the_first_answer() {
    play(&[(0, Bad, Unknown), (30, Bad, Unknown), (60, Bad, Unhealthy)]);
    play(&[(0, Bad, Unknown), (1, Answered(1), Healthy)]);
    play(&[(0, Failed(2), Unknown), (30, Good, Healthy)]);
}

#[test]
fn a_server_that_does_not_know_the_probe_is_not_unhealthy() {
    let story: Vec<_> = (0..100).map(|at| (at * 30, Unsupported, Healthy)).collect();
    let mut health = play(&story);
    assert_eq!(health.report(Instant::now()).checks_failed, 0);
}

#[test]
fn a_server_that_answers_calls_is_alive_whatever_its_probes_say() {
    play(&[
        (0, Good, Healthy),
        (30, Bad, Healthy),
        (60, Bad, Healthy),
        (80, Answered(1), Healthy),
        (90, Bad, Healthy),
        (120, Bad, Healthy),
        (150, Bad, Unhealthy),
        (151, Answered(5), Healthy),
    ]);
}

#[test]
fn failures_degrade_and_few_of_them_do_not() {
    play(&[
        (0, Good, Healthy),
        (1, Failed(8), Healthy),
        (2, Failed(1), Degraded),
        // 9 of 20: below a half, not below a quarter.
        (3, Answered(10), Degraded),
        (4, Answered(30), Healthy),
    ]);
    play(&[(0, Answered(90), Healthy), (1, Failed(80), Healthy), (2, Failed(20), Degraded)]);
}

#[test]
fn slow_answers_degrade_and_are_forgotten() {
    play(&[
        (0, Good, Healthy),
        (1, Slow(12), Degraded),
        (30, Answered(3), Degraded),
        // A minute later nothing is left to hold against it.
        (100, Answered(1), Healthy),
    ]);
}

#[test]
fn failed_calls_alone_make_nobody_unhealthy() {
    play(&[(0, Good, Healthy), (1, Failed(10_000), Degraded), (2, Failed(10_000), Degraded)]);
}

#[test]
fn what_takes_its_place_begins_anew() {
    play(&[
        (0, Bad, Unknown),
        (30, Bad, Unknown),
        (60, Bad, Unhealthy),
        (61, Reset, Unknown),
        (62, Bad, Unknown),
        (90, Good, Healthy),
    ]);
}

#[test]
fn a_report_says_what_was_found() {
    let start = Instant::now();
    let mut health = Health::new(Config::default(), start).expect("a config");
    let latency = Duration::from_millis(40);
    health.probed(&Outcome::Good, latency, start);
    let later = start + Duration::from_secs(30);
    health.probed(&Outcome::Bad("refused".into()), latency, later);
    let report = health.report(later);
    assert_eq!((report.state, report.since, report.checked), (Healthy, start, Some(later)));
    assert_eq!((report.latency, report.trouble.as_deref()), (Some(latency), Some("refused")));
    assert_eq!((report.checks, report.checks_failed, report.bad_in_a_row), (2, 1, 1));

    let mut unknown = Health::new(Config::default(), start).expect("a config");
    let unknown = unknown.report(start);
    let summary = Summary::of([&report, &unknown]);
    assert_eq!((summary.total, summary.healthy, summary.unknown), (2, 1, 1));
    assert_eq!(summary.response_time, Some(latency));
}
