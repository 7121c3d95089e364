//! `mcp-manager list`: the tools that the servers offer, by the names that `call` takes.

use mcp_manager::{MISSING, State};
use serde_json::{Value, json};

use crate::args::List;
use crate::exit::{Error, Exit};
use crate::output::{complain, line, printable};
use crate::session::tools;
use crate::source::Source;

pub(crate) async fn run(list: List, json: bool) -> Result<Exit, Error> {
    let source = Source::open(&list.from, None).await?;
    let shown = show(&source, json).await;
    source.close().await;
    shown
}

async fn show(source: &Source, json: bool) -> Result<Exit, Error> {
    let mut rows: Vec<(String, Value)> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    if source.is_remote() {
        let (all, meta) = tools(source.fleet(), &source.fleet().everything()).await?;
        rows.extend(all.into_iter().map(|tool| (name(&tool), tool)));
        let absent = meta[MISSING].as_array().into_iter().flatten();
        missing.extend(absent.filter_map(|one| one["message"].as_str().map(str::to_owned)));
    } else {
        for server in &*source.fleet().servers() {
            if server.state() == State::Disabled {
                continue;
            }
            let Some(scope) = source.fleet().just(server.name()) else { continue };
            match tools(source.fleet(), &scope).await {
                Ok((all, _)) => {
                    let named = |tool: Value| (format!("{}/{}", server.name(), name(&tool)), tool);
                    rows.extend(all.into_iter().map(named));
                }
                Err(error) => missing.push(error.message),
            }
        }
    }
    print(&rows, json);
    for one in &missing {
        complain(&format!("warning: {}", printable(one)));
    }
    if rows.is_empty() && !missing.is_empty() {
        return Ok(Exit::Unreachable);
    }
    Ok(Exit::Ok)
}

fn print(rows: &[(String, Value)], json: bool) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, tool) in rows {
        let text = if json {
            json!({ "name": name, "tool": tool }).to_string()
        } else {
            let description = tool["description"].as_str().unwrap_or_default();
            let first = description.lines().next().unwrap_or_default();
            let row = format!("{:width$}  {}", printable(name), printable(first));
            row.trim_end().to_owned()
        };
        // A reader that has seen enough (`| head`) ends the list.
        if !line(&text) {
            return;
        }
    }
}

fn name(tool: &Value) -> String {
    tool["name"].as_str().unwrap_or_default().to_owned()
}
