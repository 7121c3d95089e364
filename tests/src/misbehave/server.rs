//! Reads requests, and answers them or does not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::output::Output;
use super::{Args, answers, frames};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default)]
    params: Value,
}

/// Calls of `slow` that still sleep, by id. Sending wakes them.
type Sleepers = Arc<Mutex<HashMap<String, Sender<()>>>>;

struct Server<'a> {
    args: &'a Args,
    output: Output<'a>,
    sleepers: Sleepers,
}

pub(super) fn run(args: &Args) {
    if let Some(code) = args.exit_on_start {
        std::process::exit(code);
    }
    let lifetime = Duration::from_secs(args.lifetime_s);
    thread::spawn(move || {
        wait(lifetime);
        std::process::exit(0);
    });
    if let Some(bytes) = args.stderr_flood {
        thread::spawn(move || flood_stderr(bytes));
    }
    let mut log = args.log_file.as_ref().map(|path| {
        let file = File::options().create(true).append(true).open(path);
        file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    let server = Server { args, output: Output::new(args), sleepers: Sleepers::default() };
    thread::scope(|scope| {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { break };
            if let Some(log) = &mut log {
                // One write a line, so that a test never sees half of one.
                let _ = log.write_all(&frames::line(line.clone()));
            }
            if let Ok(message) = serde_json::from_slice(&line) {
                server.receive(scope, &message);
            }
        }
        if args.ignore_stdin_end {
            wait(Duration::MAX);
        }
        // Like most servers, this one does not finish what nobody can read any more.
        std::process::exit(0);
    });
}

impl Server<'_> {
    fn receive<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, message: &Message<'_>) {
        let Some(method) = message.method.as_deref() else { return };
        let params = &message.params;
        let Some(id) = message.id.map(RawValue::get) else {
            if method == "notifications/cancelled" {
                self.wake(&params["requestId"].to_string());
            }
            return;
        };
        let modern = params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
        let send = |result: &str| self.output.send(&frames::response(id, result));
        match method {
            "initialize" | "server/discover" if self.args.no_handshake => {}
            "initialize" => {
                send(&answers::initialize(self.args, params["protocolVersion"].as_str()));
            }
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe"
                if self.args.stateful =>
            {
                send("{}");
            }
            "resources/list" if self.args.stateful => send(r#"{"resources":[]}"#),
            "server/discover" if self.args.modern => send(answers::DISCOVER),
            "ping" if !modern && !self.args.no_ping => send("{}"),
            "tools/list" => {
                send(&answers::tools(self.args, params["cursor"].as_str(), modern));
                for _ in 0..self.args.list_changed.unwrap_or(0) {
                    self.output
                        .send(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
                }
                for line in 0..self.args.chatty.unwrap_or(0) {
                    let params = format!(r#"{{"level":"info","data":"line {line} after {id}"}}"#);
                    let log = "notifications/message";
                    self.output.send(&format!(
                        r#"{{"jsonrpc":"2.0","method":"{log}","params":{params}}}"#
                    ));
                }
            }
            "tools/call" if self.args.stop_reading => wait(Duration::MAX),
            "tools/call" if self.args.hang_on_call => {}
            "tools/call" => self.call(scope, id, params, modern),
            _ => {
                let error = r#"{"code":-32601,"message":"Method not found"}"#;
                self.output.send(&frames::error(id, error));
            }
        }
    }

    fn call<'s>(
        &'s self,
        scope: &'s thread::Scope<'s, '_>,
        id: &str,
        params: &Value,
        modern: bool,
    ) {
        let arguments = &params["arguments"];
        let number = |name: &str| arguments[name].as_u64().unwrap_or(0);
        let text = |text: &str| frames::response(id, &answers::text(text, modern));
        let answer = match params["name"].as_str().unwrap_or_default() {
            "raw" if self.args.unparseable_result => frames::response(id, answers::WEIRD_RESULT),
            _ if self.args.unparseable_result => frames::error(id, answers::WEIRD_ERROR),
            "echo" => text(&format!("Echo: {}", arguments["message"].as_str().unwrap_or(""))),
            "raw" => frames::response(id, answers::RAW_RESULT),
            "pid" => text(&std::process::id().to_string()),
            "burst" => {
                self.burst(&params["_meta"]["progressToken"], number("count"));
                text(&format!("Sent {}", number("count")))
            }
            "steps" => {
                let (id, token) = (id.to_owned(), params["_meta"]["progressToken"].clone());
                let (count, ms) = (number("count"), number("ms"));
                let bytes = usize::try_from(number("bytes")).unwrap_or(0);
                scope.spawn(move || self.steps(&id, &token, count, ms, bytes, modern));
                return;
            }
            "slow" => {
                let (id, ms) = (id.to_owned(), number("ms"));
                scope.spawn(move || self.sleep(&id, ms, modern));
                return;
            }
            "die" if arguments["abort"].as_bool() == Some(true) => std::process::abort(),
            "die" => std::process::exit(i32::try_from(number("code")).unwrap_or(1)),
            name if name.starts_with("tool-") => text(name),
            _ => frames::error(id, r#"{"code":-32602,"message":"Unknown tool"}"#),
        };
        self.output.answer(id, &answer);
    }

    fn burst(&self, token: &Value, count: u64) {
        if token.is_null() {
            return;
        }
        for index in 1..=count {
            let params =
                format!(r#"{{"progressToken":{token},"progress":{index},"total":{count}}}"#);
            let method = r#""method":"notifications/progress""#;
            self.output.send(&format!(r#"{{"jsonrpc":"2.0",{method},"params":{params}}}"#));
        }
    }

    /// Progress now and then, each with a message of so many bytes.
    fn steps(&self, id: &str, token: &Value, count: u64, ms: u64, bytes: usize, modern: bool) {
        let (wake, woken) = mpsc::channel();
        self.sleepers().insert(id.to_owned(), wake);
        let message = "x".repeat(bytes);
        for step in 1..=count {
            let params =
                format!(r#"{{"progressToken":{token},"progress":{step},"message":"{message}"}}"#);
            let method = r#""method":"notifications/progress""#;
            self.output.send(&format!(r#"{{"jsonrpc":"2.0",{method},"params":{params}}}"#));
            if woken.recv_timeout(Duration::from_millis(ms)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
        self.sleepers().remove(id);
        let text = format!("Took {count} steps");
        self.output.answer(id, &frames::response(id, &answers::text(&text, modern)));
    }

    fn sleep(&self, id: &str, ms: u64, modern: bool) {
        let (wake, woken) = mpsc::channel();
        self.sleepers().insert(id.to_owned(), wake);
        let slept = woken.recv_timeout(Duration::from_millis(ms));
        self.sleepers().remove(id);
        let text = match slept {
            Err(RecvTimeoutError::Timeout) => format!("Slept {ms} ms"),
            _ if self.args.late_after_cancel => format!("{}: cancelled", answers::WRONG),
            _ => return,
        };
        self.output.answer(id, &frames::response(id, &answers::text(&text, modern)));
    }

    fn wake(&self, id: &str) {
        if let Some(sleeper) = self.sleepers().get(id) {
            let _ = sleeper.send(());
        }
    }

    fn sleepers(&self) -> MutexGuard<'_, HashMap<String, Sender<()>>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flood_stderr(bytes: u64) {
    let line = format!("{}\n", "stderr ".repeat(20));
    let mut left = bytes;
    while left > 0 {
        let Ok(()) = std::io::stderr().write_all(line.as_bytes()) else { return };
        left = left.saturating_sub(line.len() as u64);
    }
}

/// Waits for something that never comes.
fn wait(limit: Duration) {
    let (_never, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(limit.min(Duration::from_secs(1 << 30)));
}
