//! A server or a gateway on stdin and stdout, one raw message per line.

use std::cell::Cell;
use std::process::Command;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::process::Running;
use crate::wait::PATIENCE;

/// A child that is spoken to in lines, and whose lines are read in order.
#[derive(Debug)]
pub struct Lines {
    process: Running,
    /// How many lines were handed out.
    read: Cell<usize>,
}

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
}

impl Lines {
    /// Starts it.
    pub fn start(command: Command) -> Self {
        Self { process: Running::start(command), read: Cell::new(0) }
    }

    /// Sends one message as written.
    pub fn send(&self, message: &str) {
        self.process.write(format!("{message}\n").as_bytes());
    }

    /// Every line that was not handed out yet, up to the answer to the request with this id (a JSON
    /// text), which is the last.
    ///
    /// # Panics
    /// With all that was said, when there is no answer.
    pub fn until_answer(&self, id: &str) -> Vec<String> {
        let answers = |line: &str| {
            let outline = serde_json::from_str::<Outline<'_>>(line);
            outline.is_ok_and(|it| it.method.is_none() && it.id.is_some_and(|it| it.get() == id))
        };
        let find = |out: &str| {
            // Half a line is none yet.
            let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let mut lines = whole.lines().skip(self.read.get());
            let mut found = Vec::new();
            let line = lines.find(|line| {
                found.push((*line).to_owned());
                answers(line)
            });
            line.map(|_| found)
        };
        self.process.wait_for(PATIENCE, |out, _| find(out).is_some());
        let (out, err) = (self.process.stdout(), self.process.stderr());
        let found =
            find(&out).unwrap_or_else(|| panic!("no answer to {id}\nstdout: {out}\nstderr: {err}"));
        self.read.set(self.read.get() + found.len());
        found
    }
}
