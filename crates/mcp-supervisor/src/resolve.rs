//! Finds the program, and every reason not to start it that can be known beforehand.
//!
//! With a shim the program is executed by the shim, out of the supervisor's sight, and a C library
//! may hand a file that the kernel refuses to `/bin/sh`. What is said here is said precisely, and
//! before anything is started.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::{SpawnError, Spec};

const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The kernel reads this much of a file to find out how to run it.
const HEAD_BYTES: u64 = 256;

/// The absolute path of the file that `spec` starts, or why it cannot be started.
///
/// Reads the file system and blocks for it; starts nothing. What it does not find out (a program of
/// another machine, a file replaced a moment later) is told by the attempt to start.
pub fn resolve(spec: &Spec) -> Result<PathBuf, SpawnError> {
    let base = directory(spec)?;
    let path = if spec.program.as_bytes().contains(&b'/') {
        at_path(&base, &spec.program)?
    } else {
        in_search_path(&base, &spec.program, spec.env.get(OsStr::new("PATH")))?
    };
    check_format(&base, &path)?;
    Ok(path)
}

/// The absolute form of the directory that the program starts in.
fn directory(spec: &Spec) -> Result<PathBuf, SpawnError> {
    let cwd = spec.cwd.as_deref().unwrap_or(Path::new("."));
    let unusable = |source| SpawnError::WorkingDirectory { path: cwd.to_owned(), source };
    if spec.cwd.is_some() {
        if !fs::metadata(cwd).map_err(unusable)?.is_dir() {
            return Err(unusable(std::io::ErrorKind::NotADirectory.into()));
        }
        access(cwd, Access::EXEC_OK).map_err(|errno| unusable(errno.into()))?;
    }
    std::path::absolute(cwd).map_err(unusable)
}

fn at_path(base: &Path, program: &OsStr) -> Result<PathBuf, SpawnError> {
    let path = base.join(program);
    if is_program(&path) {
        Ok(path)
    } else if path.exists() {
        Err(SpawnError::NotExecutable { path })
    } else {
        Err(SpawnError::NotFound { program: program.to_owned(), searched: vec![path] })
    }
}

