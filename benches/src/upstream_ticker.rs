//! A stdio server that also says what time it is, several times a second, from its first message on.

use std::io::{self, BufRead, Write, stdin, stdout};
use std::thread;
use std::time::Duration;

use crate::clock::{time_of_day, wait};
use crate::echo::{self, Reply};

/// What stands before the number and the time of a notification.
pub(crate) const STAMP: &str = "tick ";

/// Serves until the input ends.
pub(crate) fn run(per_second: u32) -> io::Result<()> {
    let mut ticking = false;
    for line in stdin().lock().lines() {
        let reply = echo::reply(line?.as_bytes());
        if let Reply::Opened(answer) | Reply::Answered(answer) | Reply::Unknown(answer) = reply {
            say(&answer)?;
        }
        if !ticking {
            ticking = true;
            // Ends with the process, whose main thread ends with its input.
            thread::spawn(move || tick(per_second));
        }
    }
    Ok(())
}

fn tick(per_second: u32) {
    for number in 0_u64.. {
        wait(Duration::from_secs(1) / per_second);
        let now = time_of_day().as_nanos();
        let notification = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{STAMP}{number} {now} "}}}}"#
        );
        if say(notification.as_bytes()).is_err() {
            return;
        }
    }
}

fn say(message: &[u8]) -> io::Result<()> {
    let mut output = stdout().lock();
    output.write_all(message)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// The number and the time in a line that holds a notification.
pub(crate) fn stamps(line: &str) -> Option<(u64, Duration)> {
    let mut words = line.split_once(STAMP)?.1.split(' ');
    let number = words.next()?.parse().ok()?;
    Some((number, Duration::from_nanos(words.next()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_in_whatever_carries_it() {
        let line = r#"data: {"params":{"data":"tick 7 1500 "}}"#;
        assert_eq!(stamps(line), Some((7, Duration::from_nanos(1500))));
        assert_eq!(stamps("data: {}"), None);
    }
}
