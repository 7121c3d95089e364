//! A record, on disk, of the processes that are running, for the next life of the supervisor.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, str::FromStr};

use rustix::process::{Pid, getpid};

use crate::proc;

/// What the name of a file begins with that is one of ours.
const PREFIX: &str = "process-";

/// A directory with a file for each process that is running. Cloning it gives another handle.
///
/// What a supervisor that was killed leaves behind is in it, and its successor
/// [ends](Self::end_leftovers) it. A process is recognized by its pid, the time of its start and the
/// boot of the machine, which no other process ever has, and never by a name. Several supervisors
/// may use one directory at a time: none touches what belongs to one that is alive.
///
/// A ledger that cannot be written costs its purpose and nothing else; [`stats`](Self::stats) tells.
#[derive(Clone, Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    boot: String,
    owner: Identity,
    recorded: AtomicU64,
    cleared: AtomicU64,
    failed: AtomicU64,
}

/// What a [`Ledger`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerStats {
    /// Processes that were written down.
    pub recorded: u64,
    /// Those of them that are over.
    pub cleared: u64,
    /// Attempts to do either that failed, on a full disk for example.
    pub failed: u64,
}

/// A process that existed once: no other one of the same boot has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In clock ticks since the boot.
    pub(crate) started: u64,
}

impl Identity {
    /// The process that has this pid now.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        Some(Self { pid: pid.as_raw_pid(), started: proc::entry(pid)?.started })
    }

    /// The pid, if it is still this process that has it.
    pub(crate) fn alive(self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid)?;
        proc::entry(pid).filter(|entry| entry.alive && entry.started == self.started)?;
        Some(pid)
    }
}

/// What the name of a file and its one line say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) process: Identity,
    pub(crate) boot: String,
}

impl Ledger {
    /// The ledger in `dir`, which is created if it is missing, for its owner alone.
    ///
    /// Fails where processes cannot be identified: on systems without `/proc`.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let unidentified = || io::Error::from(io::ErrorKind::Unsupported);
        let boot = proc::boot_id().ok_or_else(unidentified)?;
        let owner = Identity::of(getpid()).ok_or_else(unidentified)?;
        let [recorded, cleared, failed] = std::array::from_fn(|_| AtomicU64::new(0));
        Ok(Self { shared: Arc::new(Shared { dir, boot, owner, recorded, cleared, failed }) })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// What it has done so far.
    pub fn stats(&self) -> LedgerStats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Shared { recorded, cleared, failed, .. } = &*self.shared;
        LedgerStats { recorded: count(recorded), cleared: count(cleared), failed: count(failed) }
    }

    pub(crate) fn boot(&self) -> &str {
        &self.shared.boot
    }

    /// Writes down that `pid`, a child that was not reaped, is running. Blocks for the file system.
    pub(crate) fn record(&self, pid: Pid) -> Option<Entry> {
        let process = Identity::of(pid)?;
        let entry = Entry { path: self.path(process), ledger: self.clone() };
        let boot = &self.shared.boot;
        // Torn, it is no record. It need not outlive the machine, so nobody waits for a disk.
        let line = format!("{} {} {boot}\n", process.pid, process.started);
        match fs::write(&entry.path, line) {
            Ok(()) => self.shared.recorded.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.shared.failed.fetch_add(1, Ordering::Relaxed),
        };
        Some(entry)
    }

    /// The owner is part of the name, so that a file which another supervisor is just writing is
    /// known for what it is.
    fn path(&self, process: Identity) -> PathBuf {
        let Identity { pid, started } = self.shared.owner;
        self.shared.dir.join(format!("{PREFIX}{pid}-{started}-{}", process.pid))
    }

    /// The files of supervisors that are gone, each with what it says, if it can be read.
    pub(crate) fn abandoned(&self) -> io::Result<Vec<(PathBuf, Option<Record>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.shared.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(owner) = name.and_then(owner) else { continue };
            if owner.alive().is_none() {
                let record = fs::read_to_string(&path).ok().and_then(|line| line.parse().ok());
                found.push((path, record));
            }
        }
        Ok(found)
    }
}

/// One ledger is another if they are the same directory.
impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.shared.dir == other.shared.dir
    }
}

impl Eq for Ledger {}

fn owner(name: &str) -> Option<Identity> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
    Some(Identity { pid: parts.next()?.parse().ok()?, started: parts.next()?.parse().ok()? })
}

impl FromStr for Record {
    type Err = ();

    /// ```text
    ///   <pid> <start> <boot>\n
    /// ```
    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<_> = text.strip_suffix('\n').ok_or(())?.split(' ').collect();
        let [pid, started, boot] = words[..] else { return Err(()) };
        let process = Identity {
            pid: pid.parse().map_err(|_| ())?,
            started: started.parse().map_err(|_| ())?,
        };
        Ok(Self { process, boot: boot.to_owned() })
    }
}

/// A process that is written down. Dropping it clears the record.
#[derive(Debug)]
pub(crate) struct Entry {
    path: PathBuf,
    ledger: Ledger,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let shared = &self.ledger.shared;
        match fs::remove_file(&self.path) {
            Ok(()) => shared.cleared.fetch_add(1, Ordering::Relaxed),
            Err(_) => shared.failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}
