//! Writes to stdout, well or badly.

use std::io::{Stdout, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Args, frames};

/// Stdout, shared by the calls that run at the same time.
pub(super) struct Output<'a> {
    args: &'a Args,
    stdout: Mutex<Stdout>,
}

impl<'a> Output<'a> {
    pub(super) fn new(args: &'a Args) -> Self {
        Self { args, stdout: Mutex::new(std::io::stdout()) }
    }

    /// Writes a message that is not the answer to a call.
    pub(super) fn send(&self, message: &str) {
        let stdout = &mut *self.lock();
        self.flood(stdout);
        put(stdout, &self.framed(message));
    }

    /// Writes the answer to the `tools/call` with this `id`, and whatever goes with it.
    pub(super) fn answer(&self, id: &str, answer: &str) {
        let stdout = &mut *self.lock();
        self.flood(stdout);
        self.giant_line(stdout);
        put(stdout, &frames::before(self.args, id));
        put(stdout, &self.framed(answer));
        put(stdout, &frames::after(self.args, id));
    }

    fn framed(&self, message: &str) -> frames::Writes {
        let end = if self.args.crlf { "\r\n" } else { "\n" };
        let glued = if self.args.glue {
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x-glued\"}\n"
        } else {
            ""
        };
        let line = format!("{glued}{message}{end}").into_bytes();
        if !self.args.split_writes {
            return vec![line];
        }
        line.into_iter().map(|byte| vec![byte]).collect()
    }

    fn flood(&self, stdout: &mut Stdout) {
        let line = |index| format!("[debug] {index}: this is not a message\n");
        if let Some(lines) = self.args.flood_stdout {
            put(stdout, &[(0..lines).map(line).collect::<String>().into()]);
        }
    }

    /// In pieces: a gibibyte must not have to fit into this process.
    fn giant_line(&self, stdout: &mut Stdout) {
        let piece = vec![b'x'; 1 << 20];
        let Some(mut left) = self.args.giant_line else { return };
        while left > 0 {
            let count = left.min(piece.len());
            put(stdout, &[piece[..count].to_vec()]);
            left -= count;
        }
        put(stdout, &[b"\n".to_vec()]);
    }

    fn lock(&self) -> MutexGuard<'_, Stdout> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that is gone ends this process: it has nobody left to misbehave for.
fn put(stdout: &mut Stdout, writes: &[Vec<u8>]) {
    for bytes in writes {
        if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            std::process::exit(0);
        }
    }
}
