//! Reads a whole text: the root's keys, its inputs, and every server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;

use super::decode::{array, duplicate, noun, object, properties, string};
use super::expand::Scope;
use super::keys;
use super::lookup::Lookup;
use super::problem::{ConfigError, Problem, ProblemKind};
use super::report::Report;
use super::settings::Settings;
use super::spec::ServerSpec;
use super::suggest::{list, nearest, quote};
use super::{Config, entry, manager, rules, syntax};

/// Reads `text`, which came from `origin`.
pub(super) fn read(text: &str, origin: &str, lookup: &dyn Lookup) -> Result<Config, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut report = Report::new(text, origin);
    let mut servers = Vec::new();
    let mut settings = Settings::default();
    if let Some(value) = syntax::parse(text, &mut report) {
        let fix = "write {\"mcpServers\": {...}}";
        if let Some(root) = value.as_object() {
            let mut scope =
                Scope { lookup, workspace: workspace(origin, lookup), inputs: HashMap::new() };
            (servers, settings) = read_root(root, &mut scope, &mut report);
        } else {
            let what = format!("the file holds {}, not an object", noun(&value));
            report.problem(value.start(), ProblemKind::WrongType, what, fix);
        }
    }
    let Report { problems, mut notes, said, .. } = report;
    if let Some(error) = ConfigError::from_problems(problems) {
        return Err(error);
    }
    notes.sort_by_key(|note| note.place.position);
    Ok(Config { servers, settings, notes, said })
}

fn read_root(
    root: &Object<'_>,
    scope: &mut Scope<'_>,
    report: &mut Report<'_>,
) -> (Vec<ServerSpec>, Settings) {
    let properties = properties(root, report);
    let find = |key: &str| properties.iter().find(|property| property.name.as_str() == key);
    check_keys(&properties, report);
    // Servers need the settings and the inputs, wherever in the file those are.
    let settings = find("manager")
        .map(|property| manager::global(&property.value, scope, report))
        .unwrap_or_default();
    if let Some(inputs) = find("inputs") {
        scope.inputs = read_inputs(&inputs.value, report);
    }
    let mut servers = Vec::new();
    let mut seen = HashMap::new();
    for property in &properties {
        if keys::SERVERS.contains(&property.name.as_str()) {
            read_servers(property, scope, &settings, &mut seen, &mut servers, report);
        }
    }
    check_fallbacks(&servers, report);
    rules::check_servers(&settings.rules, &servers, report);
    (servers, settings)
}

/// A fallback is one of the servers, and another one.
fn check_fallbacks(servers: &[ServerSpec], report: &mut Report<'_>) {
    let said: Vec<_> = report.fallbacks().cloned().collect();
    for (said, name) in said {
        let itself = said.of.server.as_ref() == Some(&name);
        if itself || !servers.iter().any(|server| server.name == name) {
            let what = match itself {
                true => format!("`fallback`: {} is the server itself", quote(&name)),
                false => format!("`fallback`: there is no server {}", quote(&name)),
            };
            let fix = "write the name of another server of this file".to_owned();
            let kind = ProblemKind::InvalidValue;
            report.problems.push(Problem { place: said.place, kind, what, fix });
        }
    }
}

