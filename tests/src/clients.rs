//! Clients that other people wrote, run as their users run them.
//!
//! Each runs with an empty home directory: they look for configuration there, and leave some.

use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::peers;
use crate::process::{self, Finished};

/// Interpreters start slowly on a machine that compiles at the same time.
const CLIENT_MAX: Duration = Duration::from_secs(60);

/// One call that the Python client makes, and what must come of it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a test's own data")]
pub struct Step {
    /// The tool's name, as the server under test lists it.
    pub tool: String,
    /// Its arguments, an object.
    pub arguments: Value,
    /// What its text must contain.
    pub expect: String,
    /// Whether the call must fail.
    pub fails: bool,
}

impl Step {
    /// A call that succeeds with a text that contains `expect`.
    pub fn new(tool: &str, arguments: Value, expect: &str) -> Self {
        Self { tool: tool.to_owned(), arguments, expect: expect.to_owned(), fails: false }
    }

    /// The same call, but it must fail.
    pub fn failing(self) -> Self {
        Self { fails: true, ..self }
    }
}

/// What the Python client saw.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The version that it and the server agreed on.
    pub protocol_version: String,
    /// The names of all tools, in order.
    pub tools: Vec<String>,
    /// What came of each step.
    pub calls: Vec<Called>,
}

/// What came of one step.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Called {
    /// The tool's name.
    pub tool: String,
    /// Whether everything was as expected.
    pub ok: bool,
    /// The text of the result, or the error.
    pub text: String,
    /// Whether the call failed.
    pub is_error: bool,
    /// The progress that was reported before the result.
    pub progress: Vec<f64>,
}

/// Runs the official Python SDK's client; `mode` is `legacy`, `auto` or a modern version.
///
/// # Panics
/// With all that it said, when it does not report or something was not as expected.
pub fn python(url: &str, mode: &str, plan: &[Step]) -> Report {
    let steps: Vec<_> = plan
        .iter()
        .map(|step| {
            json!({
                "tool": step.tool,
                "arguments": step.arguments,
                "expect_substring": step.expect,
                "expect_error": step.fails,
            })
        })
        .collect();
    let mut command = peers::python();
    command.arg(peers::file("clients/python_client.py")).args([url, mode]);
    let finished = at_home(command, Value::from(steps).to_string().as_bytes());
    let report = serde_json::from_str(&finished.stdout);
    match report {
        Ok(report) if finished.success() => report,
        _ => panic!("the Python client in mode {mode} against {url}: {finished:#?}"),
    }
}

/// Runs the MCP Inspector's command line against an HTTP endpoint; `era` is `legacy`, `auto` or
/// `modern`. It prints the result as one JSON object and ends with 5 when a tool failed.
pub fn inspector(url: &str, era: &str, args: &[&str]) -> Finished {
    let mut command = inspector_command();
    command.args([url, "--transport", "http", "--protocol-era", era]).args(args);
    at_home(command, b"")
}

/// Runs the MCP Inspector's command line against a server that it starts itself, over stdio.
pub fn inspector_stdio(server: &Command, args: &[&str]) -> Finished {
    let mut command = inspector_command();
    for (key, value) in server.get_envs() {
        let value = value.unwrap_or_default().to_string_lossy();
        command.arg("-e").arg(format!("{}={value}", key.to_string_lossy()));
    }
    command.arg(server.get_program()).args(server.get_args()).args(args);
    at_home(command, b"")
}

/// Calls a tool with mcporter, which prints its text and ends with 1 when it failed. Legacy era.
pub fn mcporter_call(url: &str, tool: &str, arguments: &Value) -> Finished {
    let mut command = mcporter_command();
    command.args(["call", &format!("{url}.{tool}"), "--allow-http"]);
    command.args(["--output", "text", "--args", &arguments.to_string()]);
    at_home(command, b"")
}

/// Lists tools with mcporter, as one JSON object.
pub fn mcporter_list(url: &str) -> Finished {
    let mut command = mcporter_command();
    command.args(["list", "--http-url", url, "--allow-http", "--name", "tested", "--json"]);
    at_home(command, b"")
}

fn inspector_command() -> Command {
    let mut command =
        peers::node_script("@modelcontextprotocol/inspector", "clients/launcher/build/index.js");
    command.arg("--cli");
    command
}

fn mcporter_command() -> Command {
    peers::node_script("mcporter", "dist/cli.js")
}

pub(crate) fn at_home(mut command: Command, input: &[u8]) -> Finished {
    let home = tempfile::tempdir().expect("a temporary directory");
    command.env("HOME", home.path()).env("XDG_CONFIG_HOME", home.path().join(".config"));
    command.current_dir(home.path());
    process::run(command, input, CLIENT_MAX)
}
