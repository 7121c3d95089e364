//! What becomes of `${...}`.

use crate::world::{World, line};

/// The value of `written` as an argument, or what is said of it.
fn expand(written: &str) -> String {
    let text = format!(r#"{{"mcpServers": {{"a": {{"command": "x", "args": ["{written}"]}}}}}}"#);
    let config = World::ada().parse(&text).expect(written);
    let line = line(&config.servers[0], true);
    match line.split_once("\n  ") {
        None => line.trim_start_matches("a: stdio x [").trim_end_matches("]\n").to_owned(),
        Some((_, said)) => said.trim_end().to_owned(),
    }
}

#[test]
fn forms() {
    let table = [
        ("${API_KEY}", "canary-api-key"),
        ("${env:API_KEY}", "canary-api-key"),
        ("a${API_KEY}b${EMPTY}c", "acanary-api-keybc"),
        ("${API_KEY:-default}", "canary-api-key"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${env:UNSET:-default}", "default"),
        // Set to nothing is set; but for a default it is not, as in a shell.
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${file:/run/secrets/key}", "canary-file"),
        ("${input:perplexity-key}", "canary-perplexity-key"),
        ("${input:perplexity-key:-default}", "canary-perplexity-key"),
        ("${input:other:-default}", "default"),
        ("${input:empty:-default}", "default"),
        ("${input:empty}", ""),
        ("${userHome}", "/home/ada"),
        ("${workspaceFolder}", "/work/engine"),
        ("${workspaceFolderBasename}", "engine"),
        ("${cwd}", "/work/engine"),
        ("a${/}b${pathSeparator}c", "a/b/c"),
        // Not references.
        ("$API_KEY $ $$ $5 {x} }", "$API_KEY $ $$ $5 {x} }"),
        ("$${API_KEY}", "${API_KEY}"),
        ("$$${API_KEY}", "$${API_KEY}"),
        // Once: what comes out is not looked at again.
        ("${NESTED}", "${API_KEY}"),
    ];
    for (written, expected) in table {
        assert_eq!(expand(written), expected, "{written}");
    }
}

#[test]
fn faults() {
    const FORMS: &str = "use `${VAR}`, `${VAR:-default}`, `${env:VAR}`, `${file:/path}`, `${input:id}`, \
         `${userHome}`, `${workspaceFolder}` or `${cwd}`, or write `$${` for a literal `${`";
    let table = [
        (
            "a ${UNSET}",
            "Unset 1:51: `args[0]` needs the environment variable `UNSET`, which is not set; set \
             it where mcp-manager is started, or give a default: `${UNSET:-...}`"
                .to_owned(),
        ),
        (
            "${input:other-key}",
            "Unset 1:49: `args[0]` needs the input `other-key`, which has no value; set the \
             environment variable `MCP_INPUT_OTHER_KEY`"
                .to_owned(),
        ),
        (
            "${file:/none}",
            "File 1:49: `args[0]` cannot read `/none`: there is no such file; check the path, or \
             create the file"
                .to_owned(),
        ),
        (
            "x${API_KEY",
            "Reference 1:50: `args[0]` has a `${` without its `}`; close it, or write `$${` for \
             a literal `${`"
                .to_owned(),
        ),
        (
            "${A:-${B}}",
            "Reference 1:49: `args[0]` has a `${` inside a `${...}`; references do not nest: use \
             one variable for the whole"
                .to_owned(),
        ),
        (
            "${config:x:-canary}",
            format!(
                "Reference 1:49: `args[0]` has a reference that is not understood: `${{config:x}}`; {FORMS}"
            ),
        ),
        (
            "${file:/none:-canary}",
            format!(
                "Reference 1:49: `args[0]` has a reference that is not understood: `${{file:/none}}`; {FORMS}"
            ),
        ),
        (
            "${}",
            format!(
                "Reference 1:49: `args[0]` has a reference that is not understood: `${{}}`; {FORMS}"
            ),
        ),
        // With an escape in the string, the place is that of the string.
        (
            r"\t${UNSET}",
            "Unset 1:48: `args[0]` needs the environment variable `UNSET`, which is not set; set \
             it where mcp-manager is started, or give a default: `${UNSET:-...}`"
                .to_owned(),
        ),
    ];
    for (written, expected) in table {
        assert_eq!(expand(written), expected, "{written}");
    }
}

#[test]
fn one_server_is_set_aside_and_the_fleet_goes_on() {
    let text = r#"{"mcpServers": {
        "good": {"command": "x"},
        "bad": {"command": "${NO_COMMAND}", "env": {"TOKEN": "Bearer ${NO_TOKEN}"}},
        "also good": {"url": "http://h/${EMPTY}"}
    }}"#;
    let config = World::ada().parse(text).unwrap();
    let faulty: Vec<_> = config.servers.iter().map(|server| server.fault.is_some()).collect();
    assert_eq!(faulty, [false, true, false]);
    let fault = config.servers[1].fault.as_ref().unwrap();
    assert_eq!(
        fault.to_string(),
        "mcp.json:3:70: server `bad`: `env.TOKEN` needs the environment variable `NO_TOKEN`, \
         which is not set; set it where mcp-manager is started, or give a default: \
         `${NO_TOKEN:-...}`\n\
         mcp.json:3:29: server `bad`: `command` needs the environment variable `NO_COMMAND`, \
         which is not set; set it where mcp-manager is started, or give a default: \
         `${NO_COMMAND:-...}`"
    );
    let wanted: Vec<_> = fault.reasons.iter().map(|reason| reason.wanted.as_deref()).collect();
    assert_eq!(wanted, [Some("NO_TOKEN"), Some("NO_COMMAND")]);
}

