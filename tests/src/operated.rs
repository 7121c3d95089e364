//! A running manager as its operators see it: its commands, with its token.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::{Gateway, mcp_manager};
use crate::process::{self, Finished};
use crate::raw;
use crate::wait::{PATIENCE, see};

const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A running manager, and its token.
#[derive(Debug)]
#[non_exhaustive]
pub struct Operated {
    /// The manager.
    pub gateway: Gateway,
    /// Where its token is.
    pub home: TempDir,
}

impl Operated {
    /// Starts a manager, and waits until no server is starting any more.
    ///
    /// # Panics
    /// With what it said, when it does not come up.
    pub fn start(config: &Value) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("token");
        let gateway = Gateway::start_with(config, |command| {
            command.arg("--admin-token-file").arg(&file);
        });
        let started = |status: &Value| {
            let servers = status["servers"].as_array();
            servers.is_some_and(|all| all.iter().all(|server| server["state"] != "starting"))
        };
        see(PATIENCE, || gateway.status(), started);
        Self { gateway, home }
    }

    /// Where its token is.
    pub fn token_file(&self) -> PathBuf {
        self.home.path().join("token")
    }

    /// The token.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(self.token_file()).expect("a file with a token");
        token.trim().to_owned()
    }

    /// The status and the answer of a request to the admin port.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn asks(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.gateway.admin());
        let request = raw::request(method, &url, headers, body.as_bytes());
        let reply = raw::exchange(&url, &request).expect("an answer");
        let status = reply.status;
        (status, serde_json::from_str(&reply.text().expect("a body")).unwrap_or_default())
    }

    /// Runs one of its commands.
    pub fn run(&self, words: &[&str]) -> Finished {
        let (admin, file) = (self.gateway.admin(), self.token_file());
        let file = file.to_string_lossy();
        // Before a `--`, behind which everything is the server's.
        let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let (before, behind) = words.split_at(at);
        let own = ["--admin", &admin, "--token-file", &file];
        let all = [before, &own[..], behind].concat();
        process::run(mcp_manager(&self.home, &all), b"", COMMAND_MAX)
    }

    /// What a command says that succeeds.
    ///
    /// # Panics
    /// With all that it said, when it fails.
    pub fn done(&self, words: &[&str]) -> String {
        let finished = self.run(words);
        assert!(finished.success(), "{words:?}: {finished:?}");
        finished.stdout
    }

    /// The exit code and the complaint of a command.
    pub fn fails(&self, words: &[&str]) -> (i32, String) {
        let finished = self.run(words);
        (finished.status.and_then(|status| status.code()).unwrap_or(-1), finished.stderr)
    }

    /// A server with so many replicas that are ready, and its tools known.
    ///
    /// # Panics
    /// With its status, when it does not come to that.
    pub fn with_ready(&self, name: &str, replicas: u64) -> Value {
        let server = || self.gateway.server(name);
        see(PATIENCE, server, |server| {
            server["replicas_ready"] == replicas && server["tools"].as_u64() > Some(0)
        })
    }
}
