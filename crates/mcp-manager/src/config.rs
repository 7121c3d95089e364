//! Configuration: the file that a user already has for a client, read unchanged.
//!
//! # The idea
//!
//! Claude Desktop, Claude Code, Cursor, VS Code, Copilot, Windsurf, Gemini, Inspector and many more
//! keep their servers in a JSON file of nearly the same shape. [`Config::load`] reads any of them;
//! what the manager itself is told sits beside, in an object `"manager"` that those clients ignore:
//!
//! ```json
//! {
//!   "mcpServers": {
//!     "files": { "command": "npx", "args": ["-y", "server-filesystem", "${userHome}"] },
//!     "issues": {
//!       "url": "https://issues.example.com/mcp",
//!       "headers": { "Authorization": "Bearer ${env:ISSUES_TOKEN}" },
//!       "manager": { "callTimeout": "5m" }
//!     }
//!   },
//!   "manager": { "listen": "127.0.0.1:8080" }
//! }
//! ```
//!
//! # Three ways to be wrong
//!
//! - a [`Problem`] is a mistake in the file: it is refused as a whole ([`ConfigError`]), with every
//!   problem in it, and nothing is started;
//! - a [`Fault`] stands in the way of one server, such as a variable that is not set here: that
//!   server is set aside, the rest of the fleet is not concerned;
//! - a [`Note`] says what was ignored, or is accepted but odd.
//!
//! A key that nobody is known to use is a problem, since it is most likely a typing error and the
//! setting it meant would be silently missing. Two exceptions: keys known from other clients, and
//! the root of the file, where other programs keep all their settings.
//!
//! # How a server is reached
//!
//! | an entry with | is |
//! |---|---|
//! | `command` | a child process, over stdio |
//! | `url`: `http://` or `https://` | streamable HTTP; or HTTP+SSE of 2024-11-05, if it speaks only that |
//! | the same, `type`: `http` or `sse` | the one, or the other |
//! | `tcp`: `host:port`, or `url`: `tcp://host:port` | a TCP port; an IPv6 address in brackets |
//! | `urls`: `["...", "..."]` instead of `url` | the same server at several places of one kind |
//!
//! # How a server is kept running
//!
//! Keys of a `manager` block. Those with a star stand at the root as well, for all servers whose
//! entry does not say otherwise; the last two stand only there.
//!
//! | key | takes | default | is |
//! |---|---|---|---|
//! | `replicas` | 1 to 64 | 1, or as many as `urls` | how many there are at the start |
//! | `minReplicas`, `maxReplicas` | 1 to 64 | `replicas` | bounds within which their number follows the load |
//! | `scaleTarget` * | 1 to 10,000 | 4 | calls in flight that one replica is to have |
//! | `scaleCooldown` * | a duration | `60s` | least time until there is one less; a tenth of it, one more |
//! | `sessions` | `per-session`, `shared`, `pooled` | `per-session` | who shares a session; `shareable: true` is `shared` |
//! | `spares` | 1 to 16 | 1 | processes kept ready where sessions are `pooled` |
//! | `restart` * | `permanent`, `transient`, `temporary` | `permanent` | after which ends a process is started again: all, all but exit code 0, none |
//! | `restartsMax`, `restartPeriod` * | 1 to 1,000; a duration | 8 in `15m` | more restarts in this time, and it has failed until somebody says otherwise |
//! | `restartPauseMax` * | a duration | `60s` | pauses before a restart double from a second to this; after a minute of running there is none |
//! | `healthCheck` * | `auto`, `ping`, `tcp`, `http`, `command`, `none` | `auto` | what is tried; at the root `auto`, `ping` or `none` |
//! | `healthUrl` | `http://...` | | what `http` asks for; as written, no references |
//! | `healthCommand` | `["program", "argument"]` | | what `command` runs; as written, no references |
//! | `healthInterval`, `healthTimeout` * | durations | `30s`, `5s` | from check to check; how long an answer may take |
//! | `unhealthyAfter`, `healthyAfter` * | 1 to 100 | 3, 2 | failures, successes in a row |
//! | `restartUnhealthy` * | `true`, `false` | `true` | whether an unhealthy process is started again |
//! | `maxMemory` * | 1 MiB to 1 PiB | no limit | resident memory of a replica's processes |
//! | `maxProcesses` * | 1 to 100,000 | no limit | how many they are |
//! | `maxOpenFiles` * | 16 to 1,048,576 | no limit | open files of each |
//! | `maxCpu` * | 0.01 to 1024 | no limit | processors that they use |
//! | `drainTimeout` | a duration | `10s` | how long calls in flight may finish when a server or the manager ends |
//! | `watch` | `true`, `false` | `true` | whether the file is read again when it changes |
//!
//! The limits are for servers that are started here. A default of the root does not concern others;
//! in the entry of another it is a mistake.
//!
//! # How calls are treated
//!
//! Keys of a `manager` block, at the root and in an entry; but for those from `retryBudget` on also in `tools`, for tools by a
//! pattern of their names: `"tools": {"search*": {"maxConcurrent": 4}}`. What is said of a tool goes before what is
//! said of its server, that before the root, that before the `preset`, which stands only at the root. `null` takes a
//! value back that has none by default.
//!
//! | key | takes | default | is |
//! |---|---|---|---|
//! | `breaker` | `true`, `false` | `true`; of a tool, if it is said | whether calls that would fail are refused at once: of a replica, or of a tool |
//! | `breakerFailures` | 1 to 10,000 | 5 | failures in a row that open it |
//! | `breakerRate`, `breakerSamples`, `breakerWindow` | 1 to 100; 1 to 10,000; a duration | 50, 20, `10s` | the share of failures that opens it, in percent, of at least so many calls in this time |
//! | `breakerSlow` | a duration | | what takes longer is a failure |
//! | `breakerPause`, `breakerPauseMax` | durations | `5s`, `60s` | until one call may try again; doubles up to the second |
//! | `maxConcurrent` | 1 to 100,000 | no limit | calls in flight: to a replica, or of a tool |
//! | `adaptive` | `true`, `false` | `false` | whether that limit is found from latencies |
//! | `maxQueued`, `maxWait` | 0 to 100,000; a duration | 100, `5s` | how many calls wait for their turn, and how long |
//! | `rateLimit` | `10/s`, `600/m`, `5000/h` | no limit | calls of one client |
//! | `priority` | 0 to 10 | 5 | who waits goes by it, 10 first |
//! | `repeatable` | `true`, `false` | by annotations | whether calls may be carried out twice |
//! | `retries` | 0 to 10 | 2 | how often a call is repeated that may have been carried out |
//! | `attemptTimeout` | a duration | `callTimeout` | silence after which a repeatable call is tried elsewhere |
//! | `hedge` | `true`, `false`, a duration | `false` | whether a call that only reads is sent to a second replica, after it took longer than 95 % of them, or this time |
//! | `fallback` | a server's name | | who is asked for a tool of the same name when this server cannot do it |
//! | `retryBudget` | 0 to 100 | 20 | repeats of a server's calls in percent of them; ten a second are free |
//! | `failover` | `active-active`, `active-passive`, `n-plus-one`, `cross-datacenter` | `active-active` | which replicas serve while the others stand by |
//! | `standby` | 1 to 63 | 1 | how many stand by under `n-plus-one` |
//! | `zones` | `["near", "far"]` | | where each replica is, under `cross-datacenter`; the place that is named first is preferred |
//! | `failback` | a duration, `manual` | `60s` | how long a preferred replica is well before it serves again |
//! | `balance` | `least-loaded`, `round-robin`, ... | `least-loaded` | which replica a call goes to: any of [`Strategy::ALL`](mcp_balance::Strategy::ALL) |
//! | `tools` | `{"PATTERN": {...}}` | | what is different for tools |
//! | `rules` | `[{"name": ..., "when": ..., "then": ...}]` | | where calls go that do not go where their name says, the first that holds; at the root only, see [`mcp_router::Rule`] |
//! | `preset` | `development`, `production-small`, `production-large`, `high-availability`, `performance-optimized` | | keys that go together, see [`Preset::block`] |
//!
//! # References
//!
//! They are replaced in `command`, `args`, `env`, `envFile`, `cwd`, `url`, `urls`, `tcp` and `headers`, once: what
//! comes out is not looked at again. `$VAR` and a lone `$` are left alone.
//!
//! | form | stands for |
//! |---|---|
//! | `${VAR}`, `${env:VAR}` | the environment variable; set to nothing counts as set |
//! | `${VAR:-default}` | the same, or `default` if it is unset or empty, as in a shell |
//! | `${env:VAR:-default}` | the same; `${input:id:-default}` likewise |
//! | `${file:/path}` | the contents of the file, without the newlines at its end |
//! | `${input:id}` | the answer to a VS Code input, from `MCP_INPUT_<ID>` or its `default` |
//! | `${userHome}` | `$HOME` |
//! | `${workspaceFolder}` | the directory of the file; of `.vscode` or `.cursor`, its parent |
//! | `${workspaceFolderBasename}` | the last name of that |
//! | `${cwd}` | the manager's working directory |
//! | `${pathSeparator}`, `${/}` | `/` |
//! | `$${` | a literal `${` |
//!
//! # Secrets
//!
//! What comes out of a reference is a [`Text`], which shows what the file says and not what it
//! became. No message quotes a value of `env`, `headers`, `args` or a URL.
//!
//! ```
//! # use mcp_manager::config::{Config, ProcessLookup, ServerKind};
//! # fn main() -> Result<(), mcp_manager::config::ConfigError> {
//! let text = r#"{"mcpServers": {"issues": {
//!     "url": "https://issues.example.com/mcp",
//!     "headers": {"Authorization": "Bearer ${TOKEN:-hunter2}"}
//! }}}"#;
//! let config = Config::parse(text, "mcp.json", &ProcessLookup)?;
//! let ServerKind::Http(server) = &config.servers[0].kind else { unreachable!() };
//! assert_eq!(server.headers[0].1.to_string(), "Bearer ${TOKEN:-***}");
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! It does not read TOML, prompt for inputs, or start anything. It does not watch the file: that is
//! [`reload`](crate::reload).

