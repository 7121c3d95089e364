//! What is said of broken files, word for word: `data/mistakes.txt` holds a file and, behind `--`,
//! every line that is said of it.

use crate::world::World;
use mcp_manager::config::{Config, ProblemKind};

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

#[test]
fn nested_without_end() {
    let text = "[".repeat(100_000);
    let said = World::ada().parse(&text).unwrap_err();
    assert!(said.ends_with("values are nested too deeply; write it flatter"), "{said}");
}
