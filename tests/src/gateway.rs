//! The gateway under test: `mcp-manager` as people run it, on a configuration of its own.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Finished, Running};
use crate::wait::{PATIENCE, see};
use crate::{peers, raw};

/// A busy machine starts a debug build of the gateway and its Node servers within this.
const START_MAX: Duration = Duration::from_secs(30);
/// A command that starts a fleet of its own for one call.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A running gateway. Dropping it stops it, and its servers with it.
#[derive(Debug)]
pub struct Gateway {
    process: Running,
    url: String,
    /// Holds the configuration and whatever the gateway keeps; gone with it.
    dir: TempDir,
}

/// `mcp-manager` with these arguments, in an empty home in `dir`: nothing of the user's own may
/// reach a test, nor the other way round.
pub fn mcp_manager(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(peers::own("mcp-manager"));
    command.args(args).current_dir(dir.path());
    command.env("HOME", dir.path()).env("XDG_STATE_HOME", dir.path().join("state"));
    command.env_remove("MCP_MANAGER_LOG");
    command
}

/// Runs `mcp-manager` with these arguments to its end, with `mcp.json` as the text `config` in its
/// directory.
pub fn run(config: &str, args: &[&str]) -> Finished {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("mcp.json"), config).expect("a temporary file");
    process::run(mcp_manager(&dir, args), b"", COMMAND_MAX)
}

impl Gateway {
    /// Starts a gateway with `config` and waits until it says where it listens.
    ///
    /// # Panics
    /// With what it said, when it does not come up.
    pub fn start(config: &Value) -> Self {
        Self::start_with(config, |_| {})
    }

    /// The same, after `prepare` had its way with the command.
    pub fn start_with(config: &Value, prepare: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("mcp.json");
        std::fs::write(&file, config.to_string()).expect("a temporary file");
        Self::start_in(dir, prepare)
    }

    fn start_in(dir: TempDir, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = mcp_manager(&dir, &["up", "mcp.json"]);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        prepare(&mut command);
        let process = Running::start(command);
        let url = process.endpoint(START_MAX);
        Self { process, url, dir }
    }

    /// The same as [`start`](Self::start), and waits until every server is ready or has failed.
    pub fn settled(config: &Value) -> Self {
        let gateway = Self::start(config);
        let starting = |status: &Value| {
            let servers = status["servers"].as_array().cloned().unwrap_or_default();
            servers.is_empty() || servers.iter().any(|server| server["state"] == "starting")
        };
        see(START_MAX * 2, || gateway.status(), |status| !starting(status));
        gateway
    }

    /// Where clients connect, such as `http://127.0.0.1:40001/mcp`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where one server is alone.
    pub fn url_of(&self, server: &str) -> String {
        format!("{}/{server}", self.url)
    }

    /// Where operators look, such as `http://127.0.0.1:40002`.
    ///
    /// # Panics
    /// When the gateway does not say so.
    pub fn admin(&self) -> String {
        const LABEL: &str = "  status     ";
        let found = self.process.wait_for(START_MAX, |out, _| out.contains("/status\n"));
        let out = self.process.stdout();
        let line = out.lines().find_map(|line| line.strip_prefix(LABEL)?.strip_suffix("/status"));
        assert!(found && line.is_some(), "no admin port: {out}");
        line.unwrap_or_default().to_owned()
    }

    /// What `/status` says.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn status(&self) -> Value {
        let url = format!("{}/status", self.admin());
        let text = raw::get(&url, &[]).and_then(raw::Reply::text);
        let text = text.unwrap_or_else(|error| panic!("{url}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }

    /// What `/status` says of one server.
    pub fn server(&self, name: &str) -> Value {
        let status = self.status();
        let servers = status["servers"].as_array().cloned().unwrap_or_default();
        servers.into_iter().find(|server| server["name"] == name).unwrap_or_default()
    }

    /// Waits until a server is in this state, and hands back what `/status` says of it.
    ///
    /// # Panics
    /// When that does not come true.
    pub fn server_in(&self, name: &str, state: &str) -> Value {
        see(PATIENCE, || self.server(name), |server| server["state"] == state)
    }

    /// The next life of a gateway, after this one was killed: the same files, another process.
    ///
    /// # Panics
    /// With what it said, when it does not come up.
    pub fn again(self) -> Self {
        self.process.signal(rustix::process::Signal::KILL);
        self.process.wait(PATIENCE);
        Self::start_in(self.dir, |_| {})
    }

    /// The process, to signal it or to read what it said.
    pub fn process(&self) -> &Running {
        &self.process
    }

    /// Its configuration file, for tests that change it under a running gateway.
    pub fn config_file(&self) -> std::path::PathBuf {
        self.dir.path().join("mcp.json")
    }
}
