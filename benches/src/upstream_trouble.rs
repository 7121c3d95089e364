//! The echo server, which does harm for as long as a file is there.

use std::io::{self, BufRead as _, Write as _, stdin, stdout};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::clock::wait;
use crate::echo::{self, Reply};

/// How often the file is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// What harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Trouble {
    /// Reads and never answers.
    Hang,
    /// Writes what is no message, as fast as it can.
    Flood,
    /// Ends, and ends again whenever it is started.
    Crash,
}

impl Trouble {
    pub(crate) const ALL: [Self; 3] = [Self::Hang, Self::Flood, Self::Crash];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Flood => "flood",
            Self::Crash => "crash",
        }
    }
}

/// Serves until the input ends.
pub(crate) fn run(trouble: Trouble, file: &Path) -> io::Result<()> {
    let watched = file.to_owned();
    // Ends with the process, whose main thread ends with its input.
    thread::spawn(move || {
        loop {
            match trouble {
                Trouble::Hang => return,
                Trouble::Crash if watched.exists() => std::process::exit(3),
                Trouble::Flood if watched.exists() => {
                    let mut output = stdout().lock();
                    let _ = output.write_all(&b"this is no message\n".repeat(64));
                    let _ = output.flush();
                    continue;
                }
                _ => {}
            }
            wait(LOOK);
        }
    });
    for line in stdin().lock().lines() {
        let line = line?;
        if trouble == Trouble::Hang && file.exists() {
            continue;
        }
        if let Reply::Opened(answer) | Reply::Answered(answer) | Reply::Unknown(answer) =
            echo::reply(line.as_bytes())
        {
            let mut output = stdout().lock();
            output.write_all(&answer)?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
    }
    Ok(())
}
