//! Reads the entry of a server that is started as a child process.

use std::collections::HashMap;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;

use super::decode::{noun, object, properties, string, strings, wrong_type};
use super::dotenv;
use super::entry::{Entry, ignore};
use super::file;
use super::problem::{FaultKind, ProblemKind};
use super::spec::Stdio;
use super::suggest::quote;
use super::template::Mask;
use super::text::Text;
use super::value::{Complaint, Values, no_nul};

pub(super) fn read(
    entry: &Entry<'_, '_>,
    inherit_env: bool,
    values: &mut Values<'_, '_, '_>,
) -> Option<Stdio> {
    ignore(entry, &["headers"], "the server is not reached by URL", values.report);
    let (env, env_unset) = environment(entry, values);
    let args = arguments(entry, values);
    let cwd = directory(entry, values);
    let property = entry.get("command")?;
    let fix = "write the program alone, and its arguments in `args`";
    let lit = string("command", &property.value, fix, values.report)?;
    let command = values.text("command", lit, Mask::Open, complain_command);
    let one_word = !lit.value.split(' ').next().unwrap_or_default().contains(['/', '\\', '$']);
    if args.is_empty() && one_word && lit.value.trim().contains(' ') {
        let text = "`command` is one program with spaces in its name; if they separate arguments, \
                    move those to `args`, since no shell reads it";
        values.report.warning(lit.start(), text);
    }
    Some(Stdio { command, args, env, env_unset, cwd, inherit_env })
}

fn complain_command(command: &str) -> Option<Complaint> {
    if command.trim().is_empty() {
        return Some(Complaint { what: "is empty", fix: "name a program" });
    }
    no_nul(command)
}

fn arguments(entry: &Entry<'_, '_>, values: &mut Values<'_, '_, '_>) -> Vec<Text> {
    let Some(property) = entry.get("args") else { return Vec::new() };
    let mut args = Vec::new();
    let mut previous = "";
    for (index, lit) in strings("args", &property.value, values.report).into_iter().enumerate() {
        let mask = mask(previous, &lit.value);
        args.push(values.text(&format!("args[{index}]"), lit, mask, no_nul));
        previous = &lit.value;
    }
    args
}

/// How much of an argument may be shown. Arguments are public, any user of the machine can list
/// them; but files that hold keys there are common, and a log is kept longer than a process.
fn mask(previous: &str, argument: &str) -> Mask {
    if matches!(previous, "-H" | "--header") {
        return Mask::Behind(':');
    }
    if matches!(previous, "-e" | "--env") {
        return Mask::Behind('=');
    }
    if is_secret_flag(previous) && !previous.contains('=') && !argument.starts_with('-') {
        return Mask::Hidden;
    }
    if is_secret_flag(argument) {
        return Mask::Behind('=');
    }
    match argument.split_once("://") {
        Some((_, rest)) if rest.contains('@') => Mask::Behind(':'),
        Some(_) => Mask::Behind('?'),
        None => Mask::Open,
    }
}

fn is_secret_flag(argument: &str) -> bool {
    const WORDS: &[&str] = &["token", "secret", "passw", "key", "credential", "auth", "bearer"];
    let name = argument.split('=').next().unwrap_or_default().to_ascii_lowercase();
    name.starts_with('-') && WORDS.iter().any(|word| name.contains(word))
}

fn directory(entry: &Entry<'_, '_>, values: &mut Values<'_, '_, '_>) -> Option<Text> {
    let property = entry.get("cwd")?;
    let lit = string("cwd", &property.value, "write a directory", values.report)?;
    let written = values.text("cwd", lit, Mask::Open, |path| {
        let empty = Complaint { what: "is empty", fix: "name a directory, or leave it out" };
        if path.is_empty() { Some(empty) } else { no_nul(path) }
    });
    let Ok(path) = values.scope.path(written.expose()).into_os_string().into_string() else {
        let what = "`cwd` is below a directory whose name is not UTF-8";
        values.fault(lit.start(), FaultKind::Value, "cwd", what, "write an absolute path");
        return Some(written);
    };
    Some(Text::new(written.to_string(), path))
}

