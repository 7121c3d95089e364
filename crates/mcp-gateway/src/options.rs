//! What the door lets in, and for how long it holds it open.

use std::path::PathBuf;
use std::time::Duration;

use mcp_manager::config::Settings;

use crate::AdminToken;

/// Bounds and permissions of the HTTP faces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// `Host` values to accept besides loopback names and the address listened on.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values to accept besides those of pages that this machine serves to itself.
    pub allowed_origins: Vec<String>,
    /// Sessions at a time; one more is refused with 503. Default: 1000.
    pub sessions_max: usize,
    /// A session that nobody used for this long is closed. Default: 30 min.
    pub session_idle: Duration,
    /// The longest request body, in bytes; a longer one is refused with 413. Default: 16 MiB.
    pub body_bytes_max: usize,
    /// How long a call of a session goes on when its stream was cut, so that the client can come back
    /// to it; then it is cancelled. Default: 10 s.
    pub resume_timeout: Duration,
    /// Where sessions and their events are kept, so that they outlive this process. Default: nowhere.
    pub state_dir: Option<PathBuf>,
    /// What operators have to show before they change something. Default: none, and then nothing
    /// can be changed.
    pub admin_token: Option<AdminToken>,
    /// How long a client may take nothing of what is written to it, before its connection is closed.
    /// Default: 30 s.
    pub write_timeout: Duration,
    /// How long calls in flight may take to finish once the gateway is told to stop. Default: 10 s.
    pub drain_timeout: Duration,
    /// How long a request head may take, and a connection may be idle. Default: 30 s.
    pub header_timeout: Duration,
    /// How long a request body may take. Default: 30 s.
    pub body_timeout: Duration,
    /// Connections at a time; one more waits to be accepted. Default: 4096.
    pub connections_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

impl From<&Settings> for Options {
    fn from(settings: &Settings) -> Self {
        Self {
            allowed_hosts: settings.allowed_hosts.clone(),
            allowed_origins: settings.allowed_origins.clone(),
            sessions_max: settings.sessions_max,
            session_idle: settings.session_idle,
            body_bytes_max: settings.frame_bytes_max,
            resume_timeout: settings.resume_timeout,
            state_dir: settings.state_dir.clone(),
            drain_timeout: settings.drain_timeout,
            admin_token: None,
            write_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            connections_max: 4096,
        }
    }
}
