//! The direct child: watched without being reaped, so that its pid and its group stay its own.
//!
//! A pid is free for another process once it was reaped, and so is a group's once it is empty.
//! Every signal here is sent before the leader is reaped, and so hits nobody else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::{sync::oneshot, time};

use crate::{Exit, proc};

/// How often a tree that was killed is read again: deaths below the leader make no sound.
const SWEEP_PERIOD: Duration = Duration::from_millis(5);

/// How often a shim that nobody holds any more is told so again, until it has ended.
const REMINDER_PERIOD: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A child that leads a process group. Dropping it unreaped ends what it leads.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: Pid,
    /// None once it was reaped.
    child: Option<Child>,
    /// None on Linux before 5.3, and elsewhere.
    pidfd: Option<OwnedFd>,
    is_shim: bool,
}

impl Leader {
    /// Takes over `child`, which must have been started in a group of its own.
    pub(crate) fn new(child: Child, is_shim: bool) -> Self {
        let pid = Pid::from_child(&child);
        let pidfd = pidfd(pid);
        Self { pid, child: Some(child), pidfd, is_shim }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn is_shim(&self) -> bool {
        self.is_shim
    }

    /// The child, for its pipes.
    pub(crate) fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// Returns when the leader has ended. It is a zombie then, and its pid still its own.
    pub(crate) async fn exited(&self) {
        if let Some(pidfd) = &self.pidfd
            && let Ok(pidfd) = registered(pidfd.as_fd())
            && pidfd.readable().await.is_ok()
        {
            return;
        }
        self.exited_without_pidfd().await;
    }

    /// Old kernels: a thread that sleeps in the kernel until then.
    async fn exited_without_pidfd(&self) {
        let (ended, observed) = oneshot::channel::<()>();
        let pid = self.pid;
        let wait = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            drop(ended);
        };
        match std::thread::Builder::new().name("process-watch".to_owned()).spawn(wait) {
            Ok(_) => drop(observed.await),
            // Out of threads. The ladder has bounds of its own and must not be hurried.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks the tree to end. A shim asks in turn, so that nobody is asked twice: many programs take
    /// a second SIGTERM for impatience and drop what they are finishing.
    pub(crate) fn terminate(&self) {
        let signal = if self.is_shim { kill_process } else { kill_process_group };
        let _ = signal(self.pid, Signal::TERM);
        // One that is stopped would not notice.
        let _ = signal(self.pid, Signal::CONT);
    }

    /// Kills the tree, where a shim has failed to: everything below it first, as long as the shim
    /// holds it together.
    pub(crate) async fn kill(&self, bound: Duration) {
        if self.is_shim {
            let _ = time::timeout(bound, self.sweep()).await;
        }
        self.kill_group();
    }

    /// Kills the tree at once, even one that forks faster than it can be read. Where there is a shim it
    /// lives on, and reaps.
    pub(crate) async fn freeze_and_kill(&self, bound: Duration) {
        if !self.is_shim {
            return self.kill_group();
        }
        // All of the group at one blow, the shim too, so that nobody in it forks any more.
        let _ = kill_process_group(self.pid, Signal::STOP);
        let _ = time::timeout(bound, self.sweep()).await;
        let _ = kill_process(self.pid, Signal::CONT);
    }

    /// Kills what is left of the group.
    pub(crate) fn kill_group(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    async fn sweep(&self) {
        loop {
            let alive = proc::descendants(self.pid).into_iter().filter(|entry| entry.alive);
            let mut swept = true;
            for entry in alive {
                swept = false;
                let _ = kill_process(entry.pid, Signal::KILL);
            }
            if swept {
                return;
            }
            time::sleep(SWEEP_PERIOD).await;
        }
    }

    /// Reaps the leader if it has ended.
    pub(crate) fn reap(&mut self) -> Option<Exit> {
        let exit = match self.child.as_mut()?.try_wait() {
            Ok(status) => Exit::from(status?),
            // Something else in this program waits for children that are not its own.
            Err(_) => Exit::Unknown,
        };
        self.child = None;
        Some(exit)
    }
}

#[cfg(target_os = "linux")]
fn pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn pidfd(_pid: Pid) -> Option<OwnedFd> {
    None
}

#[expect(deprecated, reason = "it is unsound for a T that closes itself; a borrowed fd stays open")]
fn registered(fd: BorrowedFd<'_>) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

impl Drop for Leader {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Nobody is left to climb the ladder: the runtime is gone, or the caller of `spawn`. A
        // shim climbs it by itself.
        if self.is_shim {
            self.terminate();
        } else {
            self.kill_group();
        }
        let (pid, pidfd) = (self.pid, self.pidfd.take().filter(|_| self.is_shim));
        let reap = move || {
            // The first one is lost on a shim that is about to install its handlers. Later ones
            // are nothing new to it, and are not passed on.
            while pidfd.as_ref().is_some_and(|pidfd| !ended_within(pidfd, REMINDER_PERIOD)) {
                let _ = kill_process(pid, Signal::TERM);
            }
            drop(child.wait());
        };
        let _ = std::thread::Builder::new().name("process-reaper".to_owned()).spawn(reap);
    }
}

fn ended_within(pidfd: &OwnedFd, bound: Timespec) -> bool {
    // An error is no reason to try again.
    !matches!(
        poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&bound)),
        Ok(0) | Err(Errno::INTR)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn an_exit_is_observed_on_old_kernels_too() {
        let child =
            Command::new("cat").stdin(std::process::Stdio::piped()).process_group(0).spawn();
        let mut leader = Leader::new(child.unwrap(), false);
        assert!(leader.pidfd.take().is_some(), "this kernel has pidfds");
        let early = time::timeout(Duration::from_millis(20), leader.exited()).await;
        assert!(early.is_err(), "it runs");
        drop(leader.child().unwrap().stdin.take());
        time::timeout(Duration::from_secs(10), leader.exited()).await.unwrap();
        assert_eq!(leader.reap(), Some(Exit::Code(0)));
    }

    #[tokio::test]
    async fn who_keeps_forking_is_frozen_first() {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do sleep 1000 & done"]).process_group(0);
        let leader = Leader::new(command.spawn().unwrap(), true);
        let killed = async {
            while proc::descendants(leader.pid()).is_empty() {
                time::sleep(Duration::from_millis(1)).await;
            }
            leader.freeze_and_kill(Duration::MAX).await;
        };
        time::timeout(Duration::from_secs(10), killed).await.unwrap();
        leader.kill_group();
        leader.exited().await;
    }
}