/// Tells other programs' keys from mistakes, and finds out that there are no servers.
fn check_keys(properties: &[&ObjectProp<'_>], report: &mut Report<'_>) {
    let mut others = Vec::new();
    let mut meant_servers = false;
    for property in properties {
        let key = property.name.as_str();
        let at = property.name.start();
        if keys::ROOT.contains(&key) || keys::is_comment(key) {
            meant_servers |= keys::SERVERS.contains(&key);
        } else if let Some(near) = nearest(key, keys::ROOT) {
            meant_servers |= keys::SERVERS.contains(&near);
            let fix = format!("did you mean {}?", quote(near));
            report.problem(at, ProblemKind::UnknownKey, format!("unknown key {}", quote(key)), fix);
        } else {
            others.push((key, at));
        }
    }
    if !meant_servers {
        let at = properties.first().map_or(0, |property| property.name.start());
        let what = "no servers: there is neither `mcpServers` (Claude, Cursor and most others) \
                    nor `servers` (VS Code)";
        let fix = if properties.iter().any(|property| is_entry(&property.value)) {
            "put the servers inside {\"mcpServers\": {...}}"
        } else {
            "check that it is the file you mean, or add \"mcpServers\": {...}"
        };
        report.problem(at, ProblemKind::NoServers, what, fix);
    } else if let Some((_, at)) = others.first() {
        let names: Vec<_> = others.iter().map(|(key, _)| *key).collect();
        report.info(*at, format!("settings of other programs, ignored: {}", list(&names)));
    }
}

/// Whether this looks like a server that somebody put at the root.
fn is_entry(value: &Value<'_>) -> bool {
    let has = |key| value.as_object().is_some_and(|object| object.get(key).is_some());
    has("command") || keys::URL.iter().any(|key| has(key))
}

fn read_servers<'v>(
    property: &'v ObjectProp<'_>,
    scope: &Scope<'_>,
    settings: &Settings,
    seen: &mut HashMap<&'v str, usize>,
    servers: &mut Vec<ServerSpec>,
    report: &mut Report<'_>,
) {
    let key = property.name.as_str();
    let fix = "write {\"name\": {\"command\": \"...\"}, ...}";
    let Some(object) = object(key, &property.value, fix, report) else { return };
    if object.properties.is_empty() {
        report.warning(property.name.start(), format!("{} is empty: no servers", quote(key)));
    }
    for property in &object.properties {
        let (name, at) = (property.name.as_str(), property.name.start());
        match seen.get(name) {
            Some(first) => duplicate("server", name, *first, at, report),
            None => {
                seen.insert(name, at);
                servers.extend(entry::read(property, scope, settings, report));
            }
        }
    }
}

/// VS Code's `inputs`: what `${input:id}` can ask for, with the default of each.
fn read_inputs(value: &Value<'_>, report: &mut Report<'_>) -> HashMap<String, Option<String>> {
    let mut inputs = HashMap::new();
    let mut seen = HashMap::new();
    let fix = "write [{\"type\": \"promptString\", \"id\": \"...\"}, ...]";
    let Some(array) = array("inputs", value, fix, report) else { return inputs };
    for (index, element) in array.elements.iter().enumerate() {
        let key = format!("inputs[{index}]");
        let Some(input) = object(&key, element, fix, report) else { continue };
        let properties = properties(input, report);
        let find = |key: &str| properties.iter().find(|property| property.name.as_str() == key);
        let Some(id) = find("id") else {
            let what = format!("{} has no `id`", quote(&key));
            report.problem(element.start(), ProblemKind::Missing, what, fix);
            continue;
        };
        let Some(id) = string("id", &id.value, "write it in double quotes", report) else {
            continue;
        };
        if let Some(first) = seen.insert(&*id.value, id.start()) {
            duplicate("input", &id.value, first, id.start(), report);
            continue;
        }
        let default = find("default").and_then(|property| property.value.as_string_lit());
        inputs.insert(id.value.clone().into_owned(), default.map(|lit| lit.value.clone().into()));
    }
    inputs
}

/// The directory that relative paths start from: that of the file, or its parent if the file is in
/// an editor's own directory of a project.
fn workspace(origin: &str, lookup: &dyn Lookup) -> PathBuf {
    let directory = Path::new(origin).parent().unwrap_or(Path::new(""));
    let absolute = lookup.current_dir().unwrap_or_default().join(directory);
    // Takes out the `.` of `./mcp.json`.
    let absolute: PathBuf = absolute.components().collect();
    let is_editors =
        absolute.file_name().is_some_and(|name| name == ".vscode" || name == ".cursor");
    match absolute.parent() {
        Some(parent) if is_editors => parent.to_owned(),
        _ => absolute,
    }
}
