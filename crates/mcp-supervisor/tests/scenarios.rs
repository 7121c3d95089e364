//! What a lifecycle does, told as stories: one line a moment, `<seconds>: <events> => <phase>`.
//!
//! `start`, `stop`, `restart` and `nudge` are told by someone; `ready` and `no` are how a start
//! goes; `dying` and `ending` are an end that leaves something behind, until it is `gone`; `dies`
//! and `ends` leave nothing. `late-` before any of them names the incarnation before. At the
//! beginning of each moment, time passes.
//!
//! Only [`check_with`] touches the API: changing it never means changing the stories.

#![expect(clippy::disallowed_methods, reason = "an origin is needed; only differences matter")]

use std::time::{Duration, Instant};

use mcp_supervisor::{Ending, Lifecycle, Phase, Policy, Restart, Then};

#[test]
fn starts_runs_and_stops_as_it_is_told() {
    check(
        "0: start      => Starting 1
         2: ready      => Running 1
         9: start      => Running 1
         10: stop      => Stopping
         12: gone      => Stopped
         13: stop      => Stopped
         20: start     => Starting 2",
    );
}

#[test]
fn what_dies_young_comes_back_after_pauses_that_double() {
    check(
        "0: start ready dies  => Backoff until 1
         1:                   => Starting 2
         1: ready dies        => Backoff until 3
         2:                   => Backoff until 3
         3: ready dies        => Backoff until 7
         7: ready dies        => Backoff until 15
         15: ready dies       => Backoff until 31
         31: ready dies       => Backoff until 63
         63: ready dies       => Backoff until 123
         123: ready dies      => Backoff until 183
         183: ready dies      => Failed
         9999:                => Failed",
    );
}

#[test]
fn what_was_stable_comes_back_at_once_and_begins_anew() {
    check(
        "0: start ready dies  => Backoff until 1
         1: ready             => Running 2
         40: dies             => Backoff until 42
         42: ready            => Running 3
         102: dies            => Starting 4
         102: ready dies      => Backoff until 103
         103: ready dies      => Backoff until 105",
    );
}

#[test]
fn what_does_not_start_is_no_better_than_what_dies() {
    check(
        "0: start no gone     => Backoff until 1
         1: no gone           => Backoff until 3
         3: dies              => Backoff until 7",
    );
}

#[test]
fn a_start_has_a_deadline() {
    check(
        "0: start             => Starting 1
         29:                  => Starting 1
         30:                  => Stopping
         32: ready            => Stopping
         34: gone             => Backoff until 35",
    );
}

#[test]
fn the_time_it_takes_to_start_is_not_time_that_it_ran() {
    check(
        "0: start             => Starting 1
         29: ready            => Running 1
         88: dies             => Backoff until 89",
    );
}

#[test]
fn the_pause_begins_when_nothing_is_left() {
    check(
        "0: start ready dying => Stopping
         4:                   => Stopping
         5: gone              => Backoff until 6",
    );
}

#[test]
fn transient_comes_back_after_a_bad_end_only() {
    let policy = with(|policy| policy.restart = Restart::Transient);
    check_with(
        policy,
        "0: start ready dies  => Backoff until 1
         1: ready ends        => Stopped
         99:                  => Stopped
         100: start no gone   => Backoff until 101",
    );
}

#[test]
fn temporary_never_comes_back_by_itself() {
    let temporary = || with(|policy| policy.restart = Restart::Temporary);
    check_with(temporary(), "0: start ready ends  => Stopped");
    check_with(
        temporary(),
        "0: start ready       => Running 1
         100: dies            => Failed
         200: start no gone   => Failed
         300: restart         => Starting 3",
    );
}

#[test]
fn permanent_comes_back_after_a_good_end_too() {
    check("0: start ready ends => Backoff until 1");
}

#[test]
fn what_has_failed_stays_so_until_it_is_told() {
    let once = || with(|policy| policy.restarts_max = Some(1));
    let fails = "0: start ready dies  => Backoff until 1
         1: ready dies        => Failed
         50: nudge            => Failed
         50: late-dies        => Failed
         50: dies ready no    => Failed";
    check_with(
        once(),
        &format!(
            "{fails}
         60: start            => Starting 3
         60: ready dies       => Backoff until 61
         61: ready dies       => Failed
         62: restart          => Starting 5"
        ),
    );
    check_with(
        once(),
        &format!(
            "{fails}
         60: stop             => Stopped
         61: start            => Starting 3"
        ),
    );
    check_with(with(|policy| policy.restarts_max = Some(0)), "0: start ready dies => Failed");
}

#[test]
fn restarts_of_long_ago_do_not_count() {
    let policy = || {
        with(|policy| {
            (policy.restarts_max, policy.restart_period) = (Some(2), Duration::from_secs(100));
        })
    };
    let two_restarts = "0: start ready dies  => Backoff until 1
         1: ready             => Running 2
         61: dies             => Starting 3
         61: ready            => Running 3";
    check_with(policy(), &format!("{two_restarts}\n 99: dies => Failed"));
    check_with(policy(), &format!("{two_restarts}\n 100: dies => Backoff until 101"));
    check_with(policy(), &format!("{two_restarts}\n 121: dies => Starting 4"));
    check_with(
        policy(),
        &format!("{two_restarts}\n 99: stop gone start ready dies => Backoff until 100"),
    );
}

