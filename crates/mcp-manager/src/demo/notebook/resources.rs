//! Notes as resources.

use mcp_wire::ErrorObject;
use mcp_wire::serve::Call;
use serde_json::{Value, json};

use super::store::Store;
use super::uri;

const MIME_TYPE: &str = "text/plain";

/// The result of `resources/list`.
pub(super) fn list(store: &Store) -> String {
    let notes = store.all();
    let resource = |(key, text): &(String, std::sync::Arc<str>)| json!({ "uri": uri::of(key), "name": key, "mimeType": MIME_TYPE, "size": text.len() });
    json!({ "resources": notes.iter().map(resource).collect::<Vec<_>>() }).to_string()
}

/// The result of `resources/templates/list`.
pub(super) fn templates() -> String {
    let template = json!({
        "uriTemplate": uri::TEMPLATE,
        "name": "note",
        "title": "Note",
        "description": "The note with this key.",
        "mimeType": MIME_TYPE,
    });
    json!({ "resourceTemplates": [template] }).to_string()
}

/// Answers `resources/read`.
pub(super) fn read(store: &Store, call: &Call) -> Result<String, ErrorObject> {
    let uri = call.name().unwrap_or_default();
    let text = uri::key(uri).and_then(|key| store.read(&key));
    let text = text.ok_or_else(|| call.unknown_resource(uri))?;
    Ok(json!({ "contents": [contents(uri, &text)] }).to_string())
}

/// The contents of a note, for a result that holds them.
pub(super) fn contents(uri: &str, text: &str) -> Value {
    json!({ "uri": uri, "mimeType": MIME_TYPE, "text": text })
}
