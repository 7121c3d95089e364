//! Numbers that many threads write and none waits for.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A floating point number. Two threads that change it at a time may lose one of the changes, which
/// costs one measurement among many.
#[derive(Debug)]
pub(crate) struct Gauge(AtomicU32);

impl Gauge {
    pub(crate) const fn new(value: f32) -> Self {
        Self(AtomicU32::new(value.to_bits()))
    }

    pub(crate) fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Relaxed))
    }

    /// What is next to nothing becomes nothing: processors are slow at denormal numbers.
    pub(crate) fn set(&self, value: f32) {
        let value = if value.abs() < 1e-30 { 0.0 } else { value };
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Moves it towards `value` by this share of the distance.
    pub(crate) fn approach(&self, value: f32, share: f32) {
        let now = self.get();
        self.set(now + (value - now) * share);
    }
}

/// A count that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
