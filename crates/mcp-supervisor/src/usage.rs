//! What a process tree uses.

use std::time::Duration;

use crate::proc::Entry;

/// What a process tree uses, as it was at one moment. A shim is not counted, except for the processor
/// time of those that it has reaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Resident memory in bytes, summed over the processes: pages that several of them share count
    /// for each.
    pub memory_bytes: u64,
    /// Processor time since the start, that of descendants that have ended included.
    pub cpu: Duration,
    /// Processes that are alive, or were so a moment before.
    pub processes: u64,
    /// The threads of those.
    pub threads: u64,
    /// Processes that have ended and that their parent has not reaped yet.
    pub zombies: u64,
    /// Open descriptors. Those of another user's processes are not seen, here and below.
    pub open_files: u64,
    /// Open descriptors of the process that has most.
    pub open_files_max: u64,
    /// Those of the open descriptors that are sockets.
    pub sockets: u64,
    /// How long the tree has been running.
    pub uptime: Duration,
}

impl Usage {
    /// How many processors it was busy on since `earlier`, a usage of the same tree: 1.0 is one whole
    /// processor. `None` if no time has passed between the two.
    pub fn cpu_share_since(&self, earlier: &Self) -> Option<f64> {
        let passed = self.uptime.checked_sub(earlier.uptime).filter(|passed| !passed.is_zero())?;
        Some(self.cpu.saturating_sub(earlier.cpu).as_secs_f64() / passed.as_secs_f64())
    }
}

/// One reading of a tree: its processes, the shim among them if there is one.
pub(crate) struct Reading<'a> {
    /// The leader of the tree, then its descendants.
    pub(crate) entries: &'a [Entry],
    /// Those who were there, and gone again before more could be read of them.
    pub(crate) vanished: u64,
    /// The first of them is a shim.
    pub(crate) is_shim: bool,
    pub(crate) page_bytes: u64,
    pub(crate) ticks_per_second: u64,
    /// Now, as the starts are counted.
    pub(crate) now: u64,
}

impl Reading<'_> {
    /// The usage, `descriptors` being asked for the descriptors and sockets of each process.
    pub(crate) fn usage(
        &self,
        descriptors: impl Fn(rustix::process::Pid) -> Option<(u64, u64)>,
    ) -> Usage {
        let mut usage = Usage { processes: self.vanished, ..Usage::default() };
        for (index, entry) in self.entries.iter().enumerate() {
            usage.cpu += self.time(entry.cpu_ticks);
            if index == 0 {
                usage.uptime = self.time(self.now.saturating_sub(entry.started));
            }
            if index == 0 && self.is_shim {
                continue;
            }
            if !entry.alive {
                usage.zombies += 1;
                continue;
            }
            usage.processes += 1;
            usage.threads += entry.threads;
            usage.memory_bytes += entry.pages.saturating_mul(self.page_bytes);
            let (files, sockets) = descriptors(entry.pid).unwrap_or_default();
            usage.open_files += files;
            usage.open_files_max = usage.open_files_max.max(files);
            usage.sockets += sockets;
        }
        usage
    }

    fn time(&self, ticks: u64) -> Duration {
        Duration::from_millis(ticks.saturating_mul(1000) / self.ticks_per_second.max(1))
    }
}

/// Reads the tree that `leader` leads. `None` once it is gone, and where there is no `/proc`.
pub(crate) fn read(leader: rustix::process::Pid, is_shim: bool, with_files: bool) -> Option<Usage> {
    use crate::proc;
    let mut entries = vec![proc::entry(leader)?];
    let (descendants, vanished) = proc::census(leader);
    entries.extend(descendants);
    let reading = Reading {
        entries: &entries,
        vanished,
        is_shim,
        page_bytes: rustix::param::page_size() as u64,
        ticks_per_second: rustix::param::clock_ticks_per_second(),
        now: proc::uptime_ticks()?,
    };
    Some(reading.usage(|pid| if with_files { proc::descriptors(pid) } else { None }))
}

#[cfg(test)]
mod tests {
    use rustix::process::Pid;

    use super::*;

    fn entry(pid: i32, alive: bool) -> Entry {
        let pid = Pid::from_raw(pid).unwrap();
        let (cpu_ticks, threads, started, pages) = (50, 2, 1000, 10);
        Entry { pid, parent: 1, group: 1, alive, cpu_ticks, threads, started, pages }
    }

    fn usage(is_shim: bool) -> Usage {
        let entries = [entry(5, true), entry(6, true), entry(7, false), entry(8, true)];
        let (page_bytes, ticks_per_second, now) = (4096, 100, 1300);
        let vanished = 1;
        let reading =
            Reading { entries: &entries, vanished, is_shim, page_bytes, ticks_per_second, now };
        reading.usage(|pid| if pid.as_raw_pid() == 8 { None } else { Some((9, 3)) })
    }

    #[test]
    fn the_sum_of_a_tree() {
        let expected = Usage {
            memory_bytes: 3 * 40_960,
            cpu: Duration::from_secs(2),
            processes: 4,
            threads: 6,
            zombies: 1,
            open_files: 18,
            open_files_max: 9,
            sockets: 6,
            uptime: Duration::from_secs(3),
        };
        assert_eq!(usage(false), expected);
    }

    #[test]
    fn a_shim_is_not_its_program() {
        let usage = usage(true);
        assert_eq!((usage.processes, usage.memory_bytes, usage.open_files), (3, 2 * 40_960, 9));
        assert_eq!((usage.cpu, usage.uptime), (Duration::from_secs(2), Duration::from_secs(3)));
    }

    #[test]
    fn a_share_is_of_one_processor() {
        let earlier = usage(false);
        let mut later = earlier;
        assert_eq!(later.cpu_share_since(&earlier), None);
        later.uptime += Duration::from_secs(2);
        later.cpu += Duration::from_secs(3);
        assert_eq!(later.cpu_share_since(&earlier), Some(1.5));
        assert_eq!(earlier.cpu_share_since(&later), None);
    }
}
