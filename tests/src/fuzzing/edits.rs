//! An edited message is the message with the edit made, and nothing else.

use mcp_wire::{Draft, Limits, Message};
use serde_json::{Map, Value, json};

const WITH: &str = r#"{"instead":[1,"\u00e9"]}"#;
const ADDED: &str = r#""\u0000added":1,"fuzz/added":[]"#;

/// Replaces a message's id and its body, and adds members to an object in it.
///
/// # Panics
/// When the outcome is not what the same edits make of the parsed message.
pub fn run(data: &[u8]) {
    let Ok(message) = Message::parse(data.to_vec(), &Limits::default()) else { return };
    let Ok(read) = serde_json::from_str::<Value>(message.as_str()) else { return };
    another_id(&message, &read);
    another_body(&message, &read);
    more_members(&message, &read);
}

fn another_id(message: &Message, read: &Value) {
    let mut wanted = read.clone();
    if wanted.get("id").is_some() {
        wanted["id"] = json!("é\"");
        assert_eq!(parsed(&message.with_id(r#""é\"""#)), wanted);
    }
}

fn another_body(message: &Message, read: &Value) {
    let Some((name, body)) = body(message) else { return };
    let Some(range) = message.range_of(body) else { panic!("{name} is from there") };
    let mut draft = Draft::new(message.clone());
    draft.replace(range.clone(), WITH);
    // The second change of the same bytes does not count, nor does one outside of them.
    draft.replace(range, "null");
    draft.replace(usize::MAX - 1..usize::MAX, "null");
    let mut wanted = read.clone();
    wanted[name] = json!({ "instead": [1, "é"] });
    assert_eq!(parsed(&draft.finish()), wanted);
}

fn more_members(message: &Message, read: &Value) {
    let Some((name, body)) = body(message) else { return };
    let (Some(range), Some(Value::Object(object))) = (message.range_of(body), read.get(name))
    else {
        return;
    };
    if object.contains_key("\0added") || object.contains_key("fuzz/added") {
        return;
    }
    let mut draft = Draft::new(message.clone());
    draft.insert(&range, ADDED);
    let mut more: Map<String, Value> = object.clone();
    more.insert("\0added".to_owned(), json!(1));
    more.insert("fuzz/added".to_owned(), json!([]));
    let mut wanted = read.clone();
    wanted[name] = Value::Object(more);
    let edited = draft.into_message();
    assert_eq!(edited.kind(), message.kind());
    assert_eq!(parsed(edited.bytes()), wanted);
}

fn body(message: &Message) -> Option<(&'static str, &str)> {
    let params = message.params().map(|json| ("params", json));
    let result = message.result_json().map(|json| ("result", json));
    params.or(result).or_else(|| Some(("error", message.error_json()?)))
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("the edit broke it: {error}"))
}
