//! Child processes that end: every wait has a limit, and dropping one stops it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to leave after it was asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How much of each stream is kept; the oldest bytes go first.
const KEPT_MAX: usize = 32 << 20;

/// Every process that was started here and was not yet seen to end.
static ALIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A child process. Its output is read all the time, so that it never blocks on us.
#[derive(Debug)]
pub struct Running {
    name: String,
    pid: Pid,
    stdin: Mutex<Option<std::process::ChildStdin>>,
    seen: Arc<Seen>,
}

/// How a process ended and what it said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// How it ended; none when it had to be stopped because the limit passed.
    pub status: Option<ExitStatus>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Finished {
    /// Whether it ended by itself, with code 0.
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

#[derive(Debug, Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    pipes_closed: u8,
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts `command` with all three streams piped.
    ///
    /// # Panics
    /// When the program cannot be started: no test has anything to say after that.
    pub fn start(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let pid = Pid::from_child(&child);
        alive().insert(pid.as_raw_nonzero().get());

        let seen = Arc::new(Seen::default());
        let stdin = Mutex::new(child.stdin.take());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (for_out, for_err, for_end) = (seen.clone(), seen.clone(), seen.clone());
        thread::spawn(move || read_all(out, &for_out, |state| &mut state.stdout));
        thread::spawn(move || read_all(err, &for_err, |state| &mut state.stderr));
        thread::spawn(move || {
            let status = child.wait().unwrap_or_default();
            alive().remove(&pid.as_raw_nonzero().get());
            for_end.update(|state| state.status = Some(status));
        });
        Self { name, pid, stdin, seen }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().stdout).into_owned()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().stderr).into_owned()
    }

    /// Writes to its stdin; a process that no longer reads is not an error here.
    pub fn write(&self, bytes: &[u8]) {
        if let Some(stdin) = self.stdin.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        }
    }

    /// Ends its stdin.
    pub fn close_stdin(&self) {
        drop(self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The first address of an MCP endpoint that it prints to stdout. Logs, which may name other
    /// endpoints, belong on stderr.
    ///
    /// # Panics
    /// With all that it said, when it prints none in time.
    pub fn endpoint(&self, limit: Duration) -> String {
        let found = self.seen.until(limit, |state| {
            let found = endpoint_in(&String::from_utf8_lossy(&state.stdout));
            // A process that ended will not print one any more.
            found.or_else(|| state.status.map(|_| String::new()))
        });
        match found {
            Some(url) if !url.is_empty() => url,
            _ => {
                let (out, err) = (self.stdout(), self.stderr());
                panic!("{} printed no address\nstdout: {out}\nstderr: {err}", self.name)
            }
        }
    }

    /// Waits until its output satisfies `test`; says whether that came true in time.
    pub fn wait_for(&self, limit: Duration, test: impl Fn(&str, &str) -> bool) -> bool {
        let test = |state: &State| {
            let (out, err) = (&state.stdout, &state.stderr);
            test(&String::from_utf8_lossy(out), &String::from_utf8_lossy(err)).then_some(())
        };
        self.seen.until(limit, test).is_some()
    }

    /// Waits until it ended, and for the rest of its output.
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let status = self.seen.until(limit, |state| state.status)?;
        // A grandchild may hold the pipes open for longer than anybody wants to wait.
        let rest = Duration::from_secs(1);
        self.seen.until(rest, |state| (state.pipes_closed == 2).then_some(()));
        Some(status)
    }

    /// Sends a signal, unless it ended already.
    pub fn signal(&self, signal: Signal) {
        if self.seen.lock().status.is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Asks it to leave, then makes it; how it ended.
    pub fn stop(&self) -> Option<ExitStatus> {
        self.close_stdin();
        self.signal(Signal::TERM);
        if self.seen.until(GRACE, |state| state.status).is_none() {
            self.signal(Signal::KILL);
        }
        self.wait(GRACE)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.seen.lock().status.is_none() {
            self.stop();
        }
    }
}

/// Runs `command` to its end with `input` on its stdin, for at most `limit`.
pub fn run(command: Command, input: &[u8], limit: Duration) -> Finished {
    let running = Running::start(command);
    running.write(input);
    running.close_stdin();
    let status = running.wait(limit);
    if status.is_none() {
        running.stop();
    }
    Finished { status, stdout: running.stdout(), stderr: running.stderr() }
}

/// On SIGTERM and SIGINT, stops every process that was started here, then ends this one.
///
/// For programs; a test leaves this to `Drop`.
pub fn stop_all_on_signal() -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        for pid in alive().iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let _ = kill_process(pid, Signal::TERM);
        }
        std::process::exit(128 + signal);
    });
    Ok(())
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `find` finds something.
    fn until<T>(&self, limit: Duration, find: impl Fn(&State) -> Option<T>) -> Option<T> {
        let waiting = |state: &mut State| find(state).is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), limit, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        find(&state)
    }
}

fn read_all(pipe: Option<impl Read>, seen: &Seen, stream: fn(&mut State) -> &mut Vec<u8>) {
    let mut chunk = vec![0; 64 << 10];
    let Some(mut pipe) = pipe else { return };
    while let Ok(count @ 1..) = pipe.read(&mut chunk) {
        seen.update(|state| {
            let kept = stream(state);
            kept.extend_from_slice(&chunk[..count]);
            // Halved rather than trimmed each time: moving megabytes per chunk would be slow.
            if kept.len() > KEPT_MAX {
                kept.drain(..KEPT_MAX / 2);
            }
        });
    }
    seen.update(|state| state.pipes_closed += 1);
}

fn endpoint_in(text: &str) -> Option<String> {
    const TCP: &str = "listening on tcp://";
    if let Some((address, _)) = text.split_once(TCP).and_then(|(_, rest)| rest.split_once('\n')) {
        return Some(format!("tcp://{address}"));
    }
    const HOST: &str = "://127.0.0.1:";
    let mut addresses = text.match_indices(HOST);
    addresses.find_map(|(at, _)| {
        let scheme = ["http", "ws"].into_iter().find(|scheme| text[..at].ends_with(scheme))?;
        let (port, _) = text[at + HOST.len()..].split_once("/mcp")?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        is_port.then(|| format!("{scheme}{HOST}{port}/mcp"))
    })
}

fn alive() -> MutexGuard<'static, BTreeSet<i32>> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_endpoint_among_other_addresses() {
        let text =
            "admin http://127.0.0.1:9/ui\nlistening on http://127.0.0.1:4001/mcp (2 servers)";
        assert_eq!(endpoint_in(text).as_deref(), Some("http://127.0.0.1:4001/mcp"));
        assert_eq!(endpoint_in("http://127.0.0.1:40"), None, "half a line");
        let text = "listening on ws://127.0.0.1:4002/mcp";
        assert_eq!(endpoint_in(text).as_deref(), Some("ws://127.0.0.1:4002/mcp"));
    }
}
