//! The eight messages on which decode, change of id and encode are timed.
//!
//! Each has the size it had where the figures of comparison were taken, to the byte.

use std::fmt::Write as _;

/// A message and what to call it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// The name of the case.
    pub name: &'static str,
    /// The message, without a line break.
    pub json: String,
}

/// All eight, smallest kind first.
pub fn all() -> Vec<Sample> {
    let sample = |name, json| Sample { name, json };
    vec![
        sample("call", call()),
        sample("call-2026", call_2026()),
        sample("progress", progress()),
        sample("result", result()),
        sample("text-58k", text()),
        sample("base64-1m", base64()),
        sample("structured-1000-rows", structured()),
        sample("list-100-tools", list()),
    ]
}

/// The baseline: the whole message as a [`serde_json::Value`], its id replaced, written again.
///
/// # Errors
///
/// If `message` is not JSON.
pub fn change_id_by_value(message: &[u8], id: u64) -> serde_json::Result<Vec<u8>> {
    let mut value: serde_json::Value = serde_json::from_slice(message)?;
    if let Some(member) = value.get_mut("id") {
        *member = id.into();
    }
    serde_json::to_vec(&value)
}

/// `tools/call` of 2025-11-25.
pub fn call() -> String {
    let before = concat!(
        r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"get_weather","#,
        r#""arguments":{"city":"Reykjavik","days":3,"units":"metric"},"#,
        r#""_meta":{"progressToken":42,"trace":""#
    );
    padded(before, r#""}}}"#, 193)
}

/// `tools/call` of 2026-07-28, with the `_meta` that every request carries there.
pub fn call_2026() -> String {
    let before = concat!(
        r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"get_weather","#,
        r#""arguments":{"city":"Reykjavik","days":3,"units":"metric"},"_meta":{"#,
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
        r#""io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"#,
        r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"#,
        r#""progressToken":42,"traceparent":""#
    );
    padded(before, r#""}}}"#, 424)
}

/// A progress notification: no id, a token to rewrite.
pub fn progress() -> String {
    let before = concat!(
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":42,"#,
        r#""progress":17,"total":100,"message":""#
    );
    padded(before, r#""}}"#, 140)
}

/// A short text result.
pub fn result() -> String {
    let before = r#"{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"text","text":""#;
    padded(before, r#""}],"isError":false}}"#, 119)
}

/// A text result of 58 KB: prose with the escapes that prose has.
pub fn text() -> String {
    let mut json =
        r#"{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"text","text":""#.to_owned();
    while json.len() < 59_800 {
        json.push_str(r#"The quick brown fox said \"no\" to the lazy dog.\n"#);
    }
    padded(&json, r#""}],"isError":false}}"#, 60_090)
}

/// An image of 1 MB in base64: one string without an escape.
pub fn base64() -> String {
    let before = concat!(
        r#"{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"image","#,
        r#""mimeType":"image/png","data":""#
    );
    padded(before, r#""}],"isError":false}}"#, 1_045_098)
}

/// Structured content: a table of 1000 rows.
pub fn structured() -> String {
    let mut json = r#"{"jsonrpc":"2.0","id":42,"result":{"structuredContent":{"rows":["#.to_owned();
    for row in 0..1000 {
        let comma = if row > 0 { "," } else { "" };
        let half = if row % 2 == 0 { "5" } else { "25" };
        let ok = row % 3 == 0;
        let _ = write!(
            json,
            r#"{comma}{{"id":{row},"name":"row {row}","value":{row}.{half},"ok":{ok}}}"#
        );
    }
    json.push_str(r#"]},"content":[{"type":"text","text":""#);
    padded(&json, r#""}],"isError":false}}"#, 58_750)
}

/// `tools/list` with 100 tools.
pub fn list() -> String {
    let mut json = r#"{"jsonrpc":"2.0","id":42,"result":{"tools":["#.to_owned();
    for tool in 0..100 {
        let comma = if tool > 0 { "," } else { "" };
        let _ = write!(
            json,
            concat!(
                r#"{}{{"name":"tool_{}","description":"Looks something up and says what it found","#,
                r#""inputSchema":{{"type":"object","properties":{{"#,
                r#""query":{{"type":"string","description":"What to look for"}},"#,
                r#""limit":{{"type":"integer","minimum":1,"maximum":100}}}},"#,
                r#""required":["query"]}},"annotations":{{"readOnlyHint":true}}}}"#
            ),
            comma, tool
        );
    }
    json.push_str(r#"],"nextCursor":""#);
    padded(&json, r#""}}"#, 35_016)
}

/// `before`, as many letters as it takes, `behind`: `length` bytes in all.
fn padded(before: &str, behind: &str, length: usize) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let missing = length.saturating_sub(before.len() + behind.len());
    let padding = LETTERS.bytes().cycle().take(missing).map(char::from);
    let mut json = before.to_owned();
    json.extend(padding);
    json + behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_json_of_its_size() {
        let sizes = [193, 424, 140, 119, 60_090, 1_045_098, 58_750, 35_016];
        for (sample, size) in all().iter().zip(sizes) {
            assert_eq!(sample.json.len(), size, "{}", sample.name);
            let value: serde_json::Value = serde_json::from_str(&sample.json).unwrap();
            assert_eq!(value["jsonrpc"], "2.0", "{}", sample.name);
        }
    }

    #[test]
    fn the_baseline_changes_the_id_and_nothing_else() {
        for sample in all() {
            let changed = change_id_by_value(sample.json.as_bytes(), 7).unwrap();
            let mut changed: serde_json::Value = serde_json::from_slice(&changed).unwrap();
            if let Some(id) = changed.get_mut("id") {
                assert_eq!(*id, 7);
                *id = 42.into();
            }
            let original: serde_json::Value = serde_json::from_str(&sample.json).unwrap();
            assert_eq!(changed, original, "{}", sample.name);
        }
    }
}
