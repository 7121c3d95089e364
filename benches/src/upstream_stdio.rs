//! The echo server over lines of standard input and output.

use std::io::{self, BufRead, BufReader, Write, stdin, stdout};

use crate::echo::{self, Reply};

/// Serves until the input ends.
pub(crate) fn run() -> io::Result<()> {
    let mut input = BufReader::with_capacity(64 * 1024, stdin().lock());
    let mut output = stdout().lock();
    let mut line = Vec::new();
    let mut answers = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if let Reply::Opened(answer) | Reply::Answered(answer) | Reply::Unknown(answer) =
            echo::reply(&line)
        {
            answers.extend_from_slice(&answer);
            answers.push(b'\n');
        }
        line.clear();
        // Several messages in one read are answered in one write.
        if memchr::memchr(b'\n', input.buffer()).is_none() {
            output.write_all(&answers)?;
            // Rust's standard output is line buffered whatever it is connected to.
            output.flush()?;
            answers.clear();
        }
    }
    Ok(())
}
