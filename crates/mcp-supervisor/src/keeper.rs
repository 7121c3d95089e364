//! The task behind a process: watches it, climbs the ladder when asked to, and tells how it ended.

use std::time::Duration;

use rustix::process::{Pid, test_kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time;

use crate::cgroup::Cgroup;
use crate::ladder::{Act, KILL_BOUND, Ladder};
use crate::leader::Leader;
use crate::{Cause, Exit, Limits, Tail, ledger, proc};

/// What a shim gets on top of its grace, to kill and to reap; it gives up after one second itself.
const SHIM_SLACK: Duration = Duration::from_millis(1500);

/// How long the pipe of stderr may stay open after the exit, by the hand of someone who left the
/// tree, before the exit is told without waiting for the rest.
const DRAIN_BOUND: Duration = Duration::from_millis(50);

/// How often a group is looked at whose members were killed after their leader.
const GONE_PERIOD: Duration = Duration::from_millis(2);

/// How far a process has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    pub(crate) exit: Option<Exit>,
    /// Why it was ended, if it was.
    pub(crate) cause: Option<Cause>,
    /// Nothing is left of the tree, or the bound on killing it has passed.
    pub(crate) is_over: bool,
}

pub(crate) struct Keeper {
    pub(crate) leader: Leader,
    pub(crate) stdin_grace: Duration,
    pub(crate) term_grace: Duration,
    /// True, or closed because the last handle is gone: end the tree.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) limits: Limits,
    pub(crate) cgroup: Option<Cgroup>,
    /// That it is running, on disk.
    pub(crate) record: Option<ledger::Entry>,
    /// Tells of a limit that was passed.
    pub(crate) watched: Option<oneshot::Receiver<Cause>>,
    /// The task that fills the tail.
    pub(crate) stderr: JoinHandle<()>,
}

impl Keeper {
    pub(crate) async fn run(mut self) {
        let cause = tokio::select! {
            () = self.leader.exited() => None,
            _ = self.stop.wait_for(|stop| *stop) => Some(Cause::Stop),
            cause = passed(&mut self.watched) => Some(cause),
        };
        match cause {
            None => {}
            Some(Cause::Stop) => self.climb_down().await,
            Some(_) => self.cut_down().await,
        }
        // Before reaping, while the pid and the group cannot be anyone else's.
        self.watched = None;
        let cause = cause.or_else(|| self.out_of_memory());
        let pid = self.leader.pid();
        self.leader.kill_group();
        if let Some(cgroup) = self.cgroup.as_ref() {
            cgroup.kill();
        }
        let _ = time::timeout(DRAIN_BOUND, &mut self.stderr).await;
        self.stderr.abort();
        let exit = self.leader.reap().unwrap_or(Exit::Unknown);
        self.status.send_replace(Status { exit: Some(exit), cause, is_over: false });
        let _ = time::timeout(KILL_BOUND, gone(pid, self.cgroup.as_ref())).await;
        drop(self.cgroup.take());
        if let Some(record) = self.record.take() {
            let _ = tokio::task::spawn_blocking(move || drop(record)).await;
        }
        self.status.send_replace(Status { exit: Some(exit), cause, is_over: true });
    }

    /// Whoever is over a limit is not asked: it would go on until it has ended.
    async fn cut_down(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.leader.freeze_and_kill(KILL_BOUND).await;
        if !self.exited_within(KILL_BOUND).await {
            self.leader.kill_group();
            self.exited_within(KILL_BOUND).await;
        }
    }

    /// The kernel has ended the tree, for a limit that it enforces.
    fn out_of_memory(&self) -> Option<Cause> {
        let limit = self.limits.memory_bytes?;
        self.cgroup.as_ref().filter(|cgroup| cgroup.ran_out_of_memory())?;
        Some(Cause::Memory { used: limit, limit })
    }

    /// Up to the rung on which the leader ends; stdin was closed by whoever asked.
    async fn climb_down(&self) {
        let slack = if self.leader.is_shim() { SHIM_SLACK } else { Duration::ZERO };
        for rung in Ladder::new(self.stdin_grace, self.term_grace.saturating_add(slack)) {
            match rung.act {
                Act::CloseStdin => {}
                Act::Terminate => self.leader.terminate(),
                Act::Kill => self.leader.kill(KILL_BOUND).await,
            }
            if self.exited_within(rung.patience).await {
                return;
            }
        }
    }

    async fn exited_within(&self, bound: Duration) -> bool {
        time::timeout(bound, self.leader.exited()).await.is_ok()
    }
}

/// Returns when a limit was passed, which may be never.
async fn passed(watched: &mut Option<oneshot::Receiver<Cause>>) -> Cause {
    if let Some(watched) = watched
        && let Ok(cause) = watched.await
    {
        return cause;
    }
    std::future::pending().await
}

/// Returns when nobody is left in the group but zombies, which are their new parent's to reap, and
/// nobody at all in the cgroup.
async fn gone(group: Pid, cgroup: Option<&Cgroup>) {
    while test_kill_process_group(group).is_ok() && proc::group_is_alive(group)
        || cgroup.is_some_and(Cgroup::is_populated)
    {
        time::sleep(GONE_PERIOD).await;
    }
}

/// Reads all of `stderr` into `tail`, so that the process is never blocked by what it says.
pub(crate) async fn fill(tail: Tail, mut stderr: ChildStderr) {
    let tail = EndedWhenDropped(tail);
    let mut chunk = vec![0; 8 * 1024];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        tail.0.push(&chunk[..read]);
    }
}

/// Whoever follows a tail is told when nobody fills it any more, also when that was called off.
struct EndedWhenDropped(Tail);

impl Drop for EndedWhenDropped {
    fn drop(&mut self) {
        self.0.end();
    }
}
