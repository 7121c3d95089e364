//! Figures of a process and of the machine. `None`, each of them, on systems without `/proc`.

use std::fs;

use rustix::process::Pid;

/// How many descriptors the process has open, and how many of them are sockets. `None` for one that
/// is gone, or another user's.
pub(crate) fn descriptors(pid: Pid) -> Option<(u64, u64)> {
    let open = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())).ok()?;
    Some(open.flatten().fold((0, 0), |(files, sockets), entry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let is_socket = target.as_os_str().as_encoded_bytes().starts_with(b"socket:");
        (files + 1, sockets + u64::from(is_socket))
    }))
}

/// Clock ticks since the machine was started, which is what processes' starts are counted in.
pub(crate) fn uptime_ticks() -> Option<u64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, rest) = text.split_once('.')?;
    let hundredths: u64 = rest.split_whitespace().next()?.parse().ok()?;
    let hertz = rustix::param::clock_ticks_per_second();
    Some(seconds.parse::<u64>().ok()?.checked_mul(hertz)? + hundredths * hertz / 100)
}

/// How many threads the machine runs, and how many bytes of memory are available.
pub(crate) fn machine() -> Option<(u64, u64)> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let (_, threads) = load.split(' ').nth(3)?.split_once('/')?;
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = available.split_whitespace().next()?.parse().ok()?;
    Some((threads.parse().ok()?, kib.saturating_mul(1024)))
}

/// A name for this start of the machine, within which a pid and its start are an identity.
pub(crate) fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::entry;

    #[test]
    fn the_machine_has_threads_and_memory() {
        let (threads, available) = machine().unwrap();
        assert!(threads > 1 && available > 1 << 20, "{threads} {available}");
    }

    #[test]
    fn a_process_was_started_before_now() {
        let me = entry(rustix::process::getpid()).unwrap();
        let now = uptime_ticks().unwrap();
        assert!(me.started <= now, "{me:?} at {now}");
        assert!(me.pages > 0 && me.threads > 0 && me.alive);
    }
}
