//! `mcp-manager import`: the servers that another client has, as a configuration of ours.
//!
//! Entries are taken over as they stand in the client's file, references and all: what a reference
//! stands for is never read into the result, so no secret is.

mod places;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use mcp_manager::config::{Config, ProcessLookup};
use serde_json::{Map, Value, json};

use self::places::{folder_of, places};
use crate::args::Import;
use crate::exit::{Error, Exit};
use crate::output::{complain, line, printable};

/// What was found in one file.
struct Found {
    path: PathBuf,
    /// Their entries, by name.
    servers: Map<String, Value>,
    inputs: Vec<Value>,
}

pub(crate) fn run(args: &Import, json: bool) -> Result<Exit, Error> {
    let paths = match &args.file {
        Some(path) => vec![path.clone()],
        None => places(args.from)?,
    };
    let mut servers = Map::new();
    let mut inputs: Vec<Value> = Vec::new();
    let mut files = Vec::new();
    for path in paths.iter().filter(|path| args.file.is_some() || path.is_file()) {
        let found = read(path)?;
        let names: Vec<String> = found.servers.keys().cloned().collect();
        for (name, entry) in found.servers {
            if servers.contains_key(&name) {
                told(&format!("{name:?} of {}: left out, a nearer file has it", path.display()));
                continue;
            }
            servers.insert(name, entry);
        }
        for input in found.inputs {
            if inputs.iter().all(|known| known["id"] != input["id"]) {
                inputs.push(input);
            }
        }
        files.push(json!({ "path": found.path.display().to_string(), "servers": names }));
    }
    if files.is_empty() {
        let looked: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let message =
            format!("no file is there; looked for {}; --file names one", looked.join(", "));
        return Err(Error::usage(message));
    }
    let mut config = json!({ "mcpServers": servers });
    if !inputs.is_empty() {
        config["inputs"] = inputs.into();
    }
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    if let Some(target) = &args.write {
        write(target, &text, args.force)?;
        told(&format!("written to {}; mcp-manager check says what is missing", target.display()));
    }
    if json {
        line(&json!({ "files": files, "config": config }).to_string());
    } else if args.write.is_none() {
        line(&text);
    }
    Ok(Exit::Ok)
}

/// The servers in the file at `path`, which must be one that `up` could use.
fn read(path: &Path) -> Result<Found, Error> {
    let config = Config::load(path, &ProcessLookup)
        .map_err(|error| Error::new(Exit::Usage, "CONFIG_ERROR", error.to_string()))?;
    for note in &config.notes {
        told(&note.to_string());
    }
    let wrong = |why: String| {
        let message = format!("{}: {why}", path.display());
        Error::new(Exit::Usage, "CONFIG_ERROR", message)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let text = text.trim_start_matches('\u{feff}');
    let root: Value = parse_to_serde_value(text, &ParseOptions::default())
        .map_err(|error| wrong(error.to_string()))?;
    let folder = folder_of(path);
    let mut servers = Map::new();
    for spec in &config.servers {
        let entry = ["mcpServers", "servers"].iter().find_map(|key| root[key].get(&spec.name));
        let Some(entry) = entry else { continue };
        if starts_us(entry) {
            told(&format!("{:?}: left out, it would start mcp-manager itself", spec.name));
            continue;
        }
        let mut entry = entry.clone();
        anchor(&mut entry, &folder);
        told(&format!("{:?} from {}: {}", spec.name, path.display(), spec.kind.transport()));
        servers.insert(spec.name.clone(), entry);
    }
    let inputs = root["inputs"].as_array().cloned().unwrap_or_default();
    Ok(Found { path: path.to_owned(), servers, inputs })
}

fn told(text: &str) {
    complain(&printable(text));
}

/// Whether an entry runs this program.
fn starts_us(entry: &Value) -> bool {
    let program = entry["command"].as_str().map(Path::new).and_then(Path::file_name);
    let words = entry["args"].as_array().into_iter().flatten();
    program.is_some_and(|name| name == "mcp-manager")
        || words.filter_map(Value::as_str).any(|word| word == "mcp-manager")
}

/// What depends on where the file is means the same elsewhere.
fn anchor(entry: &mut Value, folder: &Path) {
    for key in ["cwd", "envFile"] {
        if let Some(path) = entry[key].as_str()
            && !path.starts_with(['/', '$', '~'])
        {
            entry[key] = folder.join(path).display().to_string().into();
        }
    }
    replace(entry, "${workspaceFolder}", &folder.display().to_string());
}

fn replace(value: &mut Value, what: &str, by: &str) {
    match value {
        Value::String(text) if text.contains(what) => *text = text.replace(what, by),
        Value::Array(all) => all.iter_mut().for_each(|one| replace(one, what, by)),
        Value::Object(all) => all.values_mut().for_each(|one| replace(one, what, by)),
        _ => {}
    }
}

/// Writes a file that only its owner can read: entries may hold secrets.
fn write(target: &Path, text: &str, force: bool) -> Result<(), Error> {
    let failed = |error: &std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "; --force replaces it",
            _ => "",
        };
        Error::usage(format!("cannot write {}: {error}{hint}", target.display()))
    };
    if !force && target.exists() {
        return Err(failed(&std::io::ErrorKind::AlreadyExists.into()));
    }
    let mut new = target.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let put = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(format!("{text}\n").as_bytes())?;
        fs::rename(&new, target)
    };
    put().map_err(|error| {
        let _ = fs::remove_file(&new);
        failed(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_this_program_is_known() {
        assert!(starts_us(&json!({ "command": "/opt/bin/mcp-manager", "args": ["up"] })));
        assert!(starts_us(&json!({ "command": "npx", "args": ["-y", "mcp-manager"] })));
        assert!(!starts_us(&json!({ "command": "npx", "args": ["mcp-manager-tools"] })));
        assert!(!starts_us(&json!({ "url": "https://mcp-manager.example/mcp" })));
    }

    #[test]
    fn paths_mean_the_same_elsewhere() {
        let mut entry = json!({
            "command": "${workspaceFolder}/run",
            "cwd": "sub",
            "envFile": "/etc/env",
            "args": ["${workspaceFolder}", "${env:TOKEN}"],
        });
        anchor(&mut entry, Path::new("/home/ada/project"));
        let expected = json!({
            "command": "/home/ada/project/run",
            "cwd": "/home/ada/project/sub",
            "envFile": "/etc/env",
            "args": ["/home/ada/project", "${env:TOKEN}"],
        });
        assert_eq!(entry, expected);
    }
}
