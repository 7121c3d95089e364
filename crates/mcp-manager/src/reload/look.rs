//! What can be told of a file without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

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
