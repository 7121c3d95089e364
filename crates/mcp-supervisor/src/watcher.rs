//! The one thread that reads the trees whose limits nothing else enforces.
//!
//! Every tree is read once a second. A fork bomb or a runaway allocation does not wait so long; but it
//! shows in two numbers of the machine, which cost microseconds, and then all trees are read at once.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::sync::oneshot;

use crate::usage::{self, Usage};
use crate::{Cause, Limits, proc};

/// How often every tree is read.
const PERIOD: Duration = Duration::from_secs(1);

/// How often the machine is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// So many more threads on the machine are a reason to read the trees.
const THREADS_MORE: u64 = 64;

/// So much less memory is.
const BYTES_LESS: u64 = 32 << 20;

static THREAD: Mutex<Option<Sender<Tree>>> = Mutex::new(None);

/// A tree, and who is told when it passes a limit. It is watched until then, or until nobody listens.
struct Tree {
    leader: Pid,
    is_shim: bool,
    limits: Limits,
    had_all_files_open: bool,
    tell: Option<oneshot::Sender<Cause>>,
}

/// Watches the tree of `leader`, which must not be reaped before the receiver is dropped, for those
/// limits that are set.
pub(crate) fn watch(
    leader: Pid,
    is_shim: bool,
    limits: Limits,
) -> io::Result<oneshot::Receiver<Cause>> {
    let (tell, told) = oneshot::channel();
    let tree = Tree { leader, is_shim, limits, had_all_files_open: false, tell: Some(tell) };
    let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    let tree = match thread.as_ref() {
        Some(sender) => match sender.send(tree) {
            Ok(()) => return Ok(told),
            Err(refused) => refused.0,
        },
        None => tree,
    };
    let (sender, trees) = channel();
    std::thread::Builder::new().name("process-watcher".to_owned()).spawn(move || serve(&trees))?;
    let _ = sender.send(tree);
    *thread = Some(sender);
    Ok(told)
}

fn serve(new: &Receiver<Tree>) {
    let mut trees = Vec::new();
    let mut machine = Machine::default();
    let mut due = now();
    loop {
        let received = match trees.is_empty() {
            true => new.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => new.recv_timeout(GLANCE),
        };
        match received {
            Ok(tree) => trees.push(tree),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let seen = Machine::read();
        if now() >= due || seen.is_strained_since(&machine) {
            trees.retain_mut(Tree::is_within);
            machine = seen;
            due = now() + PERIOD;
        }
    }
}

impl Tree {
    /// Whether there is a reason to go on watching.
    fn is_within(&mut self) -> bool {
        let Some(tell) = self.tell.take_if(|tell| !tell.is_closed()) else { return false };
        let usage = usage::read(self.leader, self.is_shim, self.limits.open_files.is_some());
        match usage.and_then(|usage| self.passed(&usage)) {
            Some(cause) => {
                let _ = tell.send(cause);
                false
            }
            None => {
                self.tell = Some(tell);
                true
            }
        }
    }

    fn passed(&mut self, usage: &Usage) -> Option<Cause> {
        let over = |used: u64, limit: Option<u64>| limit.filter(|limit| used > *limit);
        if let Some(limit) = over(usage.memory_bytes, self.limits.memory_bytes) {
            return Some(Cause::Memory { used: usage.memory_bytes, limit });
        }
        if let Some(limit) = over(usage.processes, self.limits.processes) {
            return Some(Cause::Processes { used: usage.processes, limit });
        }
        // The kernel lets nobody pass this one. Who has used it up for once may recover.
        let exhausted = self.limits.open_files.filter(|limit| usage.open_files_max >= *limit);
        let before = std::mem::replace(&mut self.had_all_files_open, exhausted.is_some());
        exhausted.filter(|_| before).map(|limit| Cause::OpenFiles { limit })
    }
}

/// The machine as a whole.
#[derive(Clone, Copy, Default)]
struct Machine {
    threads: u64,
    bytes_available: u64,
}

impl Machine {
    fn read() -> Self {
        let (threads, bytes_available) = proc::machine().unwrap_or_default();
        Self { threads, bytes_available }
    }

    fn is_strained_since(&self, earlier: &Self) -> bool {
        self.threads > earlier.threads.saturating_add(THREADS_MORE)
            || self.bytes_available.saturating_add(BYTES_LESS) < earlier.bytes_available
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread's one clock; no runtime runs in it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(limits: Limits) -> Tree {
        let (leader, is_shim) = (Pid::INIT, false);
        Tree { leader, is_shim, limits, had_all_files_open: false, tell: None }
    }

    #[test]
    fn a_limit_may_be_reached_and_not_passed() {
        let mut tree =
            tree(Limits { memory_bytes: Some(10), processes: Some(3), ..Limits::default() });
        let mut usage =
            Usage { memory_bytes: 10, processes: 3, open_files_max: 99, ..Usage::default() };
        assert_eq!(tree.passed(&usage), None);
        usage.processes = 4;
        assert_eq!(tree.passed(&usage), Some(Cause::Processes { used: 4, limit: 3 }));
        usage.memory_bytes = 11;
        assert_eq!(tree.passed(&usage), Some(Cause::Memory { used: 11, limit: 10 }));
    }

    #[test]
    fn files_used_up_twice_in_a_row_are_a_leak() {
        let mut tree = tree(Limits { open_files: Some(20), ..Limits::default() });
        let usage = |open_files_max| Usage { open_files_max, ..Usage::default() };
        assert_eq!([20, 19, 20].map(|files| tree.passed(&usage(files))), [None; 3]);
        assert_eq!(tree.passed(&usage(20)), Some(Cause::OpenFiles { limit: 20 }));
    }

    #[test]
    fn strain_is_a_difference() {
        let calm = Machine { threads: 100, bytes_available: 1 << 30 };
        let with = |threads, bytes_available| Machine { threads, bytes_available };
        assert!(!calm.is_strained_since(&calm));
        assert!(!with(90, 1 << 31).is_strained_since(&calm));
        assert!(with(165, 1 << 30).is_strained_since(&calm));
        assert!(with(100, (1 << 30) - (33 << 20)).is_strained_since(&calm));
    }
}
