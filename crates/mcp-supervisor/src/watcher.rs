//! The one thread that reads the trees whose limits nothing else enforces.
//!
//! A tree that is close to a limit is read once a second, and one that is not every five. A fork bomb
//! or a runaway allocation does not wait so long; but it shows in two numbers of the machine, which
//! cost microseconds, and then all trees are read at once.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::sync::oneshot;

use crate::usage::{self, Usage};
use crate::{Cause, Limits, proc};

/// How often a tree is read that uses more than half of what it may.
const PERIOD: Duration = Duration::from_secs(1);

/// How often every tree is read: so many times as rarely.
const CALM_PERIODS: u32 = 5;

/// How long all descriptors must be in use for it to be a leak, and not a busy moment.
const FILES_BOUND: Duration = Duration::from_millis(900);

/// How often the machine is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// So many more threads on the machine are a reason to read the trees.
const THREADS_MORE: u64 = 64;

/// So much less memory is.
const BYTES_LESS: u64 = 32 << 20;

/// There is one tree in its queue for each process that was started a moment ago.
static THREAD: Mutex<Option<Sender<Tree>>> = Mutex::new(None);

/// A tree, and who is told when it passes a limit. It is watched until then, or until nobody listens.
struct Tree {
    leader: Pid,
    is_shim: bool,
    limits: Limits,
    /// It used more than half of what it may, or nobody knows.
    is_close: bool,
    files_used_up: Option<Instant>,
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
    let tree = Tree::new(leader, is_shim, limits, Some(tell));
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
    let mut trees: Vec<Tree> = Vec::new();
    let mut machine = Machine::default();
    let (mut due, mut all_due) = (now(), now());
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
        let (now, seen) = (now(), Machine::read());
        let all = now >= all_due || seen.is_strained_since(&machine);
        if all || now >= due {
            trees.retain_mut(|tree| !(all || tree.is_close) || tree.keeps_its_limits(now));
            due = now + PERIOD;
        }
        if all {
            machine = seen;
            all_due = now + PERIOD * CALM_PERIODS;
        }
    }
}

impl Tree {
    fn new(
        leader: Pid,
        is_shim: bool,
        limits: Limits,
        tell: Option<oneshot::Sender<Cause>>,
    ) -> Self {
        Self { leader, is_shim, limits, is_close: true, files_used_up: None, tell }
    }

    /// Whether there is a reason to go on watching.
    fn keeps_its_limits(&mut self, now: Instant) -> bool {
        let Some(tell) = self.tell.take_if(|tell| !tell.is_closed()) else { return false };
        let usage = usage::read(self.leader, self.is_shim, self.limits.open_files.is_some());
        match usage.and_then(|usage| self.passed(&usage, now)) {
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

    fn passed(&mut self, usage: &Usage, now: Instant) -> Option<Cause> {
        let Limits { memory_bytes, processes, open_files, .. } = self.limits;
        let of_each = [
            (usage.memory_bytes, memory_bytes),
            (usage.processes, processes),
            (usage.open_files_max, open_files),
        ];
        self.is_close = of_each.iter().any(|(used, limit)| limit.is_some_and(|l| *used > l / 2));
        let over = |(used, limit): (u64, Option<u64>)| limit.filter(|limit| used > *limit);
        if let Some(limit) = over(of_each[0]) {
            return Some(Cause::Memory { used: usage.memory_bytes, limit });
        }
        if let Some(limit) = over(of_each[1]) {
            return Some(Cause::Processes { used: usage.processes, limit });
        }
        // The kernel lets nobody pass this one. Who has used it up for a moment may recover.
        let Some(limit) = open_files.filter(|limit| usage.open_files_max >= *limit) else {
            self.files_used_up = None;
            return None;
        };
        let since = *self.files_used_up.get_or_insert(now);
        (now.duration_since(since) >= FILES_BOUND).then_some(Cause::OpenFiles { limit })
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
        Tree::new(Pid::INIT, false, limits, None)
    }

    #[test]
    fn a_limit_may_be_reached_and_not_passed() {
        let limits = Limits { memory_bytes: Some(10), processes: Some(3), ..Limits::default() };
        let (mut tree, now) = (tree(limits), now());
        let mut usage =
            Usage { memory_bytes: 10, processes: 3, open_files_max: 99, ..Usage::default() };
        assert_eq!(tree.passed(&usage, now), None);
        usage.processes = 4;
        assert_eq!(tree.passed(&usage, now), Some(Cause::Processes { used: 4, limit: 3 }));
        usage.memory_bytes = 11;
        assert_eq!(tree.passed(&usage, now), Some(Cause::Memory { used: 11, limit: 10 }));
    }

    #[test]
    fn who_uses_less_than_half_is_read_less_often() {
        let mut tree = tree(Limits { memory_bytes: Some(100), ..Limits::default() });
        assert!(tree.is_close, "nobody knows");
        let mut close = |memory_bytes| {
            let usage = Usage { memory_bytes, processes: 1000, ..Usage::default() };
            assert_eq!(tree.passed(&usage, now()), None);
            tree.is_close
        };
        assert_eq!([close(50), close(51), close(3)], [false, true, false]);
    }

    #[test]
    fn files_used_up_for_a_second_are_a_leak() {
        let mut tree = tree(Limits { open_files: Some(20), ..Limits::default() });
        let start = now();
        let mut passed = |open_files_max, millis| {
            let usage = Usage { open_files_max, ..Usage::default() };
            tree.passed(&usage, start + Duration::from_millis(millis))
        };
        assert_eq!([passed(20, 0), passed(20, 50), passed(19, 1000)], [None; 3]);
        assert_eq!([passed(20, 2000), passed(20, 2050)], [None; 2]);
        assert_eq!(passed(20, 3000), Some(Cause::OpenFiles { limit: 20 }));
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
