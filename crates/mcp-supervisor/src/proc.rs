//! Who descends from whom, read from `/proc`.
//!
//! A reading is a moment's: processes come and go while it is taken. Callers read again until
//! nothing is left, which ends, because a descendant is below the reaper of its tree at any moment.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::Pid;

/// One process, as it was when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) pid: Pid,
    /// The process group.
    pub(crate) group: i32,
    /// It still runs: it is not waiting to be reaped.
    pub(crate) alive: bool,
}

/// All descendants of `root`, parents first, so that none is left to replace a child that was
/// killed before it.
pub(crate) fn descendants(root: Pid) -> Vec<Entry> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        // A process that moves while it is read must not make this endless.
        let new: Vec<_> = children(pid).into_iter().filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        next += 1;
    }
    found.into_iter().filter_map(|pid| Some(Stat::read(pid)?.entry)).collect()
}

/// Whether `group` has a member that is not a zombie.
#[cfg(feature = "tokio")]
pub(crate) fn group_is_alive(group: Pid) -> bool {
    let group = group.as_raw_pid();
    everyone().any(|stat| stat.entry.group == group && stat.entry.alive)
}

fn children(pid: Pid) -> Vec<Pid> {
    if !kernel_lists_children() {
        let parent = pid.as_raw_pid();
        return everyone().filter(|s| s.parent == parent).map(|stat| stat.entry.pid).collect();
    }
    // A child belongs to the thread that started it.
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())).into_iter().flatten();
    let lists =
        threads.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(parse).collect::<Vec<_>>()).collect()
}

/// `CONFIG_PROC_CHILDREN` is usual, but optional; without it every process is asked for its parent.
fn kernel_lists_children() -> bool {
    static LISTED: OnceLock<bool> = OnceLock::new();
    *LISTED.get_or_init(|| Path::new("/proc/thread-self/children").exists())
}

fn everyone() -> impl Iterator<Item = Stat> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| Stat::read(parse(entry.file_name().to_str()?)?))
}

fn parse(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

struct Stat {
    entry: Entry,
    parent: i32,
}

impl Stat {
    fn read(pid: Pid) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        Self::parse(pid, &text)
    }

    /// `<pid> (<name>) <state> <parent> <group> ...`, where the name may hold anything, `)` too.
    fn parse(pid: Pid, text: &[u8]) -> Option<Self> {
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let mut fields = str::from_utf8(&text[name_end + 1..]).ok()?.split_whitespace();
        let alive = !matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Self { entry: Entry { pid, group, alive }, parent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_with_any_name_in_it() {
        let stat = Stat::parse(Pid::INIT, b"1 (a) Z 9 (\n)) S 42 7 7 0 -1").unwrap();
        assert_eq!((stat.parent, stat.entry.group, stat.entry.alive), (42, 7, true));
        assert!(Stat::parse(Pid::INIT, b"1 (a").is_none());
    }

    #[test]
    fn both_ways_find_a_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let me = rustix::process::getpid();
        assert!(descendants(me).iter().any(|entry| entry.pid == pid && entry.alive));
        assert!(everyone().any(|stat| stat.parent == me.as_raw_pid() && stat.entry.pid == pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants(me).iter().any(|entry| entry.pid == pid));
    }
}
