//! What the kernel tells of processes, and who descends from whom.
//!
//! A reading is a moment's: processes come and go while it is taken. Callers read again until
//! nothing is left, which ends, because a descendant is below the reaper of its tree at any moment.
//!
//! Where there is no `/proc`, nobody is found: a tree is its process group then, a usage is unknown,
//! and a leftover is never recognized, and so never ended.

#[cfg(feature = "tokio")]
mod figures;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::Pid;

#[cfg(feature = "tokio")]
pub(crate) use figures::{boot_id, descriptors, machine, uptime_ticks};

/// One process, as it was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pid: Pid,
    pub(crate) parent: i32,
    /// The process group.
    pub(crate) group: i32,
    /// It still runs: it is not waiting to be reaped.
    pub(crate) alive: bool,
    /// The processor time of the process and of the children that it has reaped, in clock ticks.
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u64,
    /// When it was started, in clock ticks since the machine was.
    pub(crate) started: u64,
    /// The resident memory, in pages.
    pub(crate) pages: u64,
}

impl Entry {
    /// `<pid> (<name>) <state> <parent> <group> ...`, proc_pid_stat(5), where the name may hold
    /// anything, `)` too.
    fn parse(pid: Pid, text: &[u8]) -> Option<Self> {
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let fields: Vec<_> =
            str::from_utf8(&text[name_end + 1..]).ok()?.split_whitespace().collect();
        // The manual counts from 1, and the name is field 2.
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        let count = |field| Some(u64::try_from(number(field)?).unwrap_or(0));
        let alive = !matches!(*fields.first()?, "Z" | "X");
        Some(Self {
            pid,
            parent: i32::try_from(number(4)?).ok()?,
            group: i32::try_from(number(5)?).ok()?,
            alive,
            cpu_ticks: (14..=17)
                .try_fold(0u64, |sum, field| Some(sum.saturating_add(count(field)?)))?,
            threads: count(20)?,
            started: count(22)?,
            pages: count(24)?,
        })
    }
}

/// All descendants of `root`, parents first, so that none is left to replace a child that was
/// killed before it.
pub(crate) fn descendants(root: Pid) -> Vec<Entry> {
    listed(root).into_iter().filter_map(entry).collect()
}

/// The same, and how many were gone again before they could be read. Of those who do nothing but
/// start their successor, that is nearly everyone.
#[cfg(feature = "tokio")]
pub(crate) fn census(root: Pid) -> (Vec<Entry>, u64) {
    let listed = listed(root);
    let entries: Vec<_> = listed.iter().filter_map(|pid| entry(*pid)).collect();
    let vanished = listed.len() - entries.len();
    (entries, vanished as u64)
}

fn listed(root: Pid) -> Vec<Pid> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        // A process that moves while it is read must not make this endless.
        let new: Vec<_> = children(pid).into_iter().filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        next += 1;
    }
    found
}

/// Whether `group` has a member that is not a zombie.
#[cfg(feature = "tokio")]
pub(crate) fn group_is_alive(group: Pid) -> bool {
    let group = group.as_raw_pid();
    everyone().any(|entry| entry.group == group && entry.alive)
}

/// The process, if it exists.
pub(crate) fn entry(pid: Pid) -> Option<Entry> {
    let text = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    Entry::parse(pid, &text)
}

fn children(pid: Pid) -> Vec<Pid> {
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

fn parse(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] =
        b"1 (a) Z 9 (\n)) S 42 7 7 0 -1 4194560 9 9 9 9 1 2 3 4 20 0 5 0 777 9 66 9";

    #[test]
    fn reads_a_line_with_any_name_in_it() {
        let entry = Entry::parse(Pid::INIT, LINE).unwrap();
        assert_eq!((entry.parent, entry.group, entry.alive), (42, 7, true));
        assert_eq!((entry.cpu_ticks, entry.threads, entry.started, entry.pages), (10, 5, 777, 66));
    }

    #[test]
    fn half_a_line_is_none() {
        for end in 0..LINE.len() - 3 {
            assert_eq!(Entry::parse(Pid::INIT, &LINE[..end]), None, "{end}");
        }
    }

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
}
