//! Configuration files that cannot be used: each is refused, and nothing is started.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use system_tests::gateway::run;
use system_tests::servers::{fleet, misbehave};
use system_tests::wait::timed;

use crate::{code, run_in, tattler};

/// Both commands refuse the file `mcp.json` in `dir`, say why in these words, and start nothing.
fn assert_refused(dir: &tempfile::TempDir, words: &[&str]) {
    for command in ["check", "up"] {
        let (refused, time) = timed(|| run_in(dir, &[command, "mcp.json"]));
        assert_eq!(code(&refused), Some(2), "{command}: {refused:?}");
        assert_eq!(refused.stdout, "", "{command}");
        for word in words {
            assert!(refused.stderr.contains(word), "{command}: no {word:?} in {}", refused.stderr);
        }
        assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
        assert!(time < Duration::from_secs(20), "{time:?}");
    }
    assert!(!dir.path().join("started").exists(), "a server was started: {words:?}");
}

#[test]
fn fault_41_a_file_with_a_mistake_is_refused_with_its_place() {
    let good = tattler().to_string();
    let cases: &[(String, &[&str])] = &[
        (
            format!(
                "{{\"mcpServers\": {{\n  \"good\": {good},\n  \"b\": {{\"comand\": \"x\"}} }} }}"
            ),
            &["mcp.json:3:9: unknown key `comand`; did you mean `command`?"],
        ),
        (
            format!(
                "{{ \"mcpServers\": {{ \"good\": {good} }},\n\"manager\": {{ \"lissten\": 1 }} }}"
            ),
            &["mcp.json:2:14: ", "`lissten`", "did you mean `listen`?"],
        ),
        (
            format!(
                "{{ \"mcpServers\": {{ \"good\": {good},\n\n \"b\": {{ \"command\": 5 }} }} }}"
            ),
            &["mcp.json:3:", "`command`: expected a string, found a number"],
        ),
        (
            format!("{{ \"mcpServers\": {{ \"good\": {good},\n \"good\": {good} }} }}"),
            &["mcp.json:2:2: duplicate", "`good`", "first at 1:19"],
        ),
        (
            format!("{{ \"mcpServers\": {{ \"good\": {good} }},\n \"mcpServers\": {{}} }}"),
            &["mcp.json:2:2: duplicate", "`mcpServers`"],
        ),
        (format!("{{ \"mcpServers\": {{ \"good\": {good} "), &["mcp.json:1:"]),
        (String::new(), &["mcp.json:1:1: the file is empty"]),
        (" \n\t".to_owned(), &["mcp.json:", "empty"]),
        ("{}".to_owned(), &["mcp.json:1:1: no servers"]),
        ("[]".to_owned(), &["mcp.json:1:1"]),
        ("mcpServers: {}".to_owned(), &["mcp.json:1:"]),
    ];
    for (text, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mcp.json"), text).unwrap();
        assert_refused(&dir, words);
    }
}

#[test]
fn fault_41_a_file_that_cannot_be_read_is_refused() {
    let prepared = |prepare: &dyn Fn(&Path), words: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        prepare(&dir.path().join("mcp.json"));
        assert_refused(&dir, &[&["mcp.json: cannot read the file: "], words].concat());
    };
    prepared(&|_| {}, &["there is no such file"]);
    prepared(&|path| fs::create_dir(path).unwrap(), &["it is a directory"]);
    prepared(&|path| symlink(path, path).unwrap(), &["symbolic links"]);
    prepared(&|path| symlink("/nowhere/at/all", path).unwrap(), &["there is no such file"]);
    let large = |path: &Path| File::create(path).unwrap().set_len(100 << 20).unwrap();
    prepared(&large, &["larger than 1 MiB"]);
    prepared(&|path| symlink("/dev/zero", path).unwrap(), &["larger than 1 MiB"]);
    prepared(&|path| symlink("/proc/self/mem", path).unwrap(), &["Input/output error"]);
    prepared(
        &|path| fs::write(path, b"\xff\xfe{\0}\0").unwrap(),
        &["UTF-16", "save the file as UTF-8"],
    );
    prepared(&|path| fs::write(path, b"{ \"\xff\": 1 }").unwrap(), &["byte 3 is not UTF-8"]);
    let locked = |path: &Path| {
        fs::write(path, "{}").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    };
    // Root may read everything.
    let probe = tempfile::tempdir().unwrap();
    locked(&probe.path().join("probe"));
    if File::open(probe.path().join("probe")).is_err() {
        prepared(&locked, &["permission denied"]);
    }
}

#[test]
fn fault_41_a_byte_order_mark_is_no_mistake() {
    let text = format!("\u{feff}{}", fleet([("good", misbehave(&[]))]));
    let checked = run(&text, &["check", "mcp.json"]);
    assert_eq!(code(&checked), Some(0), "{checked:?}");
    let called = run(&text, &["call", "good/echo", "message=hi", "--config", "mcp.json"]);
    assert_eq!((code(&called), called.stdout.as_str()), (Some(0), "Echo: hi\n"), "{called:?}");
}