#[test]
fn what_comes_out_is_checked_too() {
    let mut world = World::ada();
    world.variables.extend([("HOST", "h h".into()), ("LINES", "canary\nX: y".into())]);
    let text = r#"{"mcpServers": {
        "a": {"url": "https://${HOST}/", "headers": {"A": "${LINES}"}},
        "b": {"command": "${EMPTY}"}
    }}"#;
    let config = world.parse(text).unwrap();
    let faults: Vec<_> = config
        .servers
        .iter()
        .filter_map(|server| server.fault.as_ref())
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        faults,
        [
            "mcp.json:2:59: server `a`: `headers.A` cannot be sent as a header: it holds a line \
         break, a control character, or a character outside ASCII; remove it\n\
         mcp.json:2:22: server `a`: `url` is not a URL; write it as https://host/path",
            "mcp.json:3:26: server `b`: `command` is empty; name a program",
        ]
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text() {
    use std::os::unix::ffi::OsStringExt;
    let mut world = World::ada();
    world.variables.insert("RAW", std::ffi::OsString::from_vec(vec![0xff]));
    let config = world.parse(r#"{"mcpServers": {"a": {"command": "${RAW}"}}}"#).unwrap();
    assert_eq!(
        config.servers[0].fault.as_ref().unwrap().to_string(),
        "mcp.json:1:35: server `a`: `command` needs the environment variable `RAW`, which is not \
         UTF-8; set it to text in UTF-8"
    );
}

#[test]
fn env_files() {
    let server = |entry: &str| {
        let text = format!(r#"{{"mcpServers": {{"a": {{"command": "x", {entry}}}}}}}"#);
        line(&World::ada().parse(&text).expect(entry).servers[0], true)
    };
    assert_eq!(
        server(r#""envFile": ".env", "env": {"REGION": "entry", "B": "1"}"#),
        "a: stdio x FROM_FILE=canary from file REGION=entry B=1\n"
    );
    assert_eq!(
        server(r#""envFile": "./.env", "env": {"FROM_FILE": null}"#),
        "a: stdio x REGION=file -FROM_FILE\n"
    );
    assert_eq!(
        server(r#""envFile": "none.env""#),
        "a: stdio x\n  File 1:50: `envFile` cannot be read: there is no such file; check the \
         path, or create the file\n"
    );
    assert_eq!(
        server(r#""envFile": "bad.env""#),
        "a: stdio x\n  File 1:50: line 2 of `envFile` is not understood; write KEY=VALUE, and \
         close every quote on its line\n"
    );
}

#[test]
fn directories() {
    let table = [
        ("tools", "/work/engine/tools"),
        ("./tools/../src", "/work/engine/tools/../src"),
        ("~/src", "/home/ada/src"),
        ("/src", "/src"),
        ("${userHome}/src", "/home/ada/src"),
    ];
    for (cwd, expected) in table {
        let text = format!(r#"{{"mcpServers": {{"a": {{"command": "x", "cwd": "{cwd}"}}}}}}"#);
        let config = World::ada().parse(&text).unwrap();
        assert_eq!(line(&config.servers[0], true), format!("a: stdio x in {expected}\n"), "{cwd}");
    }
}

#[test]
fn the_workspace_folder_is_the_files_or_its_projects() {
    let table = [
        ("mcp.json", "/work/engine"),
        ("./mcp.json", "/work/engine"),
        ("sub/mcp.json", "/work/engine/sub"),
        ("/etc/mcp.json", "/etc"),
        (".vscode/mcp.json", "/work/engine"),
        ("/home/ada/p/.cursor/mcp.json", "/home/ada/p"),
        ("/mcp.json", "/"),
        ("", "/work/engine"),
    ];
    let text = r#"{"servers": {"a": {"command": "x", "cwd": "${workspaceFolder}"}}}"#;
    for (origin, expected) in table {
        let config = mcp_manager::config::Config::parse(text, origin, &World::ada()).unwrap();
        let line = line(&config.servers[0], true);
        assert_eq!(line, format!("a: stdio x in {expected}\n"), "{origin}");
    }
}
