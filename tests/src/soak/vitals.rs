//! What the manager itself costs, over time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::census::resident_mib;
use crate::wait::pause;

const PERIOD: Duration = Duration::from_millis(500);

/// One reading after the other.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    memory: Vec<f64>,
    files: Vec<f64>,
}

impl Vitals {
    /// Memory in MiB, early and late.
    pub(super) fn memory(&self) -> (f64, f64) {
        early_and_late(&self.memory)
    }

    /// Descriptors, early and late.
    pub(super) fn files(&self) -> (f64, f64) {
        early_and_late(&self.files)
    }
}

/// Reads until told to stop.
pub(super) fn watch(pid: u32, stop: &AtomicBool) -> Vitals {
    let mut vitals = Vitals::default();
    while !stop.load(Ordering::Relaxed) {
        vitals.memory.push(resident_mib(pid) as f64);
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        vitals.files.push(files as f64);
        pause(PERIOD);
    }
    vitals
}

/// The medians of the second and of the last quarter: the first one warms up, and single readings
/// fall into the middle of something.
fn early_and_late(readings: &[f64]) -> (f64, f64) {
    let quarter = readings.len() / 4;
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    (median(&readings[quarter..quarter * 2]), median(&readings[readings.len() - quarter..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_and_a_peak_is_not() {
        let flat: Vec<f64> = (0..40).map(|at| if at == 35 { 90.0 } else { 7.0 }).collect();
        assert_eq!(early_and_late(&flat), (7.0, 7.0));
        let growing: Vec<f64> = (0..40).map(f64::from).collect();
        let (early, late) = early_and_late(&growing);
        assert!(late - early >= 19.0, "{early} {late}");
        assert_eq!(early_and_late(&[]), (0.0, 0.0));
    }
}
