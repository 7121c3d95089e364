//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// One endpoint in front of a fleet of MCP servers.
#[derive(Debug, Parser)]
#[command(version, name = "mcp-manager", max_term_width = 100)]
pub(crate) struct Args {
    /// Print JSON on stdout, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start every server of CONFIG and serve them as one; without CONFIG, a demo fleet.
    Up(Up),
    /// Say what is wrong with CONFIG, without starting anything.
    Check(Check),
    /// List the tools that the servers offer.
    List(List),
    /// Call one tool and print what it answers.
    Call(Call),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// A file with `mcpServers` or `servers`, as Claude, Cursor or VS Code have it.
    pub(crate) config: Option<PathBuf>,
    /// Where clients connect; port 0 takes a free one. [default: 127.0.0.1:7420]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where operators look; port 0 takes a free one. [default: 127.0.0.1:7421]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Speak MCP on stdin and stdout, for desktop clients. Listens only where told to.
    #[arg(long)]
    pub(crate) stdio: bool,
    /// Do not follow changes of CONFIG; SIGHUP still has it read again.
    #[arg(long)]
    pub(crate) no_watch: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The file to check.
    pub(crate) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct From {
    /// Start the servers of this file for the time being, instead of asking a running manager.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["endpoint", "demo"])]
    pub(crate) config: Option<PathBuf>,
    /// The endpoint of the running manager. [default: http://127.0.0.1:7420/mcp]
    #[arg(long, value_name = "URL", conflicts_with = "demo")]
    pub(crate) endpoint: Option<String>,
    /// Use the demo fleet, inside this process.
    #[arg(long)]
    pub(crate) demo: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) from: From,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Call {
    /// The tool: SERVER/TOOL, or the name under which the endpoint lists it.
    #[arg(value_name = "SERVER/TOOL")]
    pub(crate) tool: String,
    /// Arguments, as key=value. A value that is JSON is passed as such, unless the tool wants text.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) arguments: Vec<String>,
    /// All arguments as one JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "arguments")]
    pub(crate) args_json: Option<String>,
    #[command(flatten)]
    pub(crate) from: From,
}
