//! A call under way.

use std::sync::Arc;
use std::time::Duration;

use crate::bulkhead::{Bulkhead, Sample};

/// A call under way. Dropping it gives its place to the next one.
#[derive(Debug)]
#[must_use = "its place is free again when this is dropped"]
pub struct Permit<'b>(&'b Bulkhead);

/// The same for whoever keeps it longer than it has the bulkhead.
#[derive(Debug)]
#[must_use = "its place is free again when this is dropped"]
pub struct OwnedPermit(Option<Arc<Bulkhead>>);

impl<'b> Permit<'b> {
    pub(crate) fn new(bulkhead: &'b Bulkhead) -> Self {
        Self(bulkhead)
    }

    /// The call is over: what came of it, and how long it took. A limit that adapts learns from that.
    pub fn finish(self, sample: Sample, took: Duration) {
        self.0.ended(sample, took);
        std::mem::forget(self);
    }
}

impl OwnedPermit {
    pub(crate) fn new(bulkhead: Arc<Bulkhead>) -> Self {
        Self(Some(bulkhead))
    }

    /// As [`Permit::finish`].
    pub fn finish(mut self, sample: Sample, took: Duration) {
        if let Some(bulkhead) = self.0.take() {
            bulkhead.ended(sample, took);
        }
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if let Some(bulkhead) = &self.0 {
            bulkhead.give_back();
        }
    }
}
