//! `mcp-manager call`: one tool, once.

use mcp_manager::Scope;
use serde_json::{Map, Value, json};

use crate::args::Call;
use crate::exit::{Error, Exit};
use crate::output::{complain, line, printable};
use crate::session::{ask, tools};
use crate::source::Source;

pub(crate) async fn run(call: Call, json: bool) -> Result<Exit, Error> {
    let (server, tool) = match call.tool.split_once('/') {
        Some((server, tool)) => (Some(server), tool),
        None => (None, call.tool.as_str()),
    };
    let arguments = match &call.args_json {
        Some(text) => Arguments::Whole(object(text)?),
        None => Arguments::Pairs(pairs(&call.arguments)?),
    };
    let source = Source::open(&call.from, server).await?;
    let result = make(&source, server, tool, arguments).await;
    source.close().await;
    show(&result?, json)
}

enum Arguments {
    Whole(Map<String, Value>),
    Pairs(Vec<(String, String)>),
}

fn object(text: &str) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text).map_err(|error| {
        Error::usage(format!("--args-json: expected a JSON object such as '{{\"a\":1}}': {error}"))
    })
}

fn pairs(words: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |word: &String| {
        let split = word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let bad = || Error::usage(format!("argument {word:?}: expected key=value"));
        split.filter(|(key, _)| !key.is_empty()).ok_or_else(bad)
    };
    words.iter().map(pair).collect()
}

async fn make(
    source: &Source,
    server: Option<&str>,
    tool: &str,
    arguments: Arguments,
) -> Result<Value, Error> {
    let fleet = source.fleet();
    let scope = match server {
        // A running manager was asked for the view of one server already.
        Some(name) if !source.is_remote() => fleet.just(name).ok_or_else(|| {
            let servers = fleet.servers();
            let known: Vec<&str> = servers.iter().map(|server| server.name()).collect();
            let message = format!("there is no server {name:?}; there are: {}", known.join(", "));
            Error::new(Exit::Tool, "SERVER_NOT_FOUND", message)
        })?,
        _ => fleet.everything(),
    };
    let arguments = match arguments {
        Arguments::Whole(object) => object,
        Arguments::Pairs(pairs) => typed(&find(fleet, &scope, tool).await?, pairs),
    };
    let params = json!({ "name": tool, "arguments": arguments });
    ask(fleet, &scope, "tools/call", params).await
}

async fn find(fleet: &mcp_manager::Fleet, scope: &Scope, tool: &str) -> Result<Value, Error> {
    let (all, _) = tools(fleet, scope).await?;
    let names: Vec<&str> = all.iter().filter_map(|tool| tool["name"].as_str()).collect();
    let listed = || {
        let message = format!("there is no tool {tool:?}; there are: {}", names.join(", "));
        Error::new(Exit::Tool, "NOT_FOUND", message)
    };
    all.iter().find(|one| one["name"] == tool).cloned().ok_or_else(listed)
}

/// A word is text where the tool's schema wants text; elsewhere it is JSON if it can be.
fn typed(tool: &Value, pairs: Vec<(String, String)>) -> Map<String, Value> {
    let properties = &tool["inputSchema"]["properties"];
    let value = |key: &str, word: String| {
        if properties[key]["type"] == "string" {
            return Value::String(word);
        }
        serde_json::from_str(&word).unwrap_or(Value::String(word))
    };
    pairs.into_iter().map(|(key, word)| (key.clone(), value(&key, word))).collect()
}

fn show(result: &Value, json: bool) -> Result<Exit, Error> {
    let failed = result["isError"] == true;
    if json {
        line(&result.to_string());
    } else {
        for block in result["content"].as_array().into_iter().flatten() {
            let text = match block["text"].as_str() {
                Some(text) if block["type"] == "text" => printable(text),
                _ => block.to_string(),
            };
            if failed {
                complain(&text);
            } else if !line(&text) {
                break;
            }
        }
    }
    Ok(if failed { Exit::Tool } else { Exit::Ok })
}
