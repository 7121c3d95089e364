//! What the server says, where tests compare bytes.

use serde_json::{Value, json};

use super::Args;

/// Appears in everything that must never reach a caller.
pub const WRONG: &str = "WRONG";

/// The result of `raw`. It has unknown fields in an order that no sorted map keeps, numbers that no
/// float and no 64-bit integer holds, escapes that a decoder would normalise, and an unknown kind of
/// content. A gateway that forwards must forward exactly this.
pub const RAW_RESULT: &str = concat!(
    r#"{"zebra":{"z":1,"a":[null,true,{"y":{},"x":[]}]},"resultType":"complete","content":["#,
    r#"{"type":"x-unknown","payload":{"b":1,"a":2},"annotations":{"x-extra":1}},"#,
    r#"{"text":"caf\u00e9 \/ \ud83d\ude00 é 😀 \t","type":"text","x-extra":null}],"#,
    r#""past53":9007199254740993,"u64":18446744073709551615,"past64":123456789012345678901234567890,"#,
    r#""fraction":1.0,"exponent":1E+2,"tiny":1e-400,"minusZero":-0.0,"long":0.1000000000000000055511151231257827,"#,
    r#""structuredContent":{"b":null,"a":1.50},"_meta":{"x.example/k":[1,2.0]},"isError":false}"#,
);

/// With `--unparseable-result`, the result of `raw`.
pub const WEIRD_RESULT: &str = r#"["not","an","object",1.0]"#;

/// With `--unparseable-result`, the error of every other tool.
pub const WEIRD_ERROR: &str =
    r#"{"code":99999999999,"message":"an error from far away","data":{"b":1,"a":2},"extra":true}"#;

const PAGE: usize = 1_000;

/// The result of a call that went well.
pub(super) fn text(text: &str, modern: bool) -> String {
    let text = Value::from(text);
    let content = format!(r#""content":[{{"type":"text","text":{text}}}]"#);
    complete(&content, modern)
}

pub(super) fn initialize(args: &Args, requested: Option<&str>) -> String {
    // A version of the legacy era is granted as asked; for anything else, the latest of that era.
    const LATEST: &str = "2025-11-25";
    let version = requested.filter(|version| *version <= LATEST).unwrap_or(LATEST);
    let mut capabilities = json!({ "tools": { "listChanged": true } });
    if args.stateful {
        capabilities["logging"] = json!({});
        capabilities["resources"] = json!({ "subscribe": true });
    }
    json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "serverInfo": { "name": "misbehave", "version": "1.0.0" },
    })
    .to_string()
}

pub(super) const DISCOVER: &str = concat!(
    r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"#,
    r#""capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"private","#,
    r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"misbehave","version":"1.0.0"}}}"#,
);

/// A page of `tools/list`, from the tool that `cursor` counts to.
pub(super) fn tools(args: &Args, cursor: Option<&str>, modern: bool) -> String {
    let from: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let mut tools = if from == 0 || args.endless_cursor { own_tools(args) } else { Vec::new() };
    let many = args.many_tools.unwrap_or(0);
    let upto = many.min(from + PAGE);
    tools.extend((from..upto).map(|index| tool(&format!("tool-{index}"), &[])));
    let next = args.endless_cursor.then_some(from + 1).or((upto < many).then_some(upto));
    let next = next.map_or(String::new(), |next| format!(r#","nextCursor":"{next}""#));
    let tools = format!(r#""tools":{}{next}"#, Value::from(tools));
    complete(&format!("{tools}{}", if modern { CACHING } else { "" }), modern)
}

const CACHING: &str = r#","ttlMs":0,"cacheScope":"private""#;

fn complete(members: &str, modern: bool) -> String {
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    format!("{{{kind}{members}}}")
}

fn own_tools(args: &Args) -> Vec<Value> {
    let mut slow = tool("slow", &[("ms", "integer")]);
    if args.stateful {
        slow["annotations"] = json!({ "idempotentHint": true });
    }
    vec![
        tool("echo", &[("message", "string")]),
        slow,
        tool("burst", &[("count", "integer")]),
        tool("steps", &[("count", "integer"), ("ms", "integer")]),
        tool("raw", &[]),
        tool("pid", &[]),
        tool("die", &[]),
    ]
}

fn tool(name: &str, arguments: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<_, _> = arguments
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<_> = arguments.iter().map(|(name, _)| name).collect();
    json!({
        "name": name,
        "description": format!("The tool {name}"),
        "inputSchema": { "type": "object", "properties": properties, "required": required },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_compare_is_json() {
        for text in [RAW_RESULT, WEIRD_RESULT, WEIRD_ERROR, DISCOVER] {
            serde_json::from_str::<&serde_json::value::RawValue>(text).unwrap();
        }
    }

    #[test]
    fn pages_end_unless_told_otherwise() {
        let args = Args { many_tools: Some(2_500), ..Args::default() };
        let page = |cursor| serde_json::from_str::<Value>(&tools(&args, cursor, true)).unwrap();
        assert_eq!(page(None)["nextCursor"], "1000");
        assert_eq!(page(Some("2000"))["tools"].as_array().unwrap().len(), 500);
        assert_eq!(page(Some("2000"))["nextCursor"], Value::Null);
    }
}
