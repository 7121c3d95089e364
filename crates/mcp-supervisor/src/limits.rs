//! What a process tree may use, and what on this machine sees to it.

use std::borrow::Cow;
use std::fmt;

/// What a process tree may use. `None`: as much as there is.
///
/// Each limit is enforced by the best means that there is, see [`Means`]: a
/// [cgroup](crate::Cgroups), a resource limit of the kernel, or a reading of the tree about once a
/// second (or as soon as the machine has much less memory, or many more threads than before). What a
/// watched tree is ended for is its [`Cause`](crate::Cause).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Memory of the whole tree. Default: none. At least 1 MiB. More ends the tree.
    pub memory_bytes: Option<u64>,

    /// Processes of the whole tree. Default: none. At least 1. More ends the tree. A cgroup is only a
    /// second line, because it counts threads, of which one process may well have a dozen.
    pub processes: Option<u64>,

    /// Open descriptors of each process. Default: none of our own. At least 16, which the start of a
    /// program takes. The kernel refuses to open more; a process that is found to have all of
    /// them open twice in a row is leaking, and its tree is ended.
    pub open_files: Option<u64>,

    /// Size of a file that it writes. Default: none. The kernel refuses to write more.
    pub file_bytes: Option<u64>,

    /// Thousandths of a processor, for the whole tree. Default: none. At least 10. Needs a cgroup, which
    /// slows the tree down.
    pub cpu_millis: Option<u64>,

    /// Its share of the disks where there is competition, 1 to 10,000, where 100 is everybody's.
    /// Default: none. Needs a cgroup.
    pub io_weight: Option<u16>,

    /// Whether a crash may leave a core dump. Default: false, because a core dump is as large as the
    /// program, and it holds the tokens that the program was given. Needs a shim to be refused.
    pub core: bool,
}

/// A limit that nothing could run under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} must be within {min} and {max}")]
#[non_exhaustive]
pub struct LimitsError {
    /// The field of [`Limits`].
    pub limit: &'static str,
    /// The least that it may be.
    pub min: u64,
    /// The most that it may be.
    pub max: u64,
}

/// What enforces a limit. Its `Display` is a plain word for a status or a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Means {
    /// The kernel, for the tree as a whole.
    Cgroup,
    /// The kernel, for each process.
    Rlimit,
    /// The tree is read about once a second, and ended.
    Watched,
    /// Nothing does, and why.
    Nothing(Cow<'static, str>),
}

/// What enforces one limit of a [`Spec`](crate::Spec).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enforced {
    /// The field of [`Limits`].
    pub limit: &'static str,
    /// What enforces it.
    pub by: Means,
}

/// What a machine offers to those who want to limit a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) shim: bool,
    /// The tree can be read.
    pub(crate) proc: bool,
    pub(crate) controllers: Controllers,
}

/// The controllers of a cgroup that its children may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) pids: bool,
    pub(crate) cpu: bool,
    pub(crate) io: bool,
}

impl Limits {
    /// Refuses what nothing could run under, by the name of its field.
    pub fn validate(&self) -> Result<(), LimitsError> {
        let bounds = [
            ("memory_bytes", self.memory_bytes, 1 << 20, u64::MAX),
            ("processes", self.processes, 1, u64::MAX),
            ("open_files", self.open_files, 16, u64::MAX),
            ("cpu_millis", self.cpu_millis, 10, 1_000_000),
            ("io_weight", self.io_weight.map(u64::from), 1, 10_000),
        ];
        for (limit, value, min, max) in bounds {
            if value.is_some_and(|value| value < min || value > max) {
                return Err(LimitsError { limit, min, max });
            }
        }
        Ok(())
    }

    /// What enforces each limit that is set, where there is what `offer` says.
    pub(crate) fn enforced(&self, offer: Offer) -> Vec<Enforced> {
        let Offer { shim, proc, controllers } = offer;
        let cgroup = |has: bool| (shim && has).then_some(Means::Cgroup);
        let watched = || {
            let reason = "this system has no /proc to read the tree from";
            if proc { Means::Watched } else { Means::Nothing(reason.into()) }
        };
        let rlimit = || {
            let reason = "it takes a shim to set it before the program starts";
            if shim { Means::Rlimit } else { Means::Nothing(reason.into()) }
        };
        let no_cgroup = || Means::Nothing("it takes a delegated cgroup v2 and a shim".into());
        let or_watched = |has| cgroup(has).unwrap_or_else(watched);
        let or_not = |has| cgroup(has).unwrap_or_else(no_cgroup);
        let mut rows = Vec::new();
        let mut row = |is_set: bool, limit, by: Means| {
            if is_set {
                rows.push(Enforced { limit, by });
            }
        };
        row(self.memory_bytes.is_some(), "memory_bytes", or_watched(controllers.memory));
        row(self.processes.is_some(), "processes", watched());
        row(self.open_files.is_some(), "open_files", rlimit());
        row(self.file_bytes.is_some(), "file_bytes", rlimit());
        row(self.cpu_millis.is_some(), "cpu_millis", or_not(controllers.cpu));
        row(self.io_weight.is_some(), "io_weight", or_not(controllers.io));
        rows
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup => f.write_str("cgroup"),
            Self::Rlimit => f.write_str("rlimit"),
            Self::Watched => f.write_str("watched"),
            Self::Nothing(why) => write!(f, "not enforced here: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Limits = Limits {
        memory_bytes: Some(1 << 30),
        processes: Some(10),
        open_files: Some(100),
        file_bytes: Some(1),
        cpu_millis: Some(500),
        io_weight: Some(50),
        core: false,
    };

    fn words(offer: Offer) -> Vec<String> {
        ALL.enforced(offer).iter().map(|row| row.by.to_string()).collect()
    }

    #[test]
    fn the_best_means_that_there_is() {
        let controllers = Controllers { memory: true, pids: true, cpu: true, io: true };
        let all = Offer { shim: true, proc: true, controllers };
        assert_eq!(words(all), ["cgroup", "watched", "rlimit", "rlimit", "cgroup", "cgroup"]);
        let memory = Controllers { memory: true, ..Controllers::default() };
        let some = words(Offer { controllers: memory, ..all });
        assert_eq!(some[..4], ["cgroup", "watched", "rlimit", "rlimit"]);
        let plain = words(Offer { controllers: Controllers::default(), ..all });
        assert_eq!(plain[..4], ["watched", "watched", "rlimit", "rlimit"]);
        assert_eq!(plain[4], "not enforced here: it takes a delegated cgroup v2 and a shim");
        // Without a shim nobody enters the cgroup.
        let bare = words(Offer { shim: false, ..all });
        assert_eq!(bare[..2], ["watched", "watched"]);
        assert!(bare[2..].iter().all(|word| word.starts_with("not enforced here: ")), "{bare:?}");
        assert!(words(Offer::default()).iter().all(|word| word.starts_with("not enforced here: ")));
        assert_eq!(Limits::default().enforced(all), []);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(ALL.validate(), Ok(()));
        assert_eq!(Limits::default().validate(), Ok(()));
        let refused = |limits: Limits| limits.validate().unwrap_err().limit;
        assert_eq!(refused(Limits { memory_bytes: Some(1), ..ALL }), "memory_bytes");
        assert_eq!(refused(Limits { processes: Some(0), ..ALL }), "processes");
        assert_eq!(refused(Limits { open_files: Some(15), ..ALL }), "open_files");
        assert_eq!(refused(Limits { cpu_millis: Some(9), ..ALL }), "cpu_millis");
        assert_eq!(refused(Limits { io_weight: Some(10_001), ..ALL }), "io_weight");
    }
}
