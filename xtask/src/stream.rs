//! Running a program whose lines matter: each is passed on as it comes, and looked at.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::shell::shown;
use crate::tally::{Runner, Tally};
use crate::watch::Watch;

/// How long a program that has ended may leave its output open: something that it started and
/// forgot still holds it, and would hold us.
const LINGER: Duration = Duration::from_secs(3);

/// Longer than any suite takes, short enough that the gate says what hung before it is cut off.
const LIMIT: Duration = Duration::from_secs(30 * 60);

enum Line {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Runs a suite and adds what it counted. A suite that fails and counts no failure is one itself,
/// so that no closing line says `0 failed` of a run that did.
pub(crate) fn count(command: Command, runner: Runner, tally: &mut Tally) -> Result<(), String> {
    let mut own = Tally::default();
    let line = shown(&command);
    let result = lines(command, LIMIT, |line| own += runner.read(line).unwrap_or_default());
    if result.is_err() && own.failed == 0 {
        own.failed = 1;
    }
    *tally += own;
    match result {
        Ok(()) if own.failed > 0 => Err(format!("failed ({own}): {line}")),
        other => other,
    }
}

/// Runs it to its end, or to the limit, and shows every line to `look`.
pub(crate) fn lines(
    mut command: Command,
    limit: Duration,
    look: impl FnMut(&str),
) -> Result<(), String> {
    let line = shown(&command);
    eprintln!("$ {line}");
    if std::io::stderr().is_terminal() {
        // Behind a pipe they would fall back to plain text.
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("did not start: {line}: {error}"))?;
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone(), Line::Out);
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender, Line::Err);
    }
    let status =
        pump(&mut child, &receiver, limit, look).map_err(|why| format!("{why}: {line}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed ({status}): {line}")) }
}

fn forward(from: impl Read + Send + 'static, to: Sender<Line>, kind: fn(Vec<u8>) -> Line) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if to.send(kind(std::mem::take(&mut line))).is_err() {
                return;
            }
        }
    });
}

fn pump(
    child: &mut Child,
    lines: &Receiver<Line>,
    limit: Duration,
    mut look: impl FnMut(&str),
) -> Result<ExitStatus, String> {
    let began = Watch::start();
    let mut ended: Option<Watch> = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(Line::Out(line)) => {
                let _ = std::io::stdout().write_all(&line);
                look(&String::from_utf8_lossy(&line));
            }
            Ok(Line::Err(line)) => {
                let _ = std::io::stderr().write_all(&line);
                look(&String::from_utf8_lossy(&line));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return child.wait().map_err(|error| error.to_string());
            }
            // Only a silent leftover counts: what is merely slow to be read is not one.
            Err(RecvTimeoutError::Timeout)
                if ended.as_ref().is_some_and(|e| e.elapsed() > LINGER) =>
            {
                return Err("a process outlived it and holds its output".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("stopped, having run for {} minutes", limit.as_secs() / 60));
        }
        if ended.is_none() && matches!(child.try_wait(), Ok(Some(_))) {
            ended = Some(Watch::start());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::command;

    fn shell(script: &str) -> Command {
        let mut shell = command("sh", "-c");
        shell.arg(script);
        shell
    }

    #[test]
    fn counts_both_streams() {
        let mut tally = Tally::default();
        let script = "echo 3 passed, 0 failed; echo 4 passed, 0 failed >&2";
        assert_eq!(count(shell(script), Runner::Plain, &mut tally), Ok(()));
        assert_eq!(tally, Tally { passed: 7, failed: 0 });
    }

    #[test]
    fn a_failure_nobody_counted_is_counted() {
        let mut tally = Tally::default();
        assert!(count(shell("exit 3"), Runner::Plain, &mut tally).is_err());
        assert_eq!(tally, Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn a_counted_failure_fails_whatever_the_exit_status() {
        let mut tally = Tally::default();
        assert!(count(shell("echo 3 passed, 2 failed"), Runner::Plain, &mut tally).is_err());
        assert_eq!(tally, Tally { passed: 3, failed: 2 });
    }

    #[test]
    fn a_leftover_does_not_hold_us() {
        let result = lines(shell("sleep 20 & echo done"), LIMIT, |_| {});
        assert!(result.is_err_and(|why| why.contains("outlived")));
    }

    #[test]
    fn what_hangs_is_stopped() {
        let result = lines(shell("exec sleep 20"), Duration::from_millis(200), |_| {});
        assert!(result.is_err_and(|why| why.contains("stopped")));
    }
}
