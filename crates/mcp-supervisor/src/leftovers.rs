//! Ends what an earlier life of the supervisor has left behind.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{self, Instant};

use crate::Ledger;
use crate::ledger::{Identity, Record};
use crate::proc::{self, Entry};

/// How often a leftover is looked at that was asked to end.
const PERIOD: Duration = Duration::from_millis(5);

/// How long SIGKILL may take, for all of them together.
const KILL_BOUND: Duration = Duration::from_secs(1);

/// What became of the records of supervisors that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// The pids of processes that were still running, and are not any more.
    pub ended: Vec<u32>,
    /// The pids of those that could not be ended: another user's, or stuck in the kernel. Their
    /// records stay.
    pub alive: Vec<u32>,
    /// Processes that are gone; a process that has the pid of one of them was left alone.
    pub gone: u64,
    /// Records that were torn.
    pub unreadable: u64,
}

impl Ledger {
    /// Ends all processes that supervisors have left behind which are gone themselves, with their
    /// trees: SIGTERM, `grace`, then SIGKILL, all at once.
    ///
    /// Call it before the first process is started. Returns after `grace` and a second at the
    /// latest. With a shim there is nothing to do, unless the shim was killed as well.
    pub async fn end_leftovers(&self, grace: Duration) -> io::Result<Leftovers> {
        let ledger = self.clone();
        let found = tokio::task::spawn_blocking(move || ledger.abandoned());
        let found = found.await.map_err(io::Error::other)??;
        let mut report = Leftovers::default();
        let mut done = Vec::new();
        let mut running = Vec::new();
        for (path, record) in found {
            match record.map(|record| self.still_running(&record)) {
                Some(Some(process)) => running.push((path, process)),
                known => {
                    *if known.is_some() { &mut report.gone } else { &mut report.unreadable } += 1;
                    done.push(path);
                }
            }
        }
        end(running.iter().map(|(_, process)| *process).collect(), grace).await;
        for (path, process) in running {
            let pid = process.pid.unsigned_abs();
            if process.alive().is_some() {
                report.alive.push(pid);
            } else {
                report.ended.push(pid);
                done.push(path);
            }
        }
        // A record that cannot be removed is found again, and its process gone.
        let remove = move || done.iter().for_each(|path| drop(std::fs::remove_file(path)));
        tokio::task::spawn_blocking(remove).await.map_err(io::Error::other)?;
        Ok(report)
    }

    fn still_running(&self, record: &Record) -> Option<Identity> {
        (record.boot == self.boot()).then(|| record.process.alive()).flatten()?;
        Some(record.process)
    }
}

async fn end(leftovers: Vec<Identity>, grace: Duration) {
    // All of them now: an orphan is nobody's descendant any more.
    let trees: Vec<_> = leftovers.iter().flat_map(|leader| tree(*leader)).collect();
    for pid in trees.iter().filter_map(|member| member.alive()) {
        ask(pid);
    }
    until_ended(&trees, grace, |_| {}).await;
    until_ended(&trees, KILL_BOUND, |pid| {
        // Frozen, so that it starts nobody new while those that it has started are killed.
        let _ = kill_process(pid, Signal::STOP);
        for entry in proc::descendants(pid) {
            let _ = kill_process(entry.pid, Signal::KILL);
        }
        let _ = kill_process(pid, Signal::KILL);
    })
    .await;
}

/// Everyone below `leader`, and in its group.
fn tree(leader: Identity) -> Vec<Identity> {
    let Some(pid) = leader.alive() else { return Vec::new() };
    let group = proc::everyone().filter(|entry| entry.group == leader.pid);
    let below = proc::descendants(pid).into_iter().chain(group);
    let mut tree = vec![leader];
    for Entry { pid, started, .. } in below {
        let member = Identity { pid: pid.as_raw_pid(), started };
        if !tree.contains(&member) {
            tree.push(member);
        }
    }
    // Still the same leader, so these were still its own.
    if leader.alive().is_some() { tree } else { vec![leader] }
}

fn ask(pid: Pid) {
    // SIGCONT, because one that is stopped would not notice.
    for signal in [Signal::TERM, Signal::CONT] {
        let _ = kill_process(pid, signal);
    }
}

async fn until_ended(leftovers: &[Identity], bound: Duration, act: impl Fn(Pid)) {
    let deadline = Instant::now() + bound;
    loop {
        let alive: Vec<_> = leftovers.iter().filter_map(|leftover| leftover.alive()).collect();
        if alive.is_empty() || Instant::now() >= deadline {
            return;
        }
        alive.into_iter().for_each(&act);
        time::sleep(PERIOD).await;
    }
}
