//! `mcp-manager config`: what is in force, and why; and what presets say.

use mcp_manager::config::{Config, Effective, Preset, ProcessLookup};
use serde_json::{Map, Value, json};

use crate::args::{ConfigCommand, Show};
use crate::exit::{Error, Exit};
use crate::output::{line, printable};

pub(crate) fn run(command: &ConfigCommand, json: bool) -> Result<Exit, Error> {
    match command {
        ConfigCommand::Show(show) => self::show(show, json),
        ConfigCommand::Preset { name } => preset(name.as_deref(), json),
    }
}

fn show(args: &Show, json: bool) -> Result<Exit, Error> {
    let config = Config::load(&args.config, &ProcessLookup)
        .map_err(|error| Error::new(Exit::Usage, "CONFIG_ERROR", error.to_string()))?;
    let missing = |name: &str| {
        let known: Vec<&str> = config.servers.iter().map(|server| &*server.name).collect();
        Error::usage(format!("there is no server {name:?}; there are: {}", known.join(", ")))
    };
    let mut blocks = Vec::new();
    match (&args.server, &args.tool) {
        (Some(server), Some(tool)) => {
            let all = config.effective_of_tool(server, tool).ok_or_else(|| missing(server))?;
            blocks.push((format!("{server}, tool {tool}"), all));
        }
        (Some(server), None) => {
            let all = config.effective_of(server).ok_or_else(|| missing(server))?;
            blocks.push((server.clone(), all));
        }
        (None, _) => {
            blocks.push(("manager".to_owned(), config.effective()));
            for server in &config.servers {
                let all = config.effective_of(&server.name).unwrap_or_default();
                blocks.push((server.name.clone(), all));
            }
        }
    }
    for (name, all) in blocks {
        if json {
            line(&as_json(&name, &all, args.origin).to_string());
        } else {
            print(&name, &all, args.origin);
        }
    }
    Ok(Exit::Ok)
}

fn print(name: &str, all: &[Effective], origin: bool) {
    line(&format!("# {}", printable(name)));
    for one in all {
        let said = format!("{}: {}", one.key, printable(&one.value));
        if origin {
            line(&format!("{said:<40} {}", printable(&one.origin.to_string())));
        } else {
            line(&said);
        }
    }
}

fn as_json(name: &str, all: &[Effective], origin: bool) -> Value {
    let keys: Map<String, Value> = all
        .iter()
        .map(|one| {
            let value = serde_json::from_str(&one.value).unwrap_or(Value::Null);
            let shown = match origin {
                true => json!({ "value": value, "origin": one.origin.to_string() }),
                false => value,
            };
            (one.key.to_owned(), shown)
        })
        .collect();
    json!({ "of": name, "settings": keys })
}

fn preset(name: Option<&str>, json: bool) -> Result<Exit, Error> {
    let Some(name) = name else {
        for preset in Preset::ALL {
            if json {
                line(&json!({ "name": preset.name(), "about": preset.about() }).to_string());
            } else {
                line(&format!("{:<22} {}", preset.name(), preset.about()));
            }
        }
        return Ok(Exit::Ok);
    };
    let known = Preset::ALL.into_iter().find(|preset| preset.name() == name);
    let preset = known.ok_or_else(|| {
        let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
        Error::usage(format!("there is no preset {name:?}; there are: {}", names.join(", ")))
    })?;
    line(preset.block().trim_end());
    Ok(Exit::Ok)
}
