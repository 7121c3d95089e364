//! Hot reload: a fleet becomes what its file says now, while it runs.
//!
//! # The idea
//!
//! Editing the file is how a fleet is changed. Servers whose entry is the same are not touched: they
//! keep their processes, and their clients' sessions go on. Changed ones are started before what
//! they replace is ended, removed ones finish their calls. A file that cannot be used changes
//! nothing: the last good one stays in force.
//!
//! ```text
//!   the file changes ─▶ quiet for 200 ms? ─┐
//!   SIGHUP, an operator ───────────────────┴─▶ one at a time ─▶ Config ─▶ difference ─▶ Fleet
//! ```
//!
//! However many ask while a reload runs, one more follows it.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use mcp_manager::config::{Config, ProcessLookup};
//! use mcp_manager::reload::{ConfigFile, Reloader};
//! use mcp_manager::{Fleet, Plan};
//!
//! # let dir = std::env::temp_dir().join(format!("reload-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! let path = dir.join("mcp.json");
//! std::fs::write(&path, r#"{ "mcpServers": {} }"#)?;
//! let file = ConfigFile::new(&path);
//! let config = Config::load(&path, &ProcessLookup)?;
//! let fleet = Arc::new(Fleet::new(Plan::from(config))?);
//! let reloader = Reloader::new(Arc::clone(&fleet), file);
//!
//! std::fs::write(&path, r#"{ "mcpServers": { "a": { "command": "no-such-program" } } }"#)?;
//! assert_eq!(reloader.reload().await?.changes.added, ["a"]);
//! std::fs::write(&path, r#"{ "mcpServers": "#)?;
//! assert!(reloader.reload().await.is_err());
//! assert_eq!(fleet.servers().len(), 1);
//! assert!(!reloader.status().ok);
//! # fleet.stop().await;
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! Most of the manager's own settings are read once, at the start: what of them has changed is
//! named ([`Reloaded::needs_restart`]). Servers that were added otherwise than by the file are left
//! alone. A server that somebody has stopped stays stopped.

#[cfg(feature = "watch")]
mod debounce;
mod file;
#[cfg(feature = "watch")]
mod follow;
#[cfg(all(feature = "watch", target_os = "linux"))]
mod inotify;
#[cfg(feature = "watch")]
mod look;
mod reloader;

pub use self::file::ConfigFile;
pub use self::reloader::{Outcome, ReloadError, ReloadStatus, Reloaded, Reloader};
