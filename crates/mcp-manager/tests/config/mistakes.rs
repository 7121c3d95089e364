//! What is said of broken files, word for word: `data/mistakes.txt` holds a file and, behind `--`,
//! every line that is said of it.

use std::time::Duration;

use mcp_manager::config::{Config, DURATION_MAX, ProblemKind, ResourceLimits, ServerSettings};

use crate::world::World;

#[test]
fn every_mistake_is_named_with_its_place_and_its_cure() {
    for case in include_str!("../data/mistakes.txt").split("== ").skip(1) {
        let (title, rest) = case.split_once('\n').expect(case);
        let (text, expected) = rest.split_once("\n--\n").expect(title);
        let said = World::ada().parse(text).expect_err(title);
        assert_eq!(said, expected.trim_end(), "{title}");
    }
}

#[test]
fn programs_are_told_the_sort() {
    let sorts = [
        ("", ProblemKind::Syntax),
        ("{}", ProblemKind::NoServers),
        (r#"{"servers": 1}"#, ProblemKind::WrongType),
        (r#"{"servers": {}, "servers": {}}"#, ProblemKind::Duplicate),
        (r#"{"servers": {}, "input": {}}"#, ProblemKind::UnknownKey),
        (r#"{"servers": {"a": {}}}"#, ProblemKind::Missing),
        (r#"{"servers": {"a": {"command": ""}}}"#, ProblemKind::InvalidValue),
        (r#"{"servers": {"a": {"command": "x", "url": "y"}}}"#, ProblemKind::Conflict),
    ];
    for (text, kind) in sorts {
        let error = Config::parse(text, "mcp.json", &World::ada()).expect_err(text);
        let kinds: Vec<_> = error.problems().iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [kind], "{text}");
    }
}

#[test]
fn a_byte_order_mark_and_any_line_end_are_fine() {
    World::ada().parse("\u{feff}{\"mcpServers\": {}}").unwrap();
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("\u{feff}// é{end}{{\"mcpServers\":{end}\"ü\"}}");
        let said = World::ada().parse(&text).unwrap_err();
        assert!(said.starts_with("mcp.json:3:1: `mcpServers`: expected an object"), "{said}");
    }
}

#[test]
fn bounds_are_inside() {
    let name = "é".repeat(128);
    let text = format!(
        r#"{{"mcpServers": {{"{name}": {{"command": "x\\\"",
            "manager": {{"callTimeout": "720h", "callTimeoutMax": "720h"}}}}}},
            "manager": {{"maxSessions": 1000000, "maxFrameBytes": "1GiB"}}}}"#
    );
    let config = World::ada().parse(&text).unwrap();
    assert_eq!(config.settings.frame_bytes_max, 1 << 30);
    let text = r#"{"mcpServers": {}, "manager": {"maxSessions": 1, "maxFrameBytes": 1024}}"#;
    assert_eq!(World::ada().parse(text).unwrap().settings.sessions_max, 1);
}

/// Every bound of a server's upkeep, from below and from above: outside is in `data/mistakes.txt`.
#[test]
fn bounds_of_upkeep_are_inside() {
    let settings = |blocks: &str| {
        let config = World::ada().parse(&format!(r#"{{"servers": {{"a": {{{blocks}"#)).unwrap();
        config.servers[0].settings.clone()
    };
    let low = settings(
        r#""command": "x", "manager": {"replicas": 1, "minReplicas": 1, "maxReplicas": 1,
            "sessions": "pooled", "spares": 1, "restartsMax": 1, "restartPeriod": "1ms",
            "healthInterval": "1ms", "healthTimeout": "1ms", "unhealthyAfter": 1, "healthyAfter": 1,
            "maxMemory": "1MiB", "maxProcesses": 1, "maxOpenFiles": 16, "maxCpu": 0.01,
            "scaleTarget": 1, "scaleCooldown": "1ms"}}}}"#,
    );
    let high = settings(
        r#""command": "x", "manager": {"replicas": 64, "minReplicas": 64, "maxReplicas": 64,
            "sessions": "pooled", "spares": 16, "restartsMax": 1000, "restartPeriod": "720h",
            "healthInterval": "720h", "healthTimeout": "720h", "unhealthyAfter": 100,
            "healthyAfter": 100, "maxMemory": "1048576GiB", "maxProcesses": 100000,
            "maxOpenFiles": 1048576, "maxCpu": 1024, "scaleTarget": 10000,
            "scaleCooldown": "720h"}}}}"#,
    );
    let numbers = |settings: &ServerSettings| {
        let ServerSettings { spares, scaling, restarts, checks, limits, .. } = settings;
        let scaling =
            (scaling.replicas, scaling.replicas_min, scaling.replicas_max, scaling.target);
        let checks = (checks.unhealthy_after, checks.healthy_after);
        let ResourceLimits { memory_bytes, processes, open_files, cpu_millis, .. } = limits;
        let limits = [memory_bytes, processes, open_files, cpu_millis].map(|limit| limit.unwrap());
        (*spares, scaling, restarts.max, checks, limits)
    };
    assert_eq!(numbers(&low), (1, (1, 1, 1, 1), 1, (1, 1), [1 << 20, 1, 16, 10]));
    let limits = [1 << 50, 100_000, 1 << 20, 1_024_000];
    assert_eq!(numbers(&high), (16, (64, 64, 64, 10_000), 1000, (100, 100), limits));
    let durations = |settings: &ServerSettings| {
        let ServerSettings { scaling, restarts, checks, .. } = settings;
        [scaling.cooldown, restarts.period, checks.interval, checks.timeout]
    };
    assert_eq!(durations(&low), [Duration::from_millis(1); 4]);
    assert_eq!(durations(&high), [DURATION_MAX; 4]);
}

#[test]
fn nested_without_end() {
    let text = "[".repeat(100_000);
    let said = World::ada().parse(&text).unwrap_err();
    assert!(said.ends_with("values are nested too deeply; write it flatter"), "{said}");
}
