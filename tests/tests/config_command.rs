//! `config show`, `config preset`, and what `check` recommends.

use serde_json::Value;
use system_tests::gateway::run;

const CONFIG: &str = r#"{
  "mcpServers": { "it": { "command": "/bin/cat", "manager": {
    "maxQueued": 7, "tools": { "get_*": { "retries": 4 } }
  } } },
  "manager": { "preset": "high-availability", "retries": 5 }
}"#;

fn code(finished: &system_tests::process::Finished) -> Option<i32> {
    finished.status.and_then(|status| status.code())
}

#[test]
fn what_is_in_force_is_shown_with_where_it_comes_from() {
    let shown = run(CONFIG, &["config", "show", "mcp.json", "it", "get_file", "--origin"]);
    assert!(shown.success(), "{shown:?}");
    let said = |key: &str| {
        let line = shown.stdout.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(said("retries:"), "4 mcp.json:3:43");
    assert_eq!(said("maxQueued:"), "7 mcp.json:3:5");
    assert_eq!(said("hedge:"), "true preset high-availability");
    assert_eq!(said("priority:"), "5 default");
    let all = run(CONFIG, &["--json", "config", "show", "mcp.json"]);
    let blocks: Vec<Value> =
        all.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(blocks[0]["settings"]["retries"], 5);
    assert_eq!(blocks[1]["of"], "it");
    let missing = run(CONFIG, &["config", "show", "mcp.json", "nobody"]);
    assert_eq!(code(&missing), Some(2));
    assert!(missing.stderr.contains("there are: it"), "{missing:?}");
}

#[test]
fn presets_are_listed_and_shown_as_they_would_be_written() {
    let listed = run(CONFIG, &["config", "preset"]);
    assert_eq!(listed.stdout.lines().count(), 5, "{listed:?}");
    let shown = run(CONFIG, &["config", "preset", "production-small"]);
    let block: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(block["maxConcurrent"], 32);
    assert_eq!(code(&run(CONFIG, &["config", "preset", "fast"])), Some(2));
}

#[test]
fn a_check_recommends_what_would_be_better_and_is_content_with_the_file() {
    let checked = run(CONFIG, &["check", "mcp.json"]);
    assert!(checked.success(), "{checked:?}");
    for said in ["recommendation: `stateDir`", "recommendation: server `it`, `maxConcurrent`"] {
        assert!(checked.stdout.contains(said), "{said}: {checked:?}");
    }
}
