//! The echo server over lines of standard input and output.

use std::io::{self, BufRead, BufReader, Write, stdin, stdout};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::echo::{self, Reply};
use crate::serve::runtime;
use crate::work::Work;

/// Lines that are read before anybody looks at them.
const LINES_MAX: usize = 1024;

/// Serves until the input ends.
pub(crate) fn run(work: &Work) -> io::Result<()> {
    if work.is_none() { at_once() } else { runtime(0)?.block_on(in_time(work)) }
}

fn at_once() -> io::Result<()> {
    let mut input = BufReader::with_capacity(64 * 1024, stdin().lock());
    let mut output = stdout().lock();
    let mut line = Vec::new();
    let mut answers = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        answers.extend(answer(&line).unwrap_or_default());
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

async fn in_time(work: &Work) -> io::Result<()> {
    let desk = Arc::new(work.desk());
    let (read, mut lines) = mpsc::channel(LINES_MAX);
    // Ends with the input, or with the process.
    thread::spawn(move || {
        for line in stdin().lock().split(b'\n').map_while(Result::ok) {
            if read.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut working = JoinSet::new();
    while let Some(line) = lines.recv().await {
        let desk = Arc::clone(&desk);
        working.spawn(async move {
            desk.work(&line).await;
            let mut output = stdout().lock();
            output.write_all(&answer(&line).unwrap_or_default())?;
            output.flush()
        });
        while let Some(done) = working.try_join_next() {
            done.map_err(io::Error::other)??;
        }
    }
    Ok(())
}

/// The answer to a line, as a line.
fn answer(line: &[u8]) -> Option<Vec<u8>> {
    match echo::reply(line) {
        Reply::Opened(mut answer) | Reply::Answered(mut answer) | Reply::Unknown(mut answer) => {
            answer.push(b'\n');
            Some(answer)
        }
        Reply::Taken | Reply::Malformed => None,
    }
}
