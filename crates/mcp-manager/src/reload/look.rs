//! What can be told of a file without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What can be told of a file without reading it; `None` if there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look(Option<Stat>);

/// Which file it is, and what changes with its contents. A file that replaced another one differs in
/// its number, one that was written to in its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    device: u64,
    number: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    /// Follows links, so that a link that leads elsewhere is seen as well.
    pub(super) fn at(path: &Path) -> Self {
        Self(std::fs::metadata(path).ok().map(|metadata| Stat::from(&metadata)))
    }

    /// Whether the last change was at least so long ago. What is not there, or is of the future, has
    /// no age.
    pub(super) fn is_older_than(self, age: Duration, now: SystemTime) -> bool {
        let changed = self.0.and_then(|stat| {
            let (seconds, nanos) = stat.changed;
            let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        });
        changed.and_then(|changed| now.duration_since(changed).ok()).is_some_and(|is| is >= age)
    }
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            number: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_and_has_an_age() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mcp.json");
        let nothing = Look::at(&path);
        std::fs::write(&path, "{}").expect("a file");
        let first = Look::at(&path);
        assert!(first != nothing && first == Look::at(&path));
        // Another file of the same contents is another one.
        std::fs::write(dir.path().join("other"), "{}").expect("a file");
        std::fs::rename(dir.path().join("other"), &path).expect("a rename");
        assert_ne!(Look::at(&path), first);

        let changed = std::fs::metadata(&path).expect("a file").modified().expect("a time");
        let (look, age) = (Look::at(&path), Duration::from_secs(1));
        assert!(look.is_older_than(age, changed + 2 * age));
        assert!(!look.is_older_than(age, changed + age / 2));
        assert!(!look.is_older_than(age, changed - age) && !nothing.is_older_than(age, changed));
    }
}