/// As `execvp` searches: a file that may not be executed is passed over, and remembered.
fn in_search_path(
    base: &Path,
    program: &OsStr,
    path: Option<&OsString>,
) -> Result<PathBuf, SpawnError> {
    let path = path.map_or(OsStr::new(PATH_DEFAULT), OsString::as_os_str);
    // An empty element, like any relative one, means the directory that the program starts in.
    let searched: Vec<_> = std::env::split_paths(path).map(|dir| base.join(dir)).collect();
    let candidates =
        || searched.iter().map(|dir| dir.join(program)).filter(|_| !program.is_empty());
    if let Some(found) = candidates().find(|path| is_program(path)) {
        return Ok(found);
    }
    match candidates().find(|path| path.is_file()) {
        Some(path) => Err(SpawnError::NotExecutable { path }),
        None => Err(SpawnError::NotFound { program: program.to_owned(), searched }),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn check_format(base: &Path, path: &Path) -> Result<(), SpawnError> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    if read.is_err() {
        return Ok(()); // A file can be executable and not readable.
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        let interpreter = interpreter(line);
        if is_program(&base.join(interpreter)) {
            return Ok(());
        }
        let interpreter = interpreter.to_owned();
        return Err(SpawnError::BadInterpreter { path: path.to_owned(), interpreter });
    }
    // A text that begins with anything else is a script without its first line. Other binaries may
    // be known to the kernel (binfmt_misc), so they are left to the attempt.
    if head.contains(&0) {
        Ok(())
    } else {
        Err(SpawnError::UnknownFormat { path: path.to_owned() })
    }
}

/// The first word of the line. A carriage return is part of it, as it is for the kernel.
fn interpreter(line: &[u8]) -> &Path {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    Path::new(OsStr::from_bytes(words.find(|word| !word.is_empty()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory with `name` of this mode and text in it, and a spec that searches it.
    fn with_file(name: &str, mode: u32, text: &[u8]) -> (tempfile::TempDir, Spec) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut spec = Spec::new(name);
        spec.env.insert("PATH".into(), dir.path().into());
        (dir, spec)
    }

    const SCRIPT: &[u8] = b"#!/bin/sh\n";

    #[test]
    fn searches_the_path_that_is_given_and_no_other() {
        let (dir, mut spec) = with_file("tool", 0o755, SCRIPT);
        assert_eq!(resolve(&spec).unwrap(), dir.path().join("tool"));

        spec.env.insert("PATH".into(), "/nowhere:/neither".into());
        let error = resolve(&spec).unwrap_err();
        assert_eq!(error.to_string(), "\"tool\" not found, looked in /nowhere, /neither");

        spec.env.clear();
        spec.program = "sh".into();
        assert!(resolve(&spec).is_ok(), "the default path");
        spec.program = "".into();
        assert!(matches!(resolve(&spec), Err(SpawnError::NotFound { .. })));
    }

    #[test]
    fn passes_over_what_may_not_be_executed() {
        let (bad, mut spec) = with_file("tool", 0o644, SCRIPT);
        assert!(matches!(resolve(&spec), Err(SpawnError::NotExecutable { .. })));

        let (good, _) = with_file("tool", 0o755, SCRIPT);
        let both = std::env::join_paths([bad.path(), good.path()]).unwrap();
        spec.env.insert("PATH".into(), both);
        assert_eq!(resolve(&spec).unwrap(), good.path().join("tool"));
    }

    #[test]
    fn a_path_is_relative_to_the_working_directory() {
        let (dir, mut spec) = with_file("tool", 0o755, SCRIPT);
        spec.program = "./tool".into();
        assert!(matches!(resolve(&spec), Err(SpawnError::NotFound { .. })));
        spec.cwd = Some(dir.path().to_owned());
        assert!(resolve(&spec).is_ok());

        spec.program = dir.path().into();
        assert!(matches!(resolve(&spec), Err(SpawnError::NotExecutable { .. })));
        // An empty element of PATH means the working directory.
        spec.program = "tool".into();
        spec.env.insert("PATH".into(), ":/nowhere".into());
        assert!(resolve(&spec).is_ok());
    }

    #[test]
    fn names_the_directory_it_cannot_start_in() {
        let (dir, mut spec) = with_file("tool", 0o755, SCRIPT);
        for (cwd, kind) in [
            (dir.path().join("missing"), std::io::ErrorKind::NotFound),
            (dir.path().join("tool"), std::io::ErrorKind::NotADirectory),
        ] {
            spec.cwd = Some(cwd.clone());
            let Err(SpawnError::WorkingDirectory { path, source }) = resolve(&spec) else {
                panic!("{cwd:?} is no directory");
            };
            assert_eq!((path, source.kind()), (cwd, kind));
        }
    }

    #[test]
    fn knows_what_the_kernel_would_not_run() {
        let (_dir, spec) = with_file("tool", 0o755, b"echo no first line\n");
        assert!(matches!(resolve(&spec), Err(SpawnError::UnknownFormat { .. })));
        let (_dir, spec) = with_file("tool", 0o755, b"");
        assert!(matches!(resolve(&spec), Err(SpawnError::UnknownFormat { .. })));

        for (line, named) in [
            (&b"#!/no/such/thing -x\n"[..], "/no/such/thing"),
            (b"#! /bin/sh\r\n", "/bin/sh\r"),
            (b"#!", ""),
        ] {
            let (_dir, spec) = with_file("tool", 0o755, line);
            let Err(SpawnError::BadInterpreter { interpreter, .. }) = resolve(&spec) else {
                panic!("{named:?} is no interpreter");
            };
            assert_eq!(interpreter, Path::new(named));
        }
        let (_dir, spec) = with_file("tool", 0o755, b"#! /bin/sh -e\nexit 0\n");
        assert!(resolve(&spec).is_ok());
    }
}
