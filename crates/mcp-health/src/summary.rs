//! Many healths in one line.

use std::time::Duration;

use crate::{Report, State};

/// How many are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// All of them.
    pub total: usize,
    /// Those that are [`State::Healthy`].
    pub healthy: usize,
    /// Those that are [`State::Degraded`].
    pub degraded: usize,
    /// Those that are [`State::Unhealthy`].
    pub unhealthy: usize,
    /// Those that are [`State::Unknown`].
    pub unknown: usize,
    /// How long the last probes took on average; none if nobody was probed.
    pub response_time: Option<Duration>,
}

impl Summary {
    /// Adds up.
    pub fn of<'r>(reports: impl IntoIterator<Item = &'r Report>) -> Self {
        let mut summary = Self::default();
        let (mut latencies, mut sum) = (0_u32, Duration::ZERO);
        for report in reports {
            summary.total += 1;
            let count = match report.state {
                State::Healthy => &mut summary.healthy,
                State::Degraded => &mut summary.degraded,
                State::Unhealthy => &mut summary.unhealthy,
                State::Unknown => &mut summary.unknown,
            };
            *count += 1;
            if let Some(latency) = report.latency {
                latencies = latencies.saturating_add(1);
                sum = sum.saturating_add(latency);
            }
        }
        summary.response_time = (latencies > 0).then(|| sum / latencies);
        summary
    }
}
