//! Systems without `/proc`: nothing is known of a process but that it can be signalled.
//!
//! Every answer is the honest "unknown", with which a tree is its process group, a usage cannot be
//! told and a leftover is never recognized, and so never ended.

use rustix::process::Pid;

use super::Entry;

pub(crate) fn entry(_pid: Pid) -> Option<Entry> {
    None
}

pub(crate) fn children(_pid: Pid) -> Vec<Pid> {
    Vec::new()
}

pub(crate) fn everyone() -> impl Iterator<Item = Entry> {
    std::iter::empty()
}

pub(crate) fn descriptors(_pid: Pid) -> Option<(u64, u64)> {
    None
}

pub(crate) fn uptime_ticks() -> Option<u64> {
    None
}

pub(crate) fn machine() -> Option<(u64, u64)> {
    None
}

pub(crate) fn boot_id() -> Option<String> {
    None
}
