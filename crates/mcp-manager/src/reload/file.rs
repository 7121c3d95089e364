//! A configuration file, and whether it is still what was last seen of it.

use std::path::{Path, PathBuf};

#[cfg(feature = "watch")]
use super::look::Look;

/// The path of a configuration file, and what was there when it was last looked at.
///
/// Made before the file is read for the first time, so that no change in between is missed.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    #[cfg(feature = "watch")]
    seen: Look,
}

impl ConfigFile {
    /// The file at `path`, as it is now.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            #[cfg(feature = "watch")]
            seen: Look::at(&path),
            path,
        }
    }

    /// Where it is, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be read only once, as what a shell puts in the place of `<(...)`.
    #[cfg(feature = "watch")]
    pub(super) fn is_pipe(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file())
    }

    /// What was last seen of it.
    #[cfg(feature = "watch")]
    pub(super) fn seen(&self) -> Look {
        self.seen
    }
}
