//! The tools: write, read, search, remove, and the definition of import.

use std::sync::LazyLock;

use serde_json::json;

use super::store::{KEY_CHARS_MAX, TEXT_BYTES_MAX};
use super::{Notebook, import};
use crate::demo::arguments::{Arguments, Misuse};
use crate::demo::tool::{Effect, Outcome, Output, Tool};

/// Notes that a search shows, and characters of a line that it shows of each.
const FOUND_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 120;

impl Notebook {
    pub(super) fn run(&self, tool: &str, arguments: &Arguments) -> Outcome {
        let text = match tool {
            "write" => self.write(arguments.text("key")?, arguments.text("text")?)?,
            "read" => {
                let key = arguments.text("key")?;
                self.store.read(key).ok_or_else(|| no_note(key))?.to_string()
            }
            "search" => self.search(arguments.text("query")?)?,
            _ => {
                let key = arguments.text("key")?;
                if !self.store.remove(key) {
                    return Err(no_note(key));
                }
                self.announce(key, true);
                format!("Removed {}.", mcp_wire::quoted(key))
            }
        };
        Ok(Output::Text(text))
    }

    pub(super) fn write(&self, key: &str, text: &str) -> Result<String, Misuse> {
        let new = self.store.write(key, text)?;
        self.announce(key, new);
        Ok(format!("{} {}.", if new { "Wrote" } else { "Replaced" }, mcp_wire::quoted(key)))
    }

    fn search(&self, query: &str) -> Result<String, Misuse> {
        if query.trim().is_empty() {
            return Err(Misuse::new("`query` must have a word to look for."));
        }
        let query = query.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&query);
        let notes = self.store.all();
        let found: Vec<_> = notes.iter().filter(|(key, text)| holds(key) || holds(text)).collect();
        let lines = found.iter().take(FOUND_MAX).map(|(key, text)| {
            let line = text.lines().find(|line| holds(line)).or(text.lines().next());
            format!("{key}: {}", beginning(line.unwrap_or_default()))
        });
        let mut lines: Vec<_> = lines.collect();
        match found.len() {
            0 => lines.push("No note has this in its key or text.".to_owned()),
            all if all > FOUND_MAX => lines.push(format!("... and {} more", all - FOUND_MAX)),
            _ => {}
        }
        Ok(lines.join("\n"))
    }
}

/// As much of a line as fits where notes are listed.
pub(super) fn beginning(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

fn no_note(key: &str) -> Misuse {
    let key = mcp_wire::quoted(key);
    Misuse(format!("There is no note {key}. `search` finds keys by a part of them."))
}

pub(super) static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let key = json!({ "type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX });
    let text = json!({ "type": "string" });
    let tool = |name, title, description, properties, required, effect| Tool {
        name,
        title,
        description,
        properties,
        required,
        output: None,
        effect,
    };
    vec![
        tool(
            "write",
            "Write a note",
            "Keeps a text under a key, and replaces the note that was there.",
            json!({ "key": key, "text": { "type": "string", "maxLength": TEXT_BYTES_MAX } }),
            &["key", "text"],
            Effect::Overwrites,
        ),
        tool(
            "read",
            "Read a note",
            "The text of a note.",
            json!({ "key": key }),
            &["key"],
            Effect::Reads,
        ),
        tool(
            "search",
            "Search the notes",
            "The notes whose key or text contains the query, in any case.",
            json!({ "query": text }),
            &["query"],
            Effect::Reads,
        ),
        tool(
            "remove",
            "Remove a note",
            "Removes a note for good.",
            json!({ "key": key }),
            &["key"],
            Effect::Overwrites,
        ),
        tool(
            "import",
            "Import notes",
            "Writes one note per line of the form `key: text`, in order, with progress. If it is \
             cancelled, the notes written so far stay.",
            json!({ "lines": {
                "type": "array",
                "items": text,
                "minItems": 1,
                "maxItems": import::LINES_MAX,
            } }),
            &["lines"],
            Effect::Overwrites,
        ),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(notebook: &Notebook, tool: &str, arguments: &str, expected: &str) {
        let arguments = Arguments::read(arguments).unwrap();
        let outcome = notebook.run(tool, &arguments);
        let (Ok(Output::Text(text)) | Err(Misuse(text))) = outcome else { panic!("structured") };
        assert_eq!(text, expected);
    }

    #[test]
    fn notes_come_and_go() {
        let notebook = Notebook::default();
        check(&notebook, "write", r#"{"key":"a","text":"first\nMilk and bread"}"#, "Wrote \"a\".");
        check(&notebook, "write", r#"{"key":"b","text":"x"}"#, "Wrote \"b\".");
        check(&notebook, "write", r#"{"key":"b","text":"y"}"#, "Replaced \"b\".");
        check(&notebook, "read", r#"{"key":"b"}"#, "y");
        check(&notebook, "search", r#"{"query":"MILK"}"#, "a: Milk and bread");
        check(&notebook, "search", r#"{"query":"b"}"#, "a: Milk and bread\nb: y");
        check(&notebook, "remove", r#"{"key":"b"}"#, "Removed \"b\".");
        let gone = "There is no note \"b\". `search` finds keys by a part of them.";
        check(&notebook, "read", r#"{"key":"b"}"#, gone);
        check(&notebook, "remove", r#"{"key":"b"}"#, gone);
        let nothing = "No note has this in its key or text.";
        check(&notebook, "search", r#"{"query":"wine"}"#, nothing);
    }

    #[test]
    fn a_search_shows_so_many_and_counts_the_rest() {
        let notebook = Notebook::default();
        for n in 0..25 {
            notebook.write(&format!("{n:02}"), &"ü".repeat(200)).unwrap();
        }
        let Ok(text) = notebook.search("ü") else { panic!() };
        assert!(text.starts_with(&format!("00: {}...\n01", "ü".repeat(120))), "{text}");
        assert!(text.ends_with("\n... and 5 more"), "{text}");
    }
}
