//! Reads a text file without being surprised by what it is.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use super::problem::{ConfigError, Note, Place, Problem, ProblemKind, Severity};

/// The largest file that is read, in bytes: 1 MiB. A configuration a person wrote is a thousandth
/// of that; what is larger is some other file, and is refused before it fills the memory.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads a configuration file, and says so if other users can write to it.
pub(super) fn read_config(path: &Path) -> Result<(String, Option<Note>), ConfigError> {
    let text = read(path).map_err(|error| ConfigError::new(unreadable(path, &error)))?;
    let writable = std::fs::metadata(path).is_ok_and(|metadata| anyone_can_write(&metadata));
    let note = writable.then(|| Note {
        place: Place::file(path),
        severity: Severity::Warning,
        text: "any user of this machine can change this file, and with it the commands that \
               are run; take the right away with `chmod o-w`"
            .to_owned(),
    });
    Ok((text, note))
}

/// The text of the file at `path`. Pipes are read too, so that `<(...)` of a shell works.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // The length is not asked for: it says nothing of a pipe and may be old news of a file.
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is UTF-16"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("byte {valid} is not UTF-8"))
    })
}

/// What is wrong, in words, and how to put it right.
pub(super) fn explain(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => {
            ("there is no such file".to_owned(), "check the path, or create the file")
        }
        io::ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), "give the user who runs mcp-manager the right to read")
        }
        io::ErrorKind::IsADirectory => ("it is a directory".to_owned(), "name a file inside it"),
        io::ErrorKind::FileTooLarge => {
            ("it is larger than 1 MiB".to_owned(), "check that it is the file you mean")
        }
        io::ErrorKind::InvalidData => (error.to_string(), "save the file as UTF-8"),
        _ => (error.to_string(), "check the path and the links that lead to it"),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let (why, fix) = explain(error);
    Problem {
        place: Place::file(path),
        kind: ProblemKind::Unreadable,
        what: format!("cannot read the file: {why}"),
        fix: fix.to_owned(),
    }
}

#[cfg(unix)]
fn anyone_can_write(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.is_file() && metadata.mode() & 0o002 != 0
}

#[cfg(not(unix))]
fn anyone_can_write(_: &Metadata) -> bool {
    false
}
