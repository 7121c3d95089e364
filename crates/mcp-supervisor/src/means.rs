//! What on this machine sees to it that a tree keeps its limits.

use std::borrow::Cow;
use std::fmt;

use crate::Limits;

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
}
