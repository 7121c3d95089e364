//! A process under test: started, asked for its address, killed at the end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// A running server and where it listens. Dropping it kills it; stdio children see their end then.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
}

impl Started {
    /// This program again, in another role.
    pub(crate) fn role(arguments: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        Self::start(Command::new(program).args(arguments))
    }

    /// Starts `command` and waits for a line that holds `http://ADDRESS/mcp`.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} did not start: {error}"))?;
        let (found, address) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            // Reads to the end, so that a program that goes on talking never blocks on us.
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Some(address) = address_in(&line) {
                        let _ = found.send(address);
                    }
                }
            });
        }
        match address.recv_timeout(STARTED_WITHIN) {
            Ok((address, path)) => Ok(Self { child, address, path }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{name} printed no line with http://ADDRESS/mcp"))
            }
        }
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address_in(line: &str) -> Option<(SocketAddr, String)> {
    line.split("http://").skip(1).find_map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "\"',)".contains(c));
        let (address, path) = rest[..end.unwrap_or(rest.len())].split_once('/')?;
        (path == "mcp").then_some(())?;
        Some((address.parse().ok()?, format!("/{path}")))
    })
}

/// The gateway under test, in front of the one server that `config` describes.
pub(crate) fn gateway(dir: &Path, name: &str, config: &str) -> Result<Started, String> {
    let program = gateway_program()?;
    let file = dir.join(format!("{name}.json"));
    let log = dir.join(format!("{name}.log"));
    let wrote = |error: std::io::Error| format!("{}: {error}", dir.display());
    std::fs::write(&file, config).map_err(wrote)?;
    let mut command = Command::new(program);
    command.arg("up").arg(&file).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    // Neither the caller's state nor its configuration takes part.
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        command.env(variable, dir);
    }
    command.stderr(File::create(&log).map_err(wrote)?);
    Started::start(&mut command).map_err(|why| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        format!("{why}\n{said}")
    })
}

/// `MCP_MANAGER_BIN`, or the binary that the same build put beside this one.
pub(crate) fn gateway_program() -> Result<std::path::PathBuf, String> {
    if let Some(named) = std::env::var_os("MCP_MANAGER_BIN") {
        return Ok(named.into());
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = own.with_file_name("mcp-manager");
    if beside.exists() {
        return Ok(beside);
    }
    Err(format!(
        "no gateway at {}: build it in release, name it in MCP_MANAGER_BIN, or measure the hops \
         alone with --floors",
        beside.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_among_other_words() {
        let line = "ready: admin http://127.0.0.1:9/ clients http://127.0.0.1:8080/mcp (1 server)";
        let found = address_in(line).unwrap();
        assert_eq!(found, ("127.0.0.1:8080".parse().unwrap(), "/mcp".to_owned()));
        assert_eq!(address_in("http://127.0.0.1:8080"), None);
    }
}
