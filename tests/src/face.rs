//! The gateway as a desktop client has it: a child that speaks MCP on its stdin and stdout.

use std::process::ExitStatus;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::gateway::mcp_manager;
use crate::process::Running;
use crate::wait::PATIENCE;

/// `mcp-manager up --stdio`. Dropping it stops it.
#[derive(Debug)]
pub struct Face {
    process: Running,
    _dir: TempDir,
}

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
}

impl Face {
    /// Starts it on `config`.
    pub fn start(config: &Value) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("mcp.json"), config.to_string()).expect("a temporary file");
        let process = Running::start(mcp_manager(&dir, &["up", "mcp.json", "--stdio"]));
        Self { process, _dir: dir }
    }

    /// The same, and opens a legacy session whose client can what `capabilities` say.
    pub fn initialized(config: &Value, capabilities: &str) -> Self {
        let face = Self::start(config);
        let params = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{{"name":"raw","version":"1"}}}}"#
        );
        let answer = face.ask(r#""init""#, "initialize", &params);
        assert!(answer.contains("serverInfo"), "{answer}");
        face.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        face
    }

    /// Sends one message as written.
    pub fn send(&self, message: &str) {
        self.process.write(format!("{message}\n").as_bytes());
    }

    /// Sends a request and waits for its answer; `id` and `params` are JSON texts.
    pub fn ask(&self, id: &str, method: &str, params: &str) -> String {
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ));
        self.answer(id)
    }

    /// The answer to the request with this id, byte for byte.
    ///
    /// # Panics
    /// With all that was said, when none comes.
    pub fn answer(&self, id: &str) -> String {
        self.line(|line| {
            let outline = serde_json::from_str::<Outline<'_>>(line);
            outline.is_ok_and(|it| it.method.is_none() && it.id.is_some_and(|it| it.get() == id))
        })
    }

    /// The first line that satisfies `test`.
    ///
    /// # Panics
    /// With all that was said, when none comes.
    pub fn line(&self, test: impl Fn(&str) -> bool) -> String {
        let find = |out: &str| {
            // Half a line is none yet.
            let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().find(|line| test(line)).map(str::to_owned)
        };
        self.process.wait_for(PATIENCE, |out, _| find(out).is_some());
        let (out, err) = (self.process.stdout(), self.process.stderr());
        find(&out).unwrap_or_else(|| panic!("no such line\nstdout: {out}\nstderr: {err}"))
    }

    /// Ends its stdin, and waits for its end.
    pub fn close(&self) -> Option<ExitStatus> {
        self.process.close_stdin();
        self.process.wait(PATIENCE)
    }

    /// The process, to signal it or to read what it said.
    pub fn process(&self) -> &Running {
        &self.process
    }
}
