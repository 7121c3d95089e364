//! Nothing that is shown gives a secret away.

use mcp_manager::config::Text;

use crate::world::{CANARY, World, line, summary};

#[test]
fn no_clients_file_gives_one_away() {
    let files = [
        include_str!("../data/claude_desktop.json"),
        include_str!("../data/claude_code.mcp.json"),
        include_str!("../data/cursor.json"),
        include_str!("../data/vscode.jsonc"),
        include_str!("../data/copilot.json"),
        include_str!("../data/windsurf.json"),
        include_str!("../data/gemini.json"),
    ];
    for text in files {
        let config = World::ada().parse(text).unwrap();
        let exposed: String = config.servers.iter().map(|server| line(server, true)).collect();
        assert!(exposed.contains(CANARY), "the test hides nothing: {text}");
        let shown = format!("{config:?}{config:#?}{}", summary(&config));
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

#[test]
fn no_place_in_an_entry_gives_one_away() {
    let entries = [
        r#""command": "${API_KEY}""#,
        r#""command": "x", "cwd": "${API_KEY}""#,
        r#""command": "x", "env": {"A": "canary"}"#,
        r#""command": "x", "env": {"A": "pre-canary-${EMPTY}-canary"}"#,
        r#""command": "x", "env": {"A": "${UNSET:-canary}"}"#,
        r#""command": "x", "env": {"A": "${input:api:-canary}"}"#,
        r#""command": "x", "env": {"A": "canary${"}"#,
        r#""command": "x", "envFile": ".env""#,
        r#""command": "x", "envFile": "bad.env""#,
        r#""command": "x", "args": ["${file:/run/secrets/key}"]"#,
        r#""command": "x", "args": ["--api-key", "canary"]"#,
        r#""command": "x", "args": ["--api-key=canary"]"#,
        r#""command": "x", "args": ["--header", "Authorization: Bearer canary"]"#,
        r#""command": "x", "args": ["-e", "TOKEN=canary"]"#,
        r#""command": "x", "args": ["mcp-remote", "https://h/mcp?key=canary"]"#,
        r#""command": "x", "args": ["postgres://ada:canary@h/db"]"#,
        r#""url": "https://h/mcp?key=canary""#,
        r#""url": "https://h/${API_KEY}""#,
        r#""url": "https://h/", "headers": {"A": "Bearer canary"}"#,
        r#""url": "https://h/", "headers": {"A": "canary", "a": "canary"}"#,
        r#""url": "https://h/", "headers": {"A": "canary\n"}"#,
        r#""url": "https://ada:canary@h/""#,
        r#""url": "canary""#,
        r#""url": 1, "headers": "canary""#,
        r#""command": "x", "args": "canary""#,
        r#""command": "x", "env": {"A": ["canary"]}"#,
        r#""command": "x", "env": {"A": "canary"#,
        r#""command": "x", "env": {"A": canary}"#,
        r#""command": "x", "env": {"A": "\ucanary"}"#,
        r#""command": "x", "env": {"A": "\ud800canary"}"#,
    ];
    for entry in entries {
        let text = format!(r#"{{"mcpServers": {{"a": {{{entry}}}}}}}"#);
        let shown = match World::ada().parse(&text) {
            Ok(config) => format!("{config:?}{}", summary(&config)),
            Err(said) => said,
        };
        assert!(!shown.contains(CANARY), "{entry}: {shown}");
    }
}

#[test]
fn a_text_shows_itself_only_when_asked() {
    let secret = Text::secret("canary");
    assert_eq!(format!("{secret} {secret:?}"), "*** \"***\"");
    assert_eq!(secret.expose(), "canary");
    let plain = Text::plain("x");
    assert_eq!(format!("{plain} {plain:?}"), "x \"x\"");
    assert_eq!(Text::secret("x"), plain, "equal values are equal");
}
