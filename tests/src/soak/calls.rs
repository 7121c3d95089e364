//! Clients that know what the answer has to be.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::raw::{Answer, Client, Era};
use crate::wait::{pause, timed};

/// Clients at a time: of each era, over all servers and over one.
pub(super) const CLIENTS: usize = 6;
/// Between two calls of one client: it is the killer that is to be felt, not the load.
const PACE: Duration = Duration::from_millis(40);
/// A client of the session era begins a new session after so many calls.
const CALLS_IN_A_SESSION: u64 = 200;

/// What all clients were told.
#[derive(Debug, Default)]
pub(super) struct Book {
    calls: AtomicU64,
    right: AtomicU64,
    wrong: AtomicU64,
    hangs: AtomicU64,
    /// The longest that a right answer took, in microseconds.
    slowest: AtomicU64,
    errors: Mutex<std::collections::BTreeMap<String, u64>>,
    examples: Mutex<Vec<String>>,
}

/// What clients were told, counted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Told {
    /// All calls.
    pub calls: u64,
    /// Those with the right answer.
    pub right: u64,
    /// Those with another one.
    pub wrong: u64,
    /// Those without an end.
    pub hangs: u64,
    /// The longest that a right answer took.
    pub slowest: Duration,
    /// Errors that said so, by their code.
    pub errors: Vec<(String, u64)>,
    /// The first wrong answers.
    pub examples: Vec<String>,
}

impl Told {
    /// The share of calls that had the right answer.
    pub fn availability(&self) -> f64 {
        self.right as f64 / self.calls.max(1) as f64
    }
}

impl Book {
    pub(super) fn told(&self) -> Told {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        Told {
            calls: read(&self.calls),
            right: read(&self.right),
            wrong: read(&self.wrong),
            hangs: read(&self.hangs),
            slowest: Duration::from_micros(read(&self.slowest)),
            errors: errors.iter().map(|(code, count)| (code.clone(), *count)).collect(),
            examples: self.examples.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn error(&self, code: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(code.to_owned()).or_default() += 1;
    }

    fn wrong(&self, what: String) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        let mut examples = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if examples.len() < 5 {
            examples.push(what);
        }
    }

    /// Takes note of one call.
    fn enter(&self, call: &Call, outcome: std::io::Result<Answer>, took: Duration) -> Next {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.hangs.fetch_add(1, Ordering::Relaxed);
                return Next::Session;
            }
            Err(error) => {
                self.error(&format!("connection: {}", error.kind()));
                return Next::Session;
            }
        };
        if answer.status == 404 {
            self.error("session gone");
            return Next::Session;
        }
        let value = answer.value();
        let code = value["error"]["data"]["code"].as_str();
        let text = value["result"]["content"][0]["text"].as_str();
        match (code, text) {
            (Some(code), _) => self.error(code),
            (None, Some(text)) if text.contains(&call.expected) => {
                self.right.fetch_add(1, Ordering::Relaxed);
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.slowest.fetch_max(micros, Ordering::Relaxed);
            }
            _ => self.wrong(format!("{} {}: {}", call.tool, call.arguments, answer.message)),
        }
        Next::Same
    }
}

/// Whether a client goes on in its session.
#[derive(PartialEq, Eq)]
enum Next {
    Same,
    Session,
}

/// A call, and what its answer says.
struct Call {
    tool: String,
    arguments: Value,
    expected: String,
}

impl Call {
    /// Every call differs from all others, so that no answer can be somebody else's.
    fn new(client: usize, number: u64, prefix: bool) -> Self {
        let unique = (client as u64) << 32 | number;
        let (server, tool, arguments, expected) = match number % 3 {
            0 => {
                let text = format!("soak {unique}");
                ("everything", "echo", json!({ "message": text }), format!("Echo: soak {unique}"))
            }
            1 => {
                let (hour, minute) = (unique % 15, unique % 60);
                let arguments = json!({
                    "source_timezone": "UTC",
                    "time": format!("{hour:02}:{minute:02}"),
                    "target_timezone": "Asia/Tokyo",
                });
                (
                    "time",
                    "convert_time",
                    arguments,
                    format!("T{:02}:{minute:02}:00+09:00", hour + 9),
                )
            }
            _ => {
                let text = format!("far {unique}");
                ("remote", "echo", json!({ "message": text }), format!("Echo: far {unique}"))
            }
        };
        let tool = if prefix { format!("{server}__{tool}") } else { tool.to_owned() };
        Self { tool, arguments, expected }
    }
}

/// Calls until told to stop.
pub(super) fn client(number: usize, url: &str, book: &Book, stop: &AtomicBool) {
    let era = if number.is_multiple_of(2) { Era::Legacy("2025-11-25") } else { Era::Modern };
    let mut calls = 0;
    while !stop.load(Ordering::Relaxed) {
        let client = match Client::connect(url, era) {
            Ok(client) => client,
            Err(error) => {
                book.error(&format!("connect: {}", error.kind()));
                pause(PACE);
                continue;
            }
        };
        let end = calls + CALLS_IN_A_SESSION;
        while calls < end && !stop.load(Ordering::Relaxed) {
            let call = Call::new(number, calls, true);
            calls += 1;
            let (outcome, took) = timed(|| client.call(&call.tool, &call.arguments.to_string()));
            if book.enter(&call, outcome, took) == Next::Session {
                break;
            }
            pause(PACE);
        }
        if era != Era::Modern {
            let _ = client.delete();
        }
    }
}