mod advice;
mod care;
mod child;
mod copies;
mod decode;
mod dotenv;
mod effective;
mod endpoint;
mod entry;
mod environment;
mod expand;
mod file;
mod keys;
mod lookup;
mod manager;
mod pattern;
mod policies;
mod policy;
mod preset;
mod problem;
mod report;
mod root;
mod rules;
mod said;
mod setting;
mod settings;
mod spec;
mod suggest;
mod syntax;
mod tcp;
mod template;
mod text;
mod transport;
mod units;
mod upkeep;
mod urls;
mod value;
mod wishes;

use std::path::Path;

pub use self::advice::Advice;
pub use self::effective::{Effective, Origin};
pub use self::environment::child_environment;
pub use self::file::FILE_BYTES_MAX;
pub use self::lookup::{Lookup, ProcessLookup, input_variable};
pub use self::pattern::Pattern;
pub use self::policies::ToolPolicy;
pub(crate) use self::policies::of_tool;
pub use self::policy::{
    BreakerPolicy, CallLimits, Hedge, Policy, Rate, RepeatPolicy, StandbyPlan, StandbyPolicy,
};
pub use self::preset::Preset;
pub use self::problem::{
    ConfigError, Fault, FaultKind, FaultReason, Note, Place, Position, Problem, ProblemKind,
    Severity,
};
pub use self::said::{Of, Said};
pub use self::settings::{Namespace, Settings};
pub use self::spec::{
    Http, ProtocolEra, ServerKind, ServerSettings, ServerSpec, Stdio, Tcp, Transport, WebSocket,
};
pub(crate) use self::tcp::host_and_port;
pub use self::text::Text;
pub use self::units::DURATION_MAX;
pub use self::upkeep::{
    CheckKind, Checks, ResourceLimits, RestartPolicy, Restarts, Scaling, Sessions,
};
pub use self::wishes::{Reliability, Wishes};

