//! What holds whatever the text is.

use mcp_manager::config::ServerKind;
use proptest::prelude::*;

use crate::world::{World, summary};

const FILES: &[&str] = &[
    include_str!("../data/claude_code.mcp.json"),
    include_str!("../data/cursor.json"),
    include_str!("../data/vscode.jsonc"),
    include_str!("../data/windsurf.json"),
    include_str!("../data/gemini.json"),
    include_str!("../data/ours.jsonc"),
];

/// Pieces that a file is made of, so that random texts get past the first character.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "//",
    "/*",
    "*/",
    "\n",
    "\r",
    "é",
    "\u{feff}",
    "\0",
    "null",
    "true",
    "1e9",
    "\"mcpServers\":",
    "\"servers\":{\"a\":{",
    "\"manager\":{",
    "\"inputs\":",
    "\"command\":\"x\"",
    "\"args\":[\"${",
    "\"env\":{\"A\":",
    "\"url\":\"https://",
    "\"headers\":",
    "\"envFile\":\".env\"",
    "${",
    "$${",
    ":-",
    "env:",
    "file:",
    "input:",
    "5s",
    "16MiB",
    "\"urls\":[\"http://",
    "\"replicas\":3",
    "\"minReplicas\":2",
    "\"maxReplicas\":4",
    "\"sessions\":\"pooled\"",
    "\"healthCheck\":",
    "\"maxCpu\":0.5",
];

/// Reads `text`; whatever it is, there is an answer, and it keeps its promises.
fn check(text: &str) {
    match World::ada().parse(text) {
        Err(said) => {
            assert!(!said.is_empty());
            assert!(said.lines().all(|line| line.starts_with("mcp.json:")), "{said}");
        }
        Ok(config) => {
            summary(&config);
            for server in &config.servers {
                assert!((1..=128).contains(&server.name.chars().count()));
                assert!(server.settings.call_timeout <= server.settings.call_timeout_max);
                let scaling = &server.settings.scaling;
                assert!(1 <= scaling.replicas_min && scaling.replicas_min <= scaling.replicas);
                assert!(scaling.replicas <= scaling.replicas_max && scaling.replicas_max <= 64);
                if let (ServerKind::Stdio(stdio), None) = (&server.kind, &server.fault) {
                    assert!(!stdio.command.expose().is_empty());
                    assert!(!stdio.command.expose().contains('\0'));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        check(&words.concat());
    }

    #[test]
    fn any_value(value in ".*") {
        let value = value.replace(['\\', '"'], "");
        check(&format!(r#"{{"mcpServers": {{"a": {{"command": "{value}", "args": ["{value}"],
            "env": {{"{value}": "{value}"}}}}, "b": {{"url": "{value}"}}}}}}"#));
    }

    #[test]
    fn a_file_with_a_hole_or_a_patch(
        file in prop::sample::select(FILES),
        from in any::<prop::sample::Index>(),
        length in 0usize..40,
        patch in prop::sample::select(WORDS),
    ) {
        let letters: Vec<char> = file.chars().collect();
        let from = from.index(letters.len());
        let until = (from + length).min(letters.len());
        let (before, after): (String, String) =
            (letters[..from].iter().collect(), letters[until..].iter().collect());
        check(&format!("{before}{after}"));
        check(&format!("{before}{patch}{after}"));
    }

    #[test]
    fn any_replicas(
        urls in 1usize..70,
        replicas in proptest::option::of(0usize..70),
        min in proptest::option::of(0usize..70),
        max in proptest::option::of(0usize..70),
    ) {
        let keys = [("replicas", replicas), ("minReplicas", min), ("maxReplicas", max)];
        let keys: Vec<_> = keys
            .iter()
            .filter_map(|(key, number)| Some(format!(r#""{key}": {}"#, (*number)?)))
            .collect();
        let urls: Vec<_> = (0..urls).map(|number| format!(r#""http://h/{number}""#)).collect();
        check(&format!(
            r#"{{"mcpServers": {{"a": {{"urls": [{}], "manager": {{{}}}}}}}}}"#,
            urls.join(","),
            keys.join(",")
        ));
    }

    #[test]
    fn expansion_leaves_what_is_no_reference(text in "[a-z$ ]*") {
        let json = format!(r#"{{"mcpServers": {{"a": {{"command": "x", "args": ["{text}"]}}}}}}"#);
        let config = World::ada().parse(&json).unwrap();
        let ServerKind::Stdio(stdio) = &config.servers[0].kind else { panic!("a child") };
        prop_assert_eq!(stdio.args[0].expose(), text);
    }
}
