//! What a process tree may use.

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
