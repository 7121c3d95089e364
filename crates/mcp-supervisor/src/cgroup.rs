//! Control groups, version 2: the kernel's own limits for a tree, where a piece of it is ours.
//!
//! Source: Documentation/admin-guide/cgroup-v2.rst of the kernel. Files are written and read by name
//! only, so that a directory of plain files does for a test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use rustix::process::{Pid, getpid, test_kill_process};

use crate::Limits;
use crate::means::Controllers;

/// Where the supervisor itself moves, because a group with controllers for its children may have no
/// processes of its own.
const OWN: &str = "supervisor";

/// What the groups of trees are called: this, the pid of the supervisor, a number.
const PREFIX: &str = "tree";

/// Threads that each process may have before the kernel refuses more. Only a fork bomb has so many,
/// between two readings of its tree.
const THREADS_PER_PROCESS: u64 = 64;

/// A control group whose children this process may make, limit and kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    root: PathBuf,
    controllers: Controllers,
}

/// Why there is no [`Cgroups`] to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoCgroups {
    /// This system has none, or an older version only.
    #[error("no cgroup v2 is mounted")]
    NotMounted,
    /// The group of this process holds others as well, and is theirs as much as ours.
    #[error("{dir:?} is shared with other processes")]
    Shared {
        /// The group.
        dir: PathBuf,
    },
    /// Nobody has delegated the group to this user.
    #[error("{dir:?} is not delegated")]
    NotDelegated {
        /// The group.
        dir: PathBuf,
        /// What could not be done in it.
        source: io::Error,
    },
    /// The group is ours, but without anything that limits.
    #[error("{dir:?} has neither memory, pids, cpu nor io")]
    NoControllers {
        /// The group.
        dir: PathBuf,
    },
}

impl Cgroups {
    /// Looks for a group that was delegated to this process alone, as systemd does for a unit with
    /// `Delegate=yes`, and a container runtime for a container that may write its cgroups.
    ///
    /// Moves this process to a child of that group, named `supervisor`. Blocks for the file system.
    pub fn find() -> Result<Self, NoCgroups> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::at(own_group(&mounts, &groups).ok_or(NoCgroups::NotMounted)?)
    }

    fn at(dir: PathBuf) -> Result<Self, NoCgroups> {
        let root = match dir.parent() {
            // Asked before, or put here by systemd's `DelegateSubgroup=supervisor`.
            Some(parent) if dir.ends_with(OWN) => parent.to_owned(),
            _ => {
                let refused = |source| NoCgroups::NotDelegated { dir: dir.clone(), source };
                let members = fs::read_to_string(dir.join("cgroup.procs")).map_err(refused)?;
                let me = getpid().as_raw_pid().to_string();
                if members.lines().any(|member| member != me) {
                    return Err(NoCgroups::Shared { dir });
                }
                let own = dir.join(OWN);
                created(&own).map_err(refused)?;
                fs::write(own.join("cgroup.procs"), me).map_err(refused)?;
                dir
            }
        };
        let refused = |source| NoCgroups::NotDelegated { dir: root.clone(), source };
        let found = Self::open(&root).map_err(refused)?;
        if found.controllers == Controllers::default() {
            return Err(NoCgroups::NoControllers { dir: root });
        }
        Ok(found)
    }

    /// The group at `root`, which holds no process and may be written to. What it cannot limit is
    /// enforced by other means; without any controller it still kills a tree at one blow.
    ///
    /// Removes what supervisors that are gone have left in it. Blocks for the file system.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        for controller in ["memory", "pids", "cpu", "io"] {
            // One that is not there, or not ours to give, is refused alone.
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        let enabled = fs::read_to_string(root.join("cgroup.subtree_control"))?;
        let has =
            |name| enabled.split_whitespace().any(|word| word.trim_start_matches('+') == name);
        let controllers = Controllers {
            memory: has("memory"),
            pids: has("pids"),
            cpu: has("cpu"),
            io: has("io"),
        };
        for child in fs::read_dir(&root)?.flatten() {
            if child.file_name().to_str().and_then(owner).is_some_and(is_gone) {
                // The kernel refuses to remove one that has a process in it.
                let _ = fs::remove_dir(child.path());
            }
        }
        Ok(Self { root, controllers })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn controllers(&self) -> Controllers {
        self.controllers
    }

    /// A group for one tree, with what it can of `limits` written to it.
    pub(crate) fn create(&self, limits: &Limits) -> io::Result<Cgroup> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = self.root.join(format!("{PREFIX}-{}-{count}", getpid().as_raw_pid()));
        fs::create_dir(&dir)?;
        let group = Cgroup { dir };
        for (file, value) in settings(limits, self.controllers) {
            fs::write(group.dir.join(file), value)?;
        }
        Ok(group)
    }
}

/// The files of a group and what is written to them.
fn settings(limits: &Limits, has: Controllers) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if let Some(bytes) = limits.memory_bytes.filter(|_| has.memory) {
        settings.push(("memory.max", bytes.to_string()));
        // All of a tree or nothing: half of one is of no use to anybody.
        settings.push(("memory.oom.group", "1".to_owned()));
    }
    if let Some(processes) = limits.processes.filter(|_| has.pids) {
        settings.push((
            "pids.max",
            processes.saturating_add(1).saturating_mul(THREADS_PER_PROCESS).to_string(),
        ));
    }
    if let Some(millis) = limits.cpu_millis.filter(|_| has.cpu) {
        // Of each period of 100 ms.
        settings.push(("cpu.max", format!("{} 100000", millis.saturating_mul(100))));
    }
    if let Some(weight) = limits.io_weight.filter(|_| has.io) {
        settings.push(("io.weight", format!("default {weight}")));
    }
    settings
}

