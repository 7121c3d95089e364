//! Where the values of `${...}` come from: the one door between this module and the process.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::file;

/// Answers what a configuration file asks for.
///
/// The rest of the module reads no environment and no clock, so a test hands it a map.
pub trait Lookup {
    /// The environment variable `name`, or `None` if it is not set.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// The contents of the file at `path`, which is absolute unless the working directory is
    /// unknown. Asked for by `${file:...}` and `envFile`.
    fn file(&self, path: &Path) -> io::Result<String>;

    /// The manager's working directory, or `None` if it is gone.
    fn current_dir(&self) -> Option<PathBuf>;

    /// The answer to the input `id`. By default the variable [`input_variable`]`(id)`.
    fn input(&self, id: &str) -> Option<OsString> {
        self.variable(&input_variable(id))
    }
}

/// The variable that answers the input `id`: `MCP_INPUT_` and the id in capitals, with `_` for
/// everything that is not an ASCII letter or digit.
///
/// ```
/// assert_eq!(mcp_manager::config::input_variable("github-token"), "MCP_INPUT_GITHUB_TOKEN");
/// ```
pub fn input_variable(id: &str) -> String {
    let letters = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("MCP_INPUT_{}", letters.collect::<String>().to_ascii_uppercase())
}

/// Nothing, for texts of our own that ask for nothing.
pub(super) struct NoLookup;

impl Lookup for NoLookup {
    fn variable(&self, _: &str) -> Option<OsString> {
        None
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn current_dir(&self) -> Option<PathBuf> {
        None
    }
}

/// The process's own environment and files; files up to [`FILE_BYTES_MAX`](super::FILE_BYTES_MAX).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state: the process is its state")]
pub struct ProcessLookup;

impl Lookup for ProcessLookup {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        file::read(path)
    }

    fn current_dir(&self) -> Option<PathBuf> {
        std::env::current_dir().ok()
    }
}
