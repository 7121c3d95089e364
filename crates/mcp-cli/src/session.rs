//! The few calls that the program makes for itself, as a stateless client.

use mcp_manager::{Call, Failure, Fleet, Scope};
use mcp_wire::{MODERN_VERSION, Message, Request, stateless_meta};
use serde_json::Value;

use crate::exit::Error;

/// Sends one request and returns the result.
pub(crate) async fn ask(
    fleet: &Fleet,
    scope: &Scope,
    method: &str,
    mut params: Value,
) -> Result<Value, Error> {
    let info = format!(r#"{{"name":"mcp-manager-cli","version":"{}"}}"#, env!("CARGO_PKG_VERSION"));
    let meta = format!("{{{}}}", stateless_meta(MODERN_VERSION, "{}", Some(&info)));
    params["_meta"] = serde_json::from_str(&meta).unwrap_or_default();
    let request = Request::read(Message::request("1", method, &params.to_string()));
    let request = request.map_err(Failure::from)?;
    let call = Call { request, client: None, scope: scope.clone() };
    let reply = fleet.dispatch(call).await?.reply().await?;
    if let Some(error) = reply.error_json() {
        let error: Value = serde_json::from_str(error).unwrap_or_default();
        let message = error["message"].as_str().unwrap_or("the server gave no reason").to_owned();
        return Err(Error::new(crate::exit::Exit::Tool, "TOOL_ERROR", message));
    }
    Ok(serde_json::from_str(reply.result_json().unwrap_or("{}")).unwrap_or_default())
}

/// All tools that `scope` offers, page by page.
pub(crate) async fn tools(fleet: &Fleet, scope: &Scope) -> Result<(Vec<Value>, Value), Error> {
    const PAGES_MAX: usize = 100;
    let (mut tools, mut meta) = (Vec::new(), Value::Null);
    let mut params = serde_json::json!({});
    for _ in 0..PAGES_MAX {
        let mut page = ask(fleet, scope, "tools/list", params).await?;
        if let Value::Array(more) = page["tools"].take() {
            tools.extend(more);
        }
        meta = page["_meta"].take();
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        params = serde_json::json!({ "cursor": cursor });
    }
    Ok((tools, meta))
}
