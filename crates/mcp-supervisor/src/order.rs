//! What a supervisor tells its shim, as arguments. Written and read in this one place.

/// How a shim's line on stderr begins when it could not execute the program; the path and the
/// reason follow. The shim then exits with 127 if there is no such file, and with 126 otherwise.
pub const EXEC_FAILED: &str = "shim: cannot execute ";

/// ```text
///   <parent's pid> <grace in ms> <open files, or -> <file bytes, or -> <core: 0 or 1>
///   <cgroup, or empty> <directory, or empty> <program> [<argument>...]
/// ```
#[cfg(any(feature = "tokio", feature = "shim"))]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whose death ends the tree.
    pub(crate) parent: u32,
    /// How long the tree may take after SIGTERM.
    pub(crate) grace: std::time::Duration,
    /// What the kernel limits for each process.
    pub(crate) rlimits: Rlimits,
    /// The directory of the cgroup that the tree goes into.
    pub(crate) cgroup: Option<std::path::PathBuf>,
    /// Where to start.
    pub(crate) cwd: Option<std::path::PathBuf>,
    /// The file to execute.
    pub(crate) program: std::ffi::OsString,
    pub(crate) args: Vec<std::ffi::OsString>,
}

#[cfg(any(feature = "tokio", feature = "shim"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rlimits {
    pub(crate) open_files: Option<u64>,
    pub(crate) file_bytes: Option<u64>,
    pub(crate) core: bool,
}

#[cfg(feature = "tokio")]
impl Order {
    pub(crate) fn write(self) -> impl Iterator<Item = std::ffi::OsString> {
        let grace_ms = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        let limit = |limit: Option<u64>| limit.map_or("-".to_owned(), |limit| limit.to_string());
        let path = |path: Option<std::path::PathBuf>| path.unwrap_or_default().into_os_string();
        let Rlimits { open_files, file_bytes, core } = self.rlimits;
        let head = [
            self.parent.to_string(),
            grace_ms.to_string(),
            limit(open_files),
            limit(file_bytes),
            u8::from(core).to_string(),
        ];
        let paths = [path(self.cgroup), path(self.cwd), self.program];
        head.map(Into::into).into_iter().chain(paths).chain(self.args)
    }
}

#[cfg(feature = "shim")]
impl Order {
    pub(crate) fn read(mut args: impl Iterator<Item = std::ffi::OsString>) -> Option<Self> {
        let mut word = || args.next()?.into_string().ok();
        let parent = word()?.parse().ok()?;
        let grace = std::time::Duration::from_millis(word()?.parse().ok()?);
        let mut limit = || match word()?.as_str() {
            "-" => Some(None),
            limit => limit.parse::<u64>().ok().map(Some),
        };
        let (open_files, file_bytes, core) = (limit()?, limit()?, limit()? == Some(1));
        let rlimits = Rlimits { open_files, file_bytes, core };
        let mut path = || Some(Some(args.next()?).filter(|path| !path.is_empty()).map(Into::into));
        let (cgroup, cwd) = (path()?, path()?);
        Some(Self {
            parent,
            grace,
            rlimits,
            cgroup,
            cwd,
            program: args.next()?,
            args: args.collect(),
        })
    }
}

#[cfg(all(test, feature = "tokio", feature = "shim"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (path, limit) in [(None, None), (Some("/tmp".into()), Some(7))] {
            let order = || Order {
                parent: 7,
                grace: std::time::Duration::from_millis(1500),
                rlimits: Rlimits { open_files: limit, file_bytes: limit, core: limit.is_some() },
                cgroup: path.clone(),
                cwd: path.clone(),
                program: "/bin/echo".into(),
                args: vec!["".into(), "-n".into()],
            };
            assert_eq!(Order::read(order().write()), Some(order()));
        }
        let read = |words: &[&str]| Order::read(words.iter().map(Into::into));
        assert_eq!(read(&["7", "x", "-", "-", "0", "", "", "/bin/echo"]), None);
        assert_eq!(read(&["7", "1", "-", "x", "0", "", "", "/bin/echo"]), None);
        assert_eq!(read(&["7", "1", "-", "-", "0", "", ""]), None);
    }
}
