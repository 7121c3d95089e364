//! Read from `/proc`.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::Pid;

use super::Entry;

/// The process, if it exists.
pub(crate) fn entry(pid: Pid) -> Option<Entry> {
    let text = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    Entry::parse(pid, &text)
}

pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    if !kernel_lists_children() {
        return children_among_all(pid);
    }
    // A child belongs to the thread that started it.
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())).into_iter().flatten();
    let lists =
        threads.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(parse).collect::<Vec<_>>()).collect()
}

fn children_among_all(pid: Pid) -> Vec<Pid> {
    let parent = pid.as_raw_pid();
    everyone().filter(|entry| entry.parent == parent).map(|entry| entry.pid).collect()
}

/// `CONFIG_PROC_CHILDREN` is usual, but optional; without it every process is asked for its parent.
fn kernel_lists_children() -> bool {
    static LISTED: OnceLock<bool> = OnceLock::new();
    *LISTED.get_or_init(|| Path::new("/proc/thread-self/children").exists())
}

pub(crate) fn everyone() -> impl Iterator<Item = Entry> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|found| entry(parse(found.file_name().to_str()?)?))
}

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

fn parse(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::descendants;

    #[test]
    fn both_ways_find_a_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let me = rustix::process::getpid();
        assert!(descendants(me).iter().any(|entry| entry.pid == pid && entry.alive));
        assert!(children_among_all(me).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants(me).iter().any(|entry| entry.pid == pid));
    }

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