/// A fleet, and what the manager is told about itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The servers in the order of the file, disabled and faulty ones too. Names are unique.
    pub servers: Vec<ServerSpec>,
    /// What the manager is told about itself.
    pub settings: Settings,
    /// What is worth knowing about the file, in its order.
    pub notes: Vec<Note>,
    /// Which keys of `manager` blocks are said where, in the order in which they were read; those of
    /// the preset first.
    pub said: Vec<Said>,
}

impl Config {
    /// Reads the file at `path`: JSON, with comments and trailing commas if need be, in UTF-8, up
    /// to [`FILE_BYTES_MAX`].
    ///
    /// `lookup` answers its `${...}`; files that those and `envFile` name are read here too.
    pub fn load(path: &Path, lookup: &dyn Lookup) -> Result<Self, ConfigError> {
        let (text, note) = file::read_config(path)?;
        let mut config = root::read(&text, &path.to_string_lossy(), lookup)?;
        config.notes.splice(0..0, note);
        Ok(config)
    }

    /// Reads `text` as if it were the contents of the file `origin`, which appears in messages
    /// and whose directory is the workspace folder. That file is not touched.
    pub fn parse(text: &str, origin: &str, lookup: &dyn Lookup) -> Result<Self, ConfigError> {
        root::read(text, origin, lookup)
    }
}
