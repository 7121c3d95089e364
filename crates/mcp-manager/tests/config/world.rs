//! A small world to look things up in, and a file's meaning in a few lines of text.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use mcp_manager::config::{Config, Lookup, ServerKind, ServerSpec};

/// What every value that is a secret in this world holds.
pub(crate) const CANARY: &str = "canary";

#[derive(Default)]
pub(crate) struct World {
    pub(crate) variables: HashMap<&'static str, OsString>,
    pub(crate) files: HashMap<&'static str, &'static str>,
}

impl World {
    /// Ada's machine, with the variables that the clients' files ask for.
    pub(crate) fn ada() -> Self {
        let variables = [
            ("HOME", "/home/ada"),
            ("API_KEY", "canary-api-key"),
            ("AUTH_TOKEN", "canary-auth-token"),
            ("DB_URL", "canary-db-url"),
            ("EMPTY", ""),
            ("NESTED", "${API_KEY}"),
            ("MCP_INPUT_EMPTY", ""),
            ("MCP_INPUT_PERPLEXITY_KEY", "canary-perplexity-key"),
        ];
        let files = [
            ("/run/secrets/key", "canary-file\r\n\n"),
            ("/work/engine/.env", "# local\nexport FROM_FILE='canary from file'\nREGION=file\n"),
            ("/work/engine/bad.env", "GOOD=1\ncanary without an equals sign\n"),
        ];
        Self {
            variables: variables.map(|(name, value)| (name, value.into())).into(),
            files: files.into(),
        }
    }

    /// Reads `text` as the file `mcp.json` of the project `/work/engine`.
    pub(crate) fn parse(&self, text: &str) -> Result<Config, String> {
        Config::parse(text, "mcp.json", self).map_err(|error| error.to_string())
    }
}

impl Lookup for World {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let found = self.files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn current_dir(&self) -> Option<PathBuf> {
        Some("/work/engine".into())
    }
}

/// Servers and notes, one a line, as `Display` shows them.
pub(crate) fn summary(config: &Config) -> String {
    let mut lines = String::new();
    for server in &config.servers {
        lines += &line(server, false);
    }
    for note in &config.notes {
        let position = note.place.position.expect("notes of a text have a position");
        writeln!(lines, "{:?} {position}: {}", note.severity, note.text).expect("a string");
    }
    lines
}

/// One server in one line; `exposed` shows values, not what stands for them.
pub(crate) fn line(server: &ServerSpec, exposed: bool) -> String {
    let show = |text: &mcp_manager::config::Text| {
        if exposed { text.expose().to_owned() } else { text.to_string() }
    };
    let mut line = format!("{}:", server.name);
    if server.disabled {
        line += " (disabled)";
    }
    match &server.kind {
        ServerKind::Stdio(stdio) => {
            line += &format!(" stdio {}", show(&stdio.command));
            line.extend(stdio.args.iter().map(|arg| format!(" [{}]", show(arg))));
            line.extend(stdio.env.iter().map(|(name, value)| format!(" {name}={}", show(value))));
            line.extend(stdio.env_unset.iter().map(|name| format!(" -{name}")));
            if let Some(cwd) = &stdio.cwd {
                line += &format!(" in {}", show(cwd));
            }
        }
        ServerKind::Http(http) => {
            line += &format!(" http {}", show(&http.url));
            line.extend(
                http.headers.iter().map(|(name, value)| format!(" {name}: {}", show(value))),
            );
        }
        ServerKind::WebSocket(ws) => {
            line += &format!(" ws {}", show(&ws.url));
            line.extend(ws.headers.iter().map(|(name, value)| format!(" {name}: {}", show(value))));
        }
        ServerKind::Sse(http) => {
            line += &format!(" sse {}", show(&http.url));
            line.extend(
                http.headers.iter().map(|(name, value)| format!(" {name}: {}", show(value))),
            );
        }
        ServerKind::Tcp(tcp) => line += &format!(" tcp {}", show(&tcp.address)),
        other => line += &format!(" {other:?}"),
    }
    if let Some(fault) = &server.fault {
        for reason in &fault.reasons {
            let position = reason.place.position.expect("a position");
            line += &format!("\n  {:?} {position}: {}; {}", reason.kind, reason.what, reason.fix);
        }
    }
    line + "\n"
}
