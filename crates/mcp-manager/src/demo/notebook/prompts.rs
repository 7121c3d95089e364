//! Prompts about the notes.

use mcp_wire::serve::Call;
use mcp_wire::{ErrorObject, code, quoted};
use serde_json::{Value, json};

use super::store::Store;
use super::{resources, tools, uri};

/// Notes that a review lists.
const REVIEWED_MAX: usize = 50;

/// The result of `prompts/list`.
pub(super) fn list() -> String {
    let key = json!({ "name": "key", "description": "The note's key.", "required": true });
    let prompts = json!([
        {
            "name": "summarize",
            "title": "Summarize a note",
            "description": "Asks for a summary of one note.",
            "arguments": [key],
        },
        {
            "name": "daily_review",
            "title": "Daily review",
            "description": "Asks what the notes say is to be done today.",
        },
    ]);
    json!({ "prompts": prompts }).to_string()
}

/// Answers `prompts/get`.
pub(super) fn get(store: &Store, call: &Call) -> Result<String, ErrorObject> {
    match call.name() {
        Some("summarize") => summarize(store, call),
        Some("daily_review") => Ok(daily_review(store)),
        other => Err(invalid(format!("unknown prompt {}", quoted(other.unwrap_or_default())))),
    }
}

fn summarize(store: &Store, call: &Call) -> Result<String, ErrorObject> {
    let key = call.arguments().and_then(|arguments| Some(arguments.text("key")?.into_owned()));
    let key = key.ok_or_else(|| invalid("argument `key` must be a string"))?;
    let note = store.read(&key);
    let note = note.ok_or_else(|| invalid(format!("there is no note {}", quoted(&key))))?;
    let resource =
        json!({ "type": "resource", "resource": resources::contents(&uri::of(&key), &note) });
    let request =
        "Summarize this note in at most three sentences, and list what it asks to be done.";
    let messages = json!([user(text(request)), user(resource)]);
    Ok(json!({ "description": "A summary of one note", "messages": messages }).to_string())
}

fn daily_review(store: &Store) -> String {
    let notes = store.all();
    let line = |(key, text): &(String, std::sync::Arc<str>)| {
        format!("- {key}: {}", tools::beginning(text.lines().next().unwrap_or_default()))
    };
    let mut lines: Vec<_> = notes.iter().take(REVIEWED_MAX).map(line).collect();
    if notes.len() > REVIEWED_MAX {
        lines.push(format!("- ... and {} more", notes.len() - REVIEWED_MAX));
    }
    let request = format!(
        "My notebook, {} in all, each note with its first line:\n{}\nRead what you need with the tool \
         `read`. What is to be done today, and which notes can be removed?",
        notes.len(),
        lines.join("\n"),
    );
    let messages = json!([user(text(&request))]);
    json!({ "description": "A review of all notes", "messages": messages }).to_string()
}

fn user(content: Value) -> Value {
    json!({ "role": "user", "content": content })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn invalid(why: impl Into<String>) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, why)
}
