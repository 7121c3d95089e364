//! Everything below a shim: reaped as it ends, and ended when the time has come.
//!
//! A subreaper without children has no descendants: the parent of every one of them is alive, and
//! below the shim or the shim itself. So "the tree is gone" is what `wait` says, and no guess.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpgrp, getpid, kill_current_process_group, kill_process, wait,
};

use super::wake::{Wake, now};
use crate::order::Order;
use crate::proc;

/// How long those may take that the program has left behind. Nobody asked them to stay, and the
/// supervisor waits to hear of the exit.
const LEFTOVER_GRACE: Duration = Duration::from_millis(50);

/// How long SIGKILL is repeated for. What is alive then is another user's, or stuck in the kernel.
const KILL_BOUND: Duration = Duration::from_secs(1);

/// How often a tree that is being killed is read again, if no death of a child comes first.
const KILL_PERIOD: Duration = Duration::from_millis(10);

pub(crate) struct Tree {
    program: Pid,
    status: Option<ExitStatus>,
    grace: Duration,
    stage: Stage,
}

enum Stage {
    Running,
    /// SIGTERM was sent, once.
    Asked {
        until: Instant,
    },
    /// SIGKILL is sent to whoever is found, again and again.
    Killing {
        until: Instant,
    },
}

impl Tree {
    pub(crate) fn new(program: Pid, order: &Order) -> Self {
        Self { program, status: None, grace: order.grace, stage: Stage::Running }
    }

    /// Returns how the program ended, and how many processes could not be killed.
    pub(crate) fn keep(mut self, wake: &Wake) -> (Option<ExitStatus>, usize) {
        while self.reap() {
            let now = now();
            match self.stage {
                Stage::Running if wake.is_terminated() => self.ask(now, self.grace),
                Stage::Running if self.status.is_some() => self.ask(now, LEFTOVER_GRACE),
                Stage::Asked { until } if now >= until => {
                    self.stage = Stage::Killing { until: now + KILL_BOUND };
                }
                Stage::Killing { until } if now >= until => {
                    let left = proc::descendants(getpid()).into_iter().filter(|e| e.alive);
                    return (self.status, left.count());
                }
                _ => {}
            }
            wake.wait(match self.stage {
                Stage::Running => None,
                Stage::Asked { until } => Some(until.saturating_duration_since(now)),
                Stage::Killing { .. } => {
                    kill_all();
                    Some(KILL_PERIOD)
                }
            });
        }
        (self.status, 0)
    }

    /// Whether any child is left after those that have ended were reaped.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    self.status = Some(ExitStatus::from_raw(status.as_raw()));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Sends SIGTERM to each descendant once: what a program starts to clean up after itself is
    /// left to finish.
    fn ask(&mut self, now: Instant, grace: Duration) {
        let group = getpgrp().as_raw_pid();
        let outside = proc::descendants(getpid()).into_iter().filter(|e| e.group != group);
        let outside: Vec<_> = outside.collect();
        // SIGCONT, because one that is stopped would not notice.
        for signal in [Signal::TERM, Signal::CONT] {
            let _ = kill_current_process_group(signal);
            for entry in &outside {
                let _ = kill_process(entry.pid, signal);
            }
        }
        // A grace beyond what the clock can count is no deadline worth having.
        let until = now.checked_add(grace).unwrap_or(now + LEFTOVER_GRACE);
        self.stage = Stage::Asked { until };
    }
}

fn kill_all() {
    for entry in proc::descendants(getpid()) {
        let _ = kill_process(entry.pid, Signal::KILL);
    }
}
