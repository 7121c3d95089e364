//! The servers that another client has, as a configuration of ours.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::gateway::mcp_manager;
use system_tests::process::{self, Finished};

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn import(home: &tempfile::TempDir, words: &[&str]) -> Finished {
    let mut command = mcp_manager(home, &[&["import"], words].concat());
    command.env("API_KEY", "hunter2-hunter2");
    process::run(command, b"", Duration::from_secs(30))
}

fn code(finished: &Finished) -> Option<i32> {
    finished.status.and_then(|status| status.code())
}

#[test]
fn servers_are_found_where_each_client_keeps_them() {
    for (client, path, key) in [
        ("claude", ".config/Claude/claude_desktop_config.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", ".vscode/mcp.json", "servers"),
    ] {
        let home = tempfile::tempdir().unwrap();
        // As people write them: with a comment, a secret behind a reference, and ourselves.
        let text = format!(
            r#"{{ // mine
              "{key}": {{
                "time": {{ "command": "uvx", "args": ["mcp-server-time"], "env": {{ "K": "${{env:API_KEY}}" }}, "cwd": "sub" }},
                "all": {{ "command": "mcp-manager", "args": ["up", "x.json"] }}
              }}
            }}"#
        );
        put(&home.path().join(path), &text);
        let finished = import(&home, &["--from", client]);
        assert_eq!(code(&finished), Some(0), "{finished:?}");
        let config: Value = serde_json::from_str(&finished.stdout).unwrap();
        let time = &config["mcpServers"]["time"];
        assert_eq!(time["env"]["K"], "${env:API_KEY}", "as it stands in the file");
        assert!(time["cwd"].as_str().unwrap().starts_with('/'), "{client}: {time}");
        assert_eq!(config["mcpServers"]["all"], Value::Null, "it would start itself");
        assert!(finished.stderr.contains("left out"), "{}", finished.stderr);
        let said = finished.stdout + &finished.stderr;
        assert!(!said.contains("hunter2"), "a secret was read: {said}");
    }
}

#[test]
fn the_result_is_a_file_that_runs_and_that_nobody_else_reads() {
    let home = tempfile::tempdir().unwrap();
    let project = json!({ "mcpServers": { "a": { "command": "near" } } });
    let user = json!({ "mcpServers": { "a": { "command": "far" }, "b": { "url": "http://127.0.0.1:1/mcp" } } });
    put(&home.path().join(".cursor/mcp.json"), &project.to_string());
    let elsewhere = tempfile::tempdir().unwrap();
    put(&elsewhere.path().join(".cursor/mcp.json"), &user.to_string());
    let mut command = mcp_manager(&home, &["import", "--from", "cursor", "--write", "out.json"]);
    command.env("HOME", elsewhere.path());
    let finished = process::run(command, b"", Duration::from_secs(30));
    assert_eq!(code(&finished), Some(0), "{finished:?}");
    let out = home.path().join("out.json");
    let config: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(config["mcpServers"]["a"]["command"], "near", "the project's counts");
    assert_eq!(config["mcpServers"]["b"]["url"], "http://127.0.0.1:1/mcp");
    assert!(finished.stderr.contains("a nearer file has it"), "{}", finished.stderr);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    let again = import(&home, &["--from", "cursor", "--write", "out.json"]);
    assert!(code(&again) == Some(2) && again.stderr.contains("--force"), "{again:?}");
    assert_eq!(
        code(&import(&home, &["--from", "cursor", "--write", "out.json", "--force"])),
        Some(0)
    );
}

#[test]
fn what_is_not_there_or_wrong_is_said() {
    let home = tempfile::tempdir().unwrap();
    let finished = import(&home, &["--from", "vscode"]);
    assert_eq!(code(&finished), Some(2));
    assert!(finished.stderr.contains(".vscode/mcp.json"), "{}", finished.stderr);
    put(&home.path().join(".vscode/mcp.json"), r#"{ "servers": { "a": { "command": 7 } } }"#);
    let finished = import(&home, &["--from", "vscode"]);
    assert!(code(&finished) == Some(2) && finished.stderr.contains("mcp.json:1:"), "{finished:?}");
    let mut command = mcp_manager(&home, &["import", "--from", "claude"]);
    command.env_remove("HOME");
    let finished = process::run(command, b"", Duration::from_secs(30));
    assert!(finished.stderr.contains("HOME"), "{}", finished.stderr);
}
