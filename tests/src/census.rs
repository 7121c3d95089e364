//! Which processes there are, as `/proc` tells it: what a stop must not leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that a [`Marker`] is put into.
pub const VARIABLE: &str = "SYSTEM_TEST_MARKER";

/// A text that no other process has, to find all descendants of one by: whatever they do to their
/// group, session or parent, they inherit the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    /// A new one. `what` makes it readable in a process list.
    pub fn new(what: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{what}-{}-{count}-marked", std::process::id()))
    }

    /// Its text, the value of [`VARIABLE`].
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The processes that have it in their environment or arguments, zombies left out.
    pub fn processes(&self) -> BTreeSet<u32> {
        let has = |pid: u32, file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(self.0.len()).any(|part| part == self.0.as_bytes())
        };
        let own = std::process::id();
        let marked = |pid: &u32| {
            *pid != own && (has(*pid, "environ") || has(*pid, "cmdline")) && is_alive(*pid)
        };
        all().filter(marked).collect()
    }
}

/// Whether a process is there and has not ended.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The processes below `pid`: its children, theirs, and so on. Zombies count: nobody took them away.
pub fn descendants(pid: u32) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = all().filter_map(|one| Some((one, stat(one)?.1))).collect();
    let mut below = BTreeSet::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(one, _)| *one);
        next.extend(children.filter(|one| below.insert(*one)));
    }
    below
}

/// The most memory that a process ever had, in MiB.
pub fn peak_mib(pid: u32) -> u64 {
    kib_of(pid, "VmHWM:") >> 10
}

/// The memory that a process has now, in MiB.
pub fn resident_mib(pid: u32) -> u64 {
    kib_of(pid, "VmRSS:") >> 10
}

fn kib_of(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0)
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The state and the parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, parentheses included.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Running;

    #[test]
    fn finds_what_is_marked_and_what_is_below() {
        let marker = Marker::new("census");
        let mut command = std::process::Command::new("sleep");
        command.arg("60").env(VARIABLE, marker.text());
        let running = Running::start(command);
        let pid = running.pid();
        crate::wait::see(crate::wait::PATIENCE, || marker.processes(), |all| all.contains(&pid));
        assert!(descendants(std::process::id()).contains(&pid));
        running.stop();
        assert!(!is_alive(pid) && marker.processes().is_empty());
    }
}
