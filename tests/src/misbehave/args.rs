//! The misbehaviours, one flag each.

use std::path::PathBuf;

use clap::Parser;

/// A small MCP server over stdio that misbehaves on request.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "misbehave")]
#[expect(clippy::exhaustive_structs, reason = "a test program's arguments, built by its tests")]
pub struct Args {
    /// Answer `server/discover` and requests of the modern era, not only `initialize`.
    #[arg(long)]
    pub modern: bool,
    /// Offer a log level and resources to subscribe to, and say of `slow` that it is idempotent.
    #[arg(long)]
    pub stateful: bool,
    /// Append every line that arrives to this file, so that tests see what reached the server.
    #[arg(long)]
    pub log_file: Option<PathBuf>,
    /// End by itself after this long: nothing that hangs on purpose may outlive its test for good.
    #[arg(long, default_value_t = 600)]
    pub lifetime_s: u64,

    /// End with this code at once, before reading anything.
    #[arg(long, value_name = "CODE")]
    pub exit_on_start: Option<i32>,
    /// Read, and never answer `initialize` or `server/discover`.
    #[arg(long)]
    pub no_handshake: bool,
    /// Read, and never answer a `tools/call`.
    #[arg(long)]
    pub hang_on_call: bool,
    /// Do not know `ping`.
    #[arg(long)]
    pub no_ping: bool,
    /// Stop reading stdin with the first `tools/call`, for good.
    #[arg(long)]
    pub stop_reading: bool,
    /// Go on when stdin ends.
    #[arg(long)]
    pub ignore_stdin_end: bool,

    /// Before each answer, write this many lines that are not JSON.
    #[arg(long, value_name = "LINES", num_args = 0..=1, default_missing_value = "1000")]
    pub flood_stdout: Option<usize>,
    /// Before each answer to a `tools/call`, write a line of this many bytes.
    #[arg(long, value_name = "BYTES")]
    pub giant_line: Option<usize>,
    /// At the start, write this many bytes to stderr.
    #[arg(long, value_name = "BYTES")]
    pub stderr_flood: Option<u64>,

    /// Before each answer to a `tools/call`, write a frame that is not UTF-8.
    #[arg(long)]
    pub bad_utf8: bool,
    /// The same, with a frame that begins with a byte order mark.
    #[arg(long)]
    pub bom: bool,
    /// The same, with a frame that contains NUL bytes.
    #[arg(long)]
    pub nul: bool,
    /// The same, with blank lines and a frame, all ended by CR LF; the answer itself too.
    #[arg(long)]
    pub crlf: bool,
    /// The same, with a frame whose string holds half of a surrogate pair.
    #[arg(long)]
    pub lone_surrogate: bool,

    /// Write every message one byte at a time.
    #[arg(long)]
    pub split_writes: bool,
    /// Write every answer together with a notification, in one write.
    #[arg(long)]
    pub glue: bool,

    /// Before each answer to a `tools/call`, answer ids that nobody is waiting for.
    #[arg(long)]
    pub unknown_ids: bool,
    /// After each answer to a `tools/call`, answer it again with something else.
    #[arg(long)]
    pub duplicate_answers: bool,
    /// Answer `slow` even after it was cancelled.
    #[arg(long)]
    pub late_after_cancel: bool,
    /// Answer `raw` with a result that is not an object, and the other tools with an error whose
    /// code fits no integer type of 32 bits.
    #[arg(long)]
    pub unparseable_result: bool,

    /// List this many tools more, on pages of 1,000.
    #[arg(long, value_name = "COUNT")]
    pub many_tools: Option<usize>,
    /// List the same page for ever, always with another cursor.
    #[arg(long)]
    pub endless_cursor: bool,
    /// Send `notifications/tools/list_changed` this many times after each `tools/list`.
    #[arg(long, value_name = "TIMES")]
    pub list_changed: Option<usize>,
    /// Send this many log messages, each another, after each `tools/list`.
    #[arg(long, value_name = "COUNT")]
    pub chatty: Option<usize>,
}
