//! The gateway under test: `mcp-manager up` as people run it, on a configuration of its own.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::peers;
use crate::process::Running;

/// A busy machine starts a debug build of the gateway and its Node servers within this.
const START_MAX: Duration = Duration::from_secs(30);

/// A running gateway. Dropping it stops it, and its servers with it.
#[derive(Debug)]
pub struct Gateway {
    process: Running,
    url: String,
    /// Holds the configuration and whatever the gateway keeps; gone with it.
    dir: TempDir,
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
        let mut command = Command::new(peers::own("mcp-manager"));
        command.arg("up").arg(&file);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        // Nothing of the user's own may reach a test, nor the other way round.
        command.env("HOME", dir.path()).env("XDG_STATE_HOME", dir.path().join("state"));
        prepare(&mut command);
        let process = Running::start(command);
        let url = process.endpoint(START_MAX);
        Self { process, url, dir }
    }

    /// Where clients connect, such as `http://127.0.0.1:40001/mcp`.
    pub fn url(&self) -> &str {
        &self.url
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
