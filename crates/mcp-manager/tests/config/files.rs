//! Files as they lie on a disk.

use std::fs;
use std::path::PathBuf;

use mcp_manager::config::{Config, FILE_BYTES_MAX, ProblemKind, ProcessLookup};
use tempfile::TempDir;

/// A file of these bytes, and the directory that keeps it.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("mcp.json");
    fs::write(&path, bytes).expect("a file");
    (directory, path)
}

/// What is said of `path`, without its name.
fn said(path: &std::path::Path) -> String {
    let error = Config::load(path, &ProcessLookup).expect_err("a broken file");
    assert!(error.problems().iter().all(|problem| problem.kind == ProblemKind::Unreadable));
    error.to_string().replace(&*path.to_string_lossy(), "FILE")
}

#[test]
fn loads() {
    let text = "\u{feff}{\"mcpServers\": {\"a\": {\"command\": \"x\", \"cwd\": \"tools\"}}} // end";
    let (directory, path) = file(text.as_bytes());
    let config = Config::load(&path, &ProcessLookup).unwrap();
    let shown = format!("{:?}", config.servers);
    assert!(shown.contains("\"tools\""), "{shown}");
    let mcp_manager::config::ServerKind::Stdio(stdio) = &config.servers[0].kind else {
        panic!("a child")
    };
    let cwd = stdio.cwd.as_ref().unwrap().expose();
    assert_eq!(PathBuf::from(cwd), directory.path().join("tools"));
}

#[test]
fn is_not_there() {
    let (directory, _) = file(b"");
    let path = directory.path().join("none.json");
    assert_eq!(
        said(&path),
        "FILE: cannot read the file: there is no such file; check the path, or create the file"
    );
}

#[test]
fn is_a_directory() {
    let (directory, _) = file(b"");
    assert_eq!(
        said(directory.path()),
        "FILE: cannot read the file: it is a directory; name a file inside it"
    );
}

#[test]
fn is_too_large() {
    let mut bytes = br#"{"mcpServers": {}}"#.to_vec();
    bytes.resize(FILE_BYTES_MAX, b' ');
    let (_directory, path) = file(&bytes);
    Config::load(&path, &ProcessLookup).unwrap();
    bytes.push(b' ');
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        said(&path),
        "FILE: cannot read the file: it is larger than 1 MiB; check that it is the file you mean"
    );
}

#[test]
fn is_in_another_encoding() {
    let (_directory, path) = file(b"\xff\xfe{\0}\0");
    assert_eq!(said(&path), "FILE: cannot read the file: it is UTF-16; save the file as UTF-8");
    let (_directory, path) = file(b"{\"caf\xe9\": 1}");
    assert_eq!(
        said(&path),
        "FILE: cannot read the file: byte 5 is not UTF-8; save the file as UTF-8"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn is_a_loop_of_links() {
    let (directory, _) = file(b"");
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    std::os::unix::fs::symlink(&a, &b).unwrap();
    std::os::unix::fs::symlink(&b, &a).unwrap();
    assert_eq!(
        said(&a),
        "FILE: cannot read the file: Too many levels of symbolic links (os error 40); check the \
         path and the links that lead to it"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn is_endless() {
    assert_eq!(
        said(std::path::Path::new("/dev/zero")),
        "FILE: cannot read the file: it is larger than 1 MiB; check that it is the file you mean"
    );
}

#[cfg(unix)]
#[test]
fn anyone_can_change_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = file(br#"{"mcpServers": {"a": {"command": "x"}}}"#);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    assert!(Config::load(&path, &ProcessLookup).unwrap().notes.is_empty());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
    let config = Config::load(&path, &ProcessLookup).unwrap();
    let notes: Vec<_> = config.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [format!(
            "{}: any user of this machine can change this file, and with it the commands that are \
         run; take the right away with `chmod o-w`",
            path.display()
        )]
    );
}

#[cfg(unix)]
#[test]
fn cannot_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = file(b"{}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads it all the same.
    if fs::read(&path).is_err() {
        assert_eq!(
            said(&path),
            "FILE: cannot read the file: permission denied; give the user who runs mcp-manager \
             the right to read"
        );
    }
}