#[test]
fn without_a_limit_it_never_gives_up() {
    let policy = with(|policy| {
        (policy.restarts_max, policy.backoff.max) = (None, Duration::from_secs(1));
    });
    let mut story = "0: start no gone => Backoff until 1".to_owned();
    for second in 1..2000 {
        story += &format!("\n{second}: no gone => Backoff until {}", second + 1);
    }
    check_with(policy, &story);
}

#[test]
fn a_stop_wins_wherever_it_comes() {
    check("0: start stop gone               => Stopped");
    check("0: start ready stop gone         => Stopped");
    check("0: start no stop gone            => Stopped");
    check("0: start ready dying stop gone   => Stopped");
    check("0: start ready dies stop         => Stopped");
    check("0: start ready restart stop gone => Stopped");
    check("0: start stop ready gone         => Stopped");
}

#[test]
fn who_starts_it_again_while_it_ends_gets_the_next() {
    check("0: start ready stop start gone     => Starting 2");
    check("0: start ready dying restart gone  => Starting 2");
    check("0: start restart gone              => Starting 2");
    check("0: start ready dies restart        => Starting 2");
    check("0: restart                         => Starting 1");
    check(
        "0: start ready dying start gone    => Backoff until 1
         0: start                           => Backoff until 1",
    );
}

#[test]
fn a_restart_by_hand_begins_anew() {
    check(
        "0: start ready dies    => Backoff until 1
         1: ready dies          => Backoff until 3
         3: ready restart gone  => Starting 4
         3: ready dies          => Backoff until 4",
    );
}

#[test]
fn what_comes_late_changes_nothing() {
    check(
        "0: start ready restart gone        => Starting 2
         0: late-ready                      => Starting 2
         0: late-no late-dying late-ending  => Starting 2
         0: ready late-dying late-no        => Running 2
         0: dying late-gone                 => Stopping
         1: gone                            => Backoff until 2
         2: late-dies late-gone             => Starting 3",
    );
}

#[test]
fn a_nudge_cuts_the_pause_after_a_failed_start_to_a_second() {
    let hurried = || with(|policy| (policy.nudge, policy.restarts_max) = (true, None));
    check_with(
        hurried(),
        "0: start no gone      => Backoff until 1
         1: no gone            => Backoff until 3
         3: no gone            => Backoff until 7
         3: nudge              => Backoff until 4
         3: nudge              => Backoff until 4
         4: no gone            => Backoff until 12
         9: nudge              => Backoff until 5
         9:                    => Starting 5
         9: ready dies         => Backoff until 25
         9: nudge              => Backoff until 25",
    );
    check(
        "0: start no gone      => Backoff until 1
         1: no gone nudge      => Backoff until 3",
    );
}

#[test]
fn a_nudge_makes_no_pause_longer() {
    let policy = with(|policy| {
        (policy.nudge, policy.backoff.first) = (true, Duration::from_millis(250));
    });
    check_with(policy, "0: start no gone nudge => Backoff until 0");
}

#[test]
fn a_nudge_does_not_break_the_intensity() {
    let policy = with(|policy| {
        policy.nudge = true;
        (policy.restarts_max, policy.restart_period) = (Some(2), Duration::from_secs(4));
    });
    check_with(
        policy,
        "0: start no gone      => Backoff until 1
         1: no gone            => Backoff until 3
         3: no gone            => Backoff until 7
         3: nudge              => Backoff until 7",
    );
}

fn with(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    policy.backoff.jitter = 0.0;
    policy.start_timeout = Duration::from_secs(30);
    change(&mut policy);
    policy
}

#[track_caller]
fn check(story: &str) {
    check_with(with(|_| {}), story);
}

#[track_caller]
fn check_with(policy: Policy, story: &str) {
    let start = Instant::now();
    let mut lifecycle = Lifecycle::new(policy, start).expect("a valid policy");
    for line in story.lines() {
        let (at, rest) = line.trim().split_once(':').expect(line);
        let (events, phase) = rest.split_once("=>").expect(line);
        let now = start + Duration::from_secs(at.parse().expect(line));
        lifecycle.tick(now);
        for event in events.split_whitespace() {
            let (event, number) = match event.strip_prefix("late-") {
                Some(event) => (event, lifecycle.incarnation() - 1),
                None => (event, lifecycle.incarnation()),
            };
            match event {
                "start" => lifecycle.start(now),
                "stop" => lifecycle.stop(now),
                "restart" => lifecycle.restart(now),
                "nudge" => lifecycle.nudge(),
                "ready" => lifecycle.ready(number, now),
                "no" => lifecycle.not_ready(number, now),
                "dying" | "dies" => lifecycle.ended(number, Ending::Abnormal, now),
                "ending" | "ends" => lifecycle.ended(number, Ending::Normal, now),
                "gone" => {}
                other => panic!("unknown event {other}"),
            }
            if matches!(event, "gone" | "dies" | "ends") {
                lifecycle.gone(number, now, 0);
            }
        }
        let told = match lifecycle.phase() {
            Phase::Stopped => "Stopped".to_owned(),
            Phase::Starting { .. } => format!("Starting {}", lifecycle.incarnation()),
            Phase::Running => format!("Running {}", lifecycle.incarnation()),
            Phase::Stopping { then: Then::Stop | Then::Start | Then::Decide(_) } => {
                "Stopping".to_owned()
            }
            Phase::Backoff { until, .. } => {
                format!("Backoff until {}", until.duration_since(start).as_secs())
            }
            Phase::Failed(_) => "Failed".to_owned(),
        };
        assert_eq!(told, phase.trim(), "after `{line}`");
    }
}
