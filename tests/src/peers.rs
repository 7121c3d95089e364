//! Where the programs are that the tests run: ours, and the pinned ones from the registries.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's own directory.
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// A program that this workspace builds, from the same target directory as the caller.
///
/// # Panics
/// When it was not built.
pub fn own(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    let dir = here.parent().unwrap_or(Path::new(""));
    // Test programs live one deeper than the others.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    let program = dir.join(name);
    assert!(program.is_file(), "{} is missing: run `cargo build --workspace`", program.display());
    program
}

/// The pinned Node, which every npm peer runs on.
pub fn node() -> Command {
    let mut command = Command::new(installed("npm/node_modules/.bin/node"));
    command.env("NODE_NO_WARNINGS", "1").env("NO_COLOR", "1");
    command
}

/// The pinned Node, about to run `script` of the npm package `package`.
pub fn node_script(package: &str, script: &str) -> Command {
    let mut command = node();
    command.arg(npm(package, script));
    command
}

/// A file of an installed npm package.
pub fn npm(package: &str, file: &str) -> PathBuf {
    installed("npm/node_modules").join(package).join(file)
}

/// The Python that has the pinned packages.
pub fn python() -> Command {
    let mut command = Command::new(installed("venv/bin/python"));
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A program that a pinned Python package installs.
pub fn python_program(name: &str) -> PathBuf {
    installed("venv/bin").join(name)
}

/// libfaketime, which gives a program the wall clock of a file: preload it.
///
/// # Panics
/// When it is not installed.
pub fn faketime() -> PathBuf {
    const LIBRARY: &str = "site-packages/libfaketime/vendor/libfaketime/src/libfaketime.so.1";
    let lib = workspace().join("target/peers/venv/lib");
    let versions = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join(LIBRARY)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no {LIBRARY} below {}: run `cargo xtask setup`", lib.display()))
}

/// A file of this package, such as `clients/python_client.py`.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The official conformance suite.
pub fn conformance_suite() -> Command {
    node_script("@modelcontextprotocol/conformance", "dist/index.js")
}

/// The official server that has a bit of everything. Legacy era only.
pub fn server_everything() -> Command {
    node_script("@modelcontextprotocol/server-everything", "dist/index.js")
}

/// The same over HTTP: it prints its address. It has no notion of whom to listen to, so it is made to
/// listen on this machine only.
pub fn server_everything_http() -> Command {
    on_loopback("streamableHttp")
}

/// The same over HTTP+SSE of 2024-11-05. The path of its address is `/sse`, whatever it prints.
pub fn server_everything_sse() -> Command {
    on_loopback("sse")
}

fn on_loopback(transport: &str) -> Command {
    let mut command = node();
    command.arg("--require").arg(file("peers/loopback.cjs"));
    command.arg(npm("@modelcontextprotocol/server-everything", "dist/index.js"));
    command.arg(transport);
    command
}

/// supergateway, which serves the stdio server `command` over WebSocket. It has no notion of whom to
/// listen to either.
pub fn supergateway(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    // It hands the line to a shell. No word of ours has a quote in it.
    let line: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut gateway = node();
    gateway.arg("--require").arg(file("peers/loopback.cjs"));
    gateway.arg(npm("supergateway", "dist/index.js"));
    gateway.args(["--outputTransport", "ws", "--messagePath", "/mcp", "--logLevel", "none"]);
    gateway.arg("--stdio").arg(line.join(" "));
    gateway
}

/// The official file server, for `dir`. Legacy era only.
pub fn server_filesystem(dir: &Path) -> Command {
    let mut command = node_script("@modelcontextprotocol/server-filesystem", "dist/index.js");
    command.arg(dir);
    command
}

/// The official memory server, with its memory in `file`. Legacy era only.
pub fn server_memory(file: &Path) -> Command {
    let mut command = node_script("@modelcontextprotocol/server-memory", "dist/index.js");
    command.env("MEMORY_FILE_PATH", file);
    command
}

/// The official clock, in Python. Both eras.
pub fn server_time() -> Command {
    let mut command = Command::new(python_program("mcp-server-time"));
    command.args(["--local-timezone", "UTC"]);
    command
}

/// The official git server, in Python, for `repository`. Both eras.
pub fn server_git(repository: &Path) -> Command {
    let mut command = Command::new(python_program("mcp-server-git"));
    command.arg("--repository").arg(repository);
    command
}

/// A command as the `command`, `args` and `env` of a server in a gateway's configuration.
pub fn as_config(command: &Command) -> serde_json::Value {
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    let args: Vec<_> = command.get_args().map(text).collect();
    let env: serde_json::Map<_, _> = command
        .get_envs()
        .filter_map(|(key, value)| Some((text(key), text(value?).into())))
        .collect();
    serde_json::json!({ "command": text(command.get_program()), "args": args, "env": env })
}

fn installed(path: &str) -> PathBuf {
    let path = workspace().join("target/peers").join(path);
    assert!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}
