//! Limits of the kernel for each process, set for the shim, from which its program inherits them.
//!
//! A shim writes no files and opens a dozen, so that none of them is in its own way.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::order::Rlimits;

pub(crate) fn set(rlimits: &Rlimits) {
    lower(Resource::Nofile, rlimits.open_files);
    lower(Resource::Fsize, rlimits.file_bytes);
    if !rlimits.core {
        lower(Resource::Core, Some(0));
    }
}

/// Soft and hard, because many runtimes raise the soft one to the hard one as they start. Never
/// raised: what the user was not given is not ours to give.
fn lower(resource: Resource, limit: Option<u64>) {
    let Some(limit) = limit else { return };
    let limit = getrlimit(resource).maximum.map_or(limit, |maximum| maximum.min(limit));
    // Lowering is always allowed.
    let _ = setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) });
}
