//! What a supervisor tells its shim, as arguments. Written and read in this one place.

/// How a shim's line on stderr begins when it could not execute the program; the path and the
/// reason follow. The shim then exits with 127 if there is no such file, and with 126 otherwise.
pub const EXEC_FAILED: &str = "shim: cannot execute ";

/// ```text
///   <parent's pid> <grace in ms> <directory, or empty> <program> [<argument>...]
/// ```
#[cfg(any(feature = "tokio", feature = "shim"))]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whose death ends the tree.
    pub(crate) parent: u32,
    /// How long the tree may take after SIGTERM.
    pub(crate) grace: std::time::Duration,
    /// Where to start.
    pub(crate) cwd: Option<std::path::PathBuf>,
    /// The file to execute.
    pub(crate) program: std::ffi::OsString,
    pub(crate) args: Vec<std::ffi::OsString>,
}

#[cfg(feature = "tokio")]
impl Order {
    pub(crate) fn write(self) -> impl Iterator<Item = std::ffi::OsString> {
        let grace_ms = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        let cwd = self.cwd.unwrap_or_default().into_os_string();
        let head = [self.parent.to_string().into(), grace_ms.to_string().into(), cwd, self.program];
        head.into_iter().chain(self.args)
    }
}

#[cfg(feature = "shim")]
impl Order {
    pub(crate) fn read(mut args: impl Iterator<Item = std::ffi::OsString>) -> Option<Self> {
        let mut number = || args.next()?.to_str()?.parse::<u64>().ok();
        let parent = u32::try_from(number()?).ok()?;
        let grace = std::time::Duration::from_millis(number()?);
        let cwd = Some(args.next()?).filter(|cwd| !cwd.is_empty()).map(Into::into);
        Some(Self { parent, grace, cwd, program: args.next()?, args: args.collect() })
    }
}

#[cfg(all(test, feature = "tokio", feature = "shim"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for cwd in [None, Some("/tmp".into())] {
            let order = || Order {
                parent: 7,
                grace: std::time::Duration::from_millis(1500),
                cwd: cwd.clone(),
                program: "/bin/echo".into(),
                args: vec!["".into(), "-n".into()],
            };
            assert_eq!(Order::read(order().write()), Some(order()));
        }
        assert_eq!(Order::read(["7", "x", "", "/bin/echo"].map(Into::into).into_iter()), None);
        assert_eq!(Order::read(["7", "1", ""].map(Into::into).into_iter()), None);
    }
}