/// The group of one tree. Dropping it removes it, if nobody is left in it.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Kills everyone in it at once, with nobody left to fork. Kernels before 5.14 cannot.
    pub(crate) fn kill(&self) {
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
    }

    /// Whether anyone is alive in it.
    pub(crate) fn is_populated(&self) -> bool {
        self.has_event("cgroup.events", "populated")
    }

    /// Whether the kernel has killed in it because its memory was used up.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.has_event("memory.events", "oom_kill")
    }

    /// Whether the count of `event` in `file` is more than 0.
    fn has_event(&self, file: &str, event: &str) -> bool {
        let events = fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let mut counts = events.lines().filter_map(|line| line.split_once(' '));
        counts.any(|(name, count)| name == event && count != "0")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

fn created(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

fn owner(name: &str) -> Option<Pid> {
    let (pid, _) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    Pid::from_raw(pid.parse().ok()?)
}

fn is_gone(pid: Pid) -> bool {
    test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}

/// The directory of the group that the process is in, from its mounts (proc_pid_mountinfo(5)) and its
/// groups (cgroups(7)).
fn own_group(mounts: &str, groups: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|mount| {
        let (mounted, kind) = mount.split_once(" - ")?;
        let mut fields = mounted.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(group).strip_prefix(root).ok()?;
        kind.starts_with("cgroup2 ").then(|| Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a group with everything in it.
    fn double() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("cgroup.procs"), format!("{}\n", std::process::id()))
            .expect("it is written");
        dir
    }

    fn all() -> Controllers {
        Controllers { memory: true, pids: true, cpu: true, io: true }
    }

    #[test]
    fn where_this_process_is() {
        let mounts = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw\n\
            30 23 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let own = own_group(mounts, "3:pids:/x\n0::/user.slice/a.service\n");
        assert_eq!(own, Some("/sys/fs/cgroup/unified/user.slice/a.service".into()));
        let inside = "30 23 0:27 /docker/7 /sys/fs/cgroup rw - cgroup2 cgroup rw";
        assert_eq!(own_group(inside, "0::/docker/7/x\n"), Some("/sys/fs/cgroup/x".into()));
        assert_eq!(own_group(inside, "0::/elsewhere\n"), None);
        assert_eq!(own_group(mounts, "3:pids:/x\n"), None);
        assert_eq!(own_group("29 23 0:26 / /x rw - tmpfs tmpfs rw", "0::/\n"), None);
    }

    #[test]
    fn a_group_that_is_shared_or_absent_is_let_alone() {
        let dir = double();
        fs::write(dir.path().join("cgroup.procs"), "1\n2\n").unwrap();
        let refused = Cgroups::at(dir.path().to_owned());
        assert!(matches!(refused, Err(NoCgroups::Shared { .. })), "{refused:?}");
        assert!(!dir.path().join(OWN).exists());
        let refused = Cgroups::at(dir.path().join("missing"));
        assert!(matches!(refused, Err(NoCgroups::NotDelegated { .. })), "{refused:?}");
    }

    #[test]
    fn the_supervisor_makes_room() {
        let dir = double();
        // A file keeps what was written to it last; the kernel would keep all four.
        let found = Cgroups::at(dir.path().to_owned()).unwrap();
        assert_eq!(found.controllers, Controllers { io: true, ..Controllers::default() });
        let moved = fs::read_to_string(dir.path().join(OWN).join("cgroup.procs")).unwrap();
        assert_eq!(moved, std::process::id().to_string());
        assert_eq!(Cgroups::at(dir.path().join(OWN)).unwrap(), found);
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let dir = double();
        let groups = Cgroups { root: dir.path().to_owned(), controllers: all() };
        let mut limits = Limits::default();
        assert_eq!(settings(&limits, all()), []);
        limits.memory_bytes = Some(1 << 30);
        limits.processes = Some(9);
        limits.cpu_millis = Some(1500);
        limits.io_weight = Some(50);
        assert_eq!(settings(&limits, Controllers::default()), []);
        let group = groups.create(&limits).unwrap();
        let read = |file: &str| fs::read_to_string(group.dir().join(file)).unwrap();
        assert_eq!(read("memory.max"), "1073741824");
        assert_eq!(read("memory.oom.group"), "1");
        assert_eq!(read("pids.max"), "640");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("io.weight"), "default 50");
        group.kill();
        assert_eq!(read("cgroup.kill"), "1");
        let events = |text| fs::write(group.dir().join("memory.events"), text).unwrap();
        assert!(!group.ran_out_of_memory());
        events("low 0\noom 1\noom_kill 0\n");
        assert!(!group.ran_out_of_memory());
        events("oom 1\noom_kill 3\noom_group_kill 1\n");
        assert!(group.ran_out_of_memory());
    }

    #[test]
    fn groups_of_the_dead_are_removed() {
        let dir = double();
        let named = |pid: u32| dir.path().join(format!("{PREFIX}-{pid}-0"));
        let (mine, no_ones) = (named(std::process::id()), named((1 << 22) + 1));
        fs::create_dir(&mine).unwrap();
        fs::create_dir(&no_ones).unwrap();
        Cgroups::open(dir.path()).unwrap();
        assert!(mine.exists() && !no_ones.exists());
    }
}
