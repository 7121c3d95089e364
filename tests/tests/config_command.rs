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
    let checked = run(CONFIG, &["--json", "check", "mcp.json"]);
    assert_eq!(code(&checked), Some(0), "{checked:?}");
    let lines: Vec<Value> =
        checked.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recommended = lines.iter().filter(|line| line["severity"] == "recommendation");
    assert!(recommended.count() >= 2, "{checked:?}");
    assert_eq!(lines.last().unwrap()["errors"], 0);
}

#[test]
fn what_cannot_be_shown_is_said_as_check_says_it_and_secrets_are_not_shown() {
    for words in [&["check", "mcp.json"][..], &["config", "show", "mcp.json"]] {
        let refused = run(r#"{"mcpServers": {}, "manager": {"retrys": 1}}"#, words);
        assert_eq!(code(&refused), Some(2), "{words:?}: {refused:?}");
        assert!(refused.stderr.contains("mcp.json:1:32: unknown key"), "{words:?}: {refused:?}");
    }
    let config = r#"{"mcpServers": {"it": {
      "command": "/bin/cat", "args": ["canary-1"], "env": {"TOKEN": "canary-2"},
      "manager": {"healthCheck": "command", "healthCommand": ["/bin/true", "canary-3"]}
    }, "that": {
      "url": "http://127.0.0.1:1/canary-4", "headers": {"Authorization": "canary-5"},
      "manager": {"healthCheck": "http", "healthUrl": "http://127.0.0.1:1/canary-6"}
    }}}"#;
    for words in [
        &["config", "show", "mcp.json", "--origin"][..],
        &["--json", "config", "show", "mcp.json", "--origin"],
    ] {
        let shown = run(config, words);
        assert!(shown.success() && shown.stdout.contains("healthCheck"), "{shown:?}");
        assert!(!shown.stdout.contains("canary"), "{shown:?}");
    }
}
