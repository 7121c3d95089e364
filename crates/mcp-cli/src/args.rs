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
    /// Say what is in force, and what presets say.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List the tools that the servers offer.
    List(List),
    /// Call one tool and print what it answers.
    Call(Call),
    /// Say how the servers of the running manager are doing.
    Status(Status),
    /// Print what a server writes to stderr.
    Logs(Logs),
    /// Start servers anew, also those that have failed.
    Restart(Several),
    /// Start servers that were stopped.
    Start(Several),
    /// Stop servers; they stay off until they are started.
    Stop(Several),
    /// Give a server so many replicas.
    Scale(Scale),
    /// Send no further calls to one replica; those in flight finish, and its sessions go on at others.
    Drain(OneReplica),
    /// Send no calls to one replica for a while.
    Eject(Eject),
    /// Send calls to a replica again that was drained or ejected.
    Restore(OneReplica),
    /// Have a replica serve that stands by, or the preferred ones again.
    Failover(Failover),
    /// Have calls to a server be refused, or not, whatever becomes of them.
    Circuit(Circuit),
    /// Add a server to the running manager, until that ends.
    Add(Add),
    /// Remove a server from the running manager, until its file is read at the next start.
    Rm(Rm),
    /// Have the running manager read its file again.
    Reload(Reload),
    /// Print the servers that another client has, as a configuration.
    Import(Import),
}

/// Clients that have servers to import.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Client {
    /// Claude Code and Claude Desktop.
    Claude,
    Cursor,
    Vscode,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Whose servers; they are looked for in the project and in the home of the user.
    #[arg(long)]
    pub(crate) from: Client,
    /// The client's file, where it is not in one of the usual places.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Where the configuration is written, instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Replace the file that is there.
    #[arg(long, requires = "write")]
    pub(crate) force: bool,
}

/// Which running manager, and how to show that we may.
#[derive(Debug, clap::Args)]
pub(crate) struct To {
    /// The admin port of the running manager. [default: http://127.0.0.1:7421]
    #[arg(long, value_name = "URL")]
    pub(crate) admin: Option<String>,
    /// The file with the admin token; `up` says which. [default: that of the manager's port]
    #[arg(long, value_name = "FILE", env = "MCP_MANAGER_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Only this server.
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    pub(crate) server: String,
    /// Go on with what is written from now on.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last lines.
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50)]
    pub(crate) lines: usize,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Several {
    #[arg(value_name = "SERVER", required_unless_present = "all")]
    pub(crate) servers: Vec<String>,
    /// All servers.
    #[arg(long, conflicts_with = "servers")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings that are in force: of the manager and all servers, of one server, or of one of
    /// its tools. Starts nothing.
    Show(Show),
    /// Print what a preset says; without a name, which there are.
    Preset { name: Option<String> },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    pub(crate) config: PathBuf,
    pub(crate) server: Option<String>,
    /// By its own name at its server.
    pub(crate) tool: Option<String>,
    /// Say where each value comes from.
    #[arg(long)]
    pub(crate) origin: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    pub(crate) server: String,
    /// 1 to 64.
    pub(crate) replicas: usize,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OneReplica {
    pub(crate) server: String,
    /// Its number, as `status SERVER` shows it.
    pub(crate) replica: usize,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Eject {
    #[command(flatten)]
    pub(crate) one: OneReplica,
    /// For how long, in seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 30)]
    pub(crate) seconds: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Failover {
    pub(crate) server: String,
    /// This one; else the first that can.
    #[arg(long, value_name = "REPLICA")]
    pub(crate) to: Option<usize>,
    /// The preferred ones again.
    #[arg(long, conflicts_with = "to")]
    pub(crate) back: bool,
    #[command(flatten)]
    pub(crate) to_whom: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Circuit {
    pub(crate) server: String,
    pub(crate) state: CircuitState,
    /// The circuit of one tool, instead of those of all replicas.
    #[arg(long)]
    pub(crate) tool: Option<String>,
    #[command(flatten)]
    pub(crate) to: To,
}

/// What a circuit is to be.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum CircuitState {
    /// Calls are refused.
    Open,
    /// Calls go through.
    Closed,
    /// It decides by itself again.
    Auto,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    pub(crate) name: String,
    /// A server over HTTP or WebSocket.
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "command",
        conflicts_with = "command"
    )]
    pub(crate) url: Option<String>,
    /// A variable for the command.
    #[arg(long, value_name = "KEY=VALUE", requires = "command")]
    pub(crate) env: Vec<String>,
    /// A header for the URL.
    #[arg(long, value_name = "NAME: VALUE", requires = "url")]
    pub(crate) header: Vec<String>,
    /// A command that speaks MCP on stdin and stdout, after `--`.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) to: To,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    pub(crate) to: To,
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
    /// Where the token is written that operators show. [default: in the runtime or state directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
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