/// What is set, `envFile` first and `env` over it; and what is not to be inherited.
fn environment(
    entry: &Entry<'_, '_>,
    values: &mut Values<'_, '_, '_>,
) -> (Vec<(String, Text)>, Vec<String>) {
    let mut env = Variables::default();
    for (name, value) in env_file(entry, values).unwrap_or_default() {
        env.set(&name, Text::secret(value));
    }
    let mut unset = Vec::new();
    let block = entry.get("env").and_then(|property| {
        let fix = "write {\"NAME\": \"value\", ...}";
        object("env", &property.value, fix, values.report)
    });
    for property in block.map(|block| properties(block, values.report)).unwrap_or_default() {
        let name = property.name.as_str();
        if name.is_empty() || name.contains(['=', '\0']) {
            let what = format!("{} is not the name of a variable", quote(name));
            let fix = "use a name without `=`";
            let at = property.name.start();
            values.report.problem(at, ProblemKind::InvalidValue, what, fix);
            continue;
        }
        let key = format!("env.{name}");
        let value = &property.value;
        match value {
            Value::StringLit(lit) => env.set(name, values.text(&key, lit, Mask::Hidden, no_nul)),
            Value::NumberLit(lit) => env.set(name, as_text(&key, value, lit.value, values)),
            Value::BooleanLit(lit) => {
                let text = if lit.value { "true" } else { "false" };
                env.set(name, as_text(&key, value, text, values));
            }
            Value::NullKeyword(_) => {
                env.remove(name);
                unset.push(name.to_owned());
            }
            Value::Object(_) | Value::Array(_) => {
                let fix = "write it in double quotes";
                wrong_type(&key, value, "a string", fix, values.report);
            }
        }
    }
    (env.list, unset)
}

/// A value that is not a string, as the text that other clients make of it.
fn as_text(key: &str, value: &Value<'_>, text: &str, values: &mut Values<'_, '_, '_>) -> Text {
    let noun = if value.as_number_lit().is_some() { noun(value) } else { "a truth value" };
    let note = format!("{} is {noun}, and is passed on as text", quote(key));
    values.report.info(value.start(), note);
    Text::secret(text)
}

fn env_file(
    entry: &Entry<'_, '_>,
    values: &mut Values<'_, '_, '_>,
) -> Option<Vec<(String, String)>> {
    let property = entry.get("envFile")?;
    let lit = string("envFile", &property.value, "write a path", values.report)?;
    let faults = values.reasons.len();
    let path = values.text("envFile", lit, Mask::Open, no_nul);
    if values.reasons.len() > faults {
        return None;
    }
    let read = values.scope.lookup.file(&values.scope.path(path.expose()));
    let (what, fix) = match read.as_deref().map(dotenv::parse) {
        Ok(Ok(variables)) => return Some(variables),
        Ok(Err(bad)) => {
            let what = format!("line {} of `envFile` is not understood", bad.line);
            (what, "write KEY=VALUE, and close every quote on its line")
        }
        Err(error) => {
            let (why, fix) = file::explain(error);
            (format!("`envFile` cannot be read: {why}"), fix)
        }
    };
    let place = lit.start();
    values.fault(place, FaultKind::File, "envFile", what, fix);
    None
}

/// Variables in the order in which they were first set, each with its last value.
#[derive(Default)]
struct Variables {
    list: Vec<(String, Text)>,
    index: HashMap<String, usize>,
}

impl Variables {
    fn set(&mut self, name: &str, value: Text) {
        match self.index.get(name).and_then(|at| self.list.get_mut(*at)) {
            Some(variable) => variable.1 = value,
            None => {
                self.index.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value));
            }
        }
    }

    /// Rare enough, and the list short enough, that the places behind it are counted anew.
    fn remove(&mut self, name: &str) {
        self.list.retain(|(other, _)| other != name);
        let places = self.list.iter().enumerate();
        self.index = places.map(|(at, (name, _))| (name.clone(), at)).collect();
    }
}
