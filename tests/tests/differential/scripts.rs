//! What is asked of each server. Nothing here depends on time or chance.

use std::path::Path;

use serde_json::json;

/// One request: parameters and more members of `_meta` as JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) method: &'static str,
    pub(crate) params: &'static str,
    pub(crate) meta: &'static str,
}

const fn step(method: &'static str, params: &'static str) -> Step {
    Step { method, params, meta: "" }
}

const fn with(method: &'static str, params: &'static str, meta: &'static str) -> Step {
    Step { method, params, meta }
}

/// In either era.
pub(crate) const FIXTURE: &[Step] = &[
    step("tools/list", "{}"),
    step("prompts/list", "{}"),
    step("resources/list", "{}"),
    step("resources/templates/list", "{}"),
    step("tools/call", r#"{"name":"test_simple_text","arguments":{}}"#),
    step("tools/call", r#"{"name":"test_simple_text"}"#),
    step("tools/call", r#"{"name":"test_image_content","arguments":{}}"#),
    step("tools/call", r#"{"name":"test_audio_content","arguments":{}}"#),
    step("tools/call", r#"{"name":"test_embedded_resource","arguments":{}}"#),
    step("tools/call", r#"{"name":"test_multiple_content_types","arguments":{}}"#),
    step("tools/call", r#"{"name":"test_error_handling","arguments":{}}"#),
    step("tools/call", r#"{"name":"greet","arguments":{"name":"\u00fc \ud83d\ude00 \"q\""}}"#),
    step(
        "tools/call",
        r#"{"name":"json_schema_2020_12_tool","arguments":{"name":"x","deep":[1,[2]]}}"#,
    ),
    step("tools/call", r#"{"name":"no_such_tool","arguments":{}}"#),
    with("tools/call", r#"{"name":"test_tool_with_progress"}"#, r#""progressToken":"p-1""#),
    with("tools/call", r#"{"name":"test_tool_with_progress"}"#, r#""progressToken":7"#),
    step("tools/call", r#"{"name":"test_tool_with_progress"}"#),
    step("prompts/get", r#"{"name":"test_simple_prompt"}"#),
    step(
        "prompts/get",
        r#"{"name":"test_prompt_with_arguments","arguments":{"arg1":"a","arg2":"b"}}"#,
    ),
    step("prompts/get", r#"{"name":"test_prompt_with_arguments","arguments":{"arg1":"a"}}"#),
    step("prompts/get", r#"{"name":"test_prompt_with_image"}"#),
    step("prompts/get", r#"{"name":"no_such_prompt"}"#),
    step("resources/read", r#"{"uri":"test://static-text"}"#),
    step("resources/read", r#"{"uri":"test://static-binary"}"#),
    step("resources/read", r#"{"uri":"test://template/7/data"}"#),
    step("resources/read", r#"{"uri":"test://no-such-resource"}"#),
    step(
        "completion/complete",
        r#"{"ref":{"type":"ref/prompt","name":"test_prompt_with_arguments"},"argument":{"name":"arg1","value":"pa"}}"#,
    ),
    step(
        "completion/complete",
        r#"{"ref":{"type":"ref/resource","uri":"test://template/{id}/data"},"argument":{"name":"id","value":"te"}}"#,
    ),
    step("no/such_method", r#"{"odd":[1.0,1e3]}"#),
];

/// What only a session has.
pub(crate) const FIXTURE_LEGACY: &[Step] = &[
    step("tools/call", r#"{"name":"test_tool_with_logging"}"#),
    step("logging/setLevel", r#"{"level":"error"}"#),
    step("tools/call", r#"{"name":"test_tool_with_logging"}"#),
    step("logging/setLevel", r#"{"level":"loud"}"#),
    step("resources/subscribe", r#"{"uri":"test://watched-resource"}"#),
    step("resources/unsubscribe", r#"{"uri":"test://watched-resource"}"#),
];

/// What only a stateless request has.
pub(crate) const FIXTURE_MODERN: &[Step] = &[
    step("server/discover", "{}"),
    with(
        "tools/call",
        r#"{"name":"test_logging_tool"}"#,
        r#""io.modelcontextprotocol/logLevel":"error""#,
    ),
    step("tools/call", r#"{"name":"test_missing_capability"}"#),
    step("tools/call", r#"{"name":"test_input_required_result_elicitation"}"#),
    step(
        "tools/call",
        r#"{"name":"test_input_required_result_elicitation","inputResponses":{"user_name":{"action":"accept","content":{"name":"Zo\u00eb"}}}}"#,
    ),
    step("prompts/get", r#"{"name":"test_input_required_result_prompt"}"#),
    step("tasks/get", r#"{"taskId":"no-such-task"}"#),
];

/// Log messages name no call. Over HTTP they come with it; over stdio nobody could say whose they are.
pub(crate) const LOGGING: &[Step] = &[with(
    "tools/call",
    r#"{"name":"test_logging_tool"}"#,
    r#""io.modelcontextprotocol/logLevel":"debug""#,
)];

/// server-everything, which has sessions only.
pub(crate) const EVERYTHING: &[Step] = &[
    step("tools/list", "{}"),
    step("prompts/list", "{}"),
    step("resources/templates/list", "{}"),
    step("tools/call", r#"{"name":"echo","arguments":{"message":"h\u00e9 \ud83d\ude00"}}"#),
    step("tools/call", r#"{"name":"echo","arguments":{}}"#),
    step("tools/call", r#"{"name":"get-sum","arguments":{"a":0.1,"b":2e2}}"#),
    step("tools/call", r#"{"name":"get-tiny-image","arguments":{}}"#),
    step(
        "tools/call",
        r#"{"name":"get-annotated-message","arguments":{"messageType":"error","includeImage":true}}"#,
    ),
    step("tools/call", r#"{"name":"get-structured-content","arguments":{"location":"Chicago"}}"#),
    step("tools/call", r#"{"name":"get-resource-links","arguments":{"count":2}}"#),
    step("tools/call", r#"{"name":"no-such-tool","arguments":{}}"#),
    with(
        "tools/call",
        r#"{"name":"trigger-long-running-operation","arguments":{"duration":0.2,"steps":2}}"#,
        r#""progressToken":"t""#,
    ),
    step("prompts/get", r#"{"name":"simple-prompt"}"#),
    step("prompts/get", r#"{"name":"args-prompt","arguments":{"city":"Bern"}}"#),
    step("prompts/get", r#"{"name":"args-prompt"}"#),
    step("prompts/get", r#"{"name":"no-such-prompt"}"#),
    step("resources/read", r#"{"uri":"demo://resource/no-such"}"#),
    step(
        "completion/complete",
        r#"{"ref":{"type":"ref/prompt","name":"completable-prompt"},"argument":{"name":"department","value":"E"}}"#,
    ),
    step("no/such_method", "{}"),
];

impl Step {
    pub(crate) fn new(method: &'static str, params: &str) -> Self {
        // A script of a handful of lines lives as long as its test.
        step(method, Box::leak(params.to_owned().into_boxed_str()))
    }
}

/// server-filesystem, for a directory whose name is not known before.
pub(crate) fn filesystem(dir: &Path) -> Vec<(&'static str, String)> {
    let call = |tool: &str, arguments: serde_json::Value| {
        ("tools/call", json!({ "name": tool, "arguments": arguments }).to_string())
    };
    let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
    vec![
        ("tools/list", "{}".to_owned()),
        call("list_allowed_directories", json!({})),
        call("list_directory", json!({ "path": dir })),
        call("read_text_file", json!({ "path": file("plain.txt") })),
        call("read_text_file", json!({ "path": file("umlaute.txt"), "head": 1 })),
        call("read_text_file", json!({ "path": file("missing.txt") })),
        call("read_text_file", json!({ "path": "/etc/passwd" })),
        call("read_multiple_files", json!({ "paths": [file("plain.txt"), file("missing.txt")] })),
        call("search_files", json!({ "path": dir, "pattern": "*.txt" })),
        call("directory_tree", json!({ "path": dir })),
        call("read_text_file", json!({})),
        ("prompts/list", "{}".to_owned()),
    ]
}
