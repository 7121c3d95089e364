//! Replaces `${...}` by what it stands for, once: what comes out is never looked at again. The forms
//! are listed in the documentation of [`config`](super).

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::file;
use super::lookup::{Lookup, input_variable};
use super::problem::FaultKind;
use super::suggest::quote;
use super::template::{Piece, pieces};

/// What references are resolved against.
pub(super) struct Scope<'l> {
    pub(super) lookup: &'l dyn Lookup,
    pub(super) workspace: PathBuf,
    /// The inputs that the file declares, with their defaults.
    pub(super) inputs: HashMap<String, Option<String>>,
}

/// A reference that could not be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The byte of the template where it begins.
    pub(super) at: usize,
    pub(super) kind: FaultKind,
    pub(super) wanted: Option<String>,
    /// Follows the name of the key in a sentence.
    pub(super) what: String,
    pub(super) fix: String,
}

/// The value, in which references that could not be replaced stay as they were written.
pub(super) fn expand(template: &str, scope: &Scope<'_>) -> (String, Vec<Trouble>) {
    let mut value = String::with_capacity(template.len());
    let mut troubles = Vec::new();
    for piece in pieces(template) {
        match piece {
            Piece::Literal(text) => value.push_str(text),
            Piece::Escape => value.push_str("${"),
            Piece::Reference { body, at } => match scope.resolve(body) {
                Ok(text) => value.push_str(&text),
                Err(trouble) => {
                    value.extend(["${", body, "}"]);
                    troubles.push(Trouble { at, ..trouble });
                }
            },
            Piece::Unterminated { rest, at } => {
                value.push_str(rest);
                let what = "has a `${` without its `}`";
                let fix = "close it, or write `$${` for a literal `${`";
                troubles.push(Trouble { at, ..trouble(FaultKind::Reference, None, what, fix) });
            }
        }
    }
    (value, troubles)
}

impl Scope<'_> {
    fn resolve(&self, body: &str) -> Result<String, Trouble> {
        if body.contains("${") {
            let what = "has a `${` inside a `${...}`";
            let fix = "references do not nest: use one variable for the whole";
            return Err(trouble(FaultKind::Reference, None, what, fix));
        }
        if let Some(value) = self.predefined(body) {
            return value;
        }
        let (name, default) = match body.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (body, None),
        };
        match (name.strip_prefix("file:"), name.strip_prefix("input:")) {
            (Some(path), _) if default.is_none() => return self.file(path),
            (_, Some(id)) => return self.input(id, default),
            _ => {}
        }
        let name = name.strip_prefix("env:").unwrap_or(name);
        if is_variable(name) { self.variable(name, default) } else { Err(not_understood(body)) }
    }

    fn variable(&self, name: &str, default: Option<&str>) -> Result<String, Trouble> {
        let value = self.lookup.variable(name);
        match (value, default) {
            (Some(value), None) => utf8(value, "environment variable", name),
            (Some(value), Some(_)) if !value.is_empty() => {
                utf8(value, "environment variable", name)
            }
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                let what =
                    format!("needs the environment variable {}, which is not set", quote(name));
                let fix = format!(
                    "set it where mcp-manager is started, or give a default: `${{{name}:-...}}`"
                );
                Err(trouble(FaultKind::Unset, Some(name), what, fix))
            }
        }
    }

    fn input(&self, id: &str, default: Option<&str>) -> Result<String, Trouble> {
        if let Some(value) = self.lookup.input(id)
            && !(value.is_empty() && default.is_some())
        {
            return utf8(value, "input", id);
        }
        let declared = self.inputs.get(id).and_then(Option::as_deref);
        if let Some(default) = default.or(declared) {
            return Ok(default.to_owned());
        }
        let what = format!("needs the input {}, which has no value", quote(id));
        let fix = format!("set the environment variable {}", quote(&input_variable(id)));
        Err(trouble(FaultKind::Unset, Some(id), what, fix))
    }

    /// The contents of a file, without the newlines that editors put at the end.
    fn file(&self, path: &str) -> Result<String, Trouble> {
        let text = self.lookup.file(&self.path(path)).map_err(|error| {
            let (why, fix) = file::explain(&error);
            let what = format!("cannot read {}: {why}", quote(path));
            trouble(FaultKind::File, Some(path), what, fix)
        })?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// A path that a person wrote: `~/` is the home, relative is to the workspace folder.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        let path = match (written.strip_prefix("~/"), self.lookup.variable("HOME")) {
            (Some(below), Some(home)) => Path::new(&home).join(below),
            _ => self.workspace.join(written),
        };
        // Takes out the `.` of `./build`.
        path.components().collect()
    }

    /// `None` if `name` is not one of the names that VS Code predefines.
    fn predefined(&self, name: &str) -> Option<Result<String, Trouble>> {
        let value = match name {
            "userHome" => self.lookup.variable("HOME"),
            "workspaceFolder" => Some(self.workspace.clone().into_os_string()),
            "workspaceFolderBasename" => self.workspace.file_name().map(ToOwned::to_owned),
            "cwd" => self.lookup.current_dir().map(PathBuf::into_os_string),
            "pathSeparator" | "/" => Some(std::path::MAIN_SEPARATOR_STR.into()),
            _ => return None,
        };
        Some(match value {
            Some(value) => utf8(value, "path", name),
            None => {
                let what = format!("needs {}, which is not known here", quote(name));
                Err(trouble(FaultKind::Unset, Some(name), what, "write the path out"))
            }
        })
    }
}

fn is_variable(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn not_understood(body: &str) -> Trouble {
    // The body may hold a default, and a default may be a secret.
    let named = body.split(":-").next().unwrap_or_default();
    let what =
        format!("has a reference that is not understood: {}", quote(&format!("${{{named}}}")));
    let fix = "use `${VAR}`, `${VAR:-default}`, `${env:VAR}`, `${file:/path}`, `${input:id}`, \
               `${userHome}`, `${workspaceFolder}` or `${cwd}`, or write `$${` for a literal `${`";
    trouble(FaultKind::Reference, None, what, fix)
}

fn utf8(value: OsString, noun: &str, name: &str) -> Result<String, Trouble> {
    value.into_string().map_err(|_| {
        let what = format!("needs the {noun} {}, which is not UTF-8", quote(name));
        trouble(FaultKind::Value, Some(name), what, "set it to text in UTF-8")
    })
}

fn trouble(
    kind: FaultKind,
    wanted: Option<&str>,
    what: impl Into<String>,
    fix: impl Into<String>,
) -> Trouble {
    Trouble { at: 0, kind, wanted: wanted.map(Into::into), what: what.into(), fix: fix.into() }
}
