//! The soak of `cargo xtask soak`, for some seconds: what it says in ten minutes it must not deny in
//! one.

use std::time::Duration;

use system_tests::soak::{Options, run};

#[test]
fn a_fleet_under_a_killer_gives_no_wrong_answer_and_leaves_nothing() {
    let report = run(&Options { time: Duration::from_secs(25), seed: 7 });
    let (verdicts, met) = report.verdicts();
    assert!(met, "{}\n{report:#?}", verdicts.join("\n"));
    assert!(report.kills >= 10, "{report:#?}");
}
