//! How many calls at a time a server takes without getting slower.

use std::time::Duration;

use crate::config::Adaptive;

/// The limit follows from how much longer calls take than when few are under way (Envoy's adaptive
/// concurrency, after the gradient of Netflix's `concurrency-limits`): as long as they take no longer it
/// grows, and when they take twice as long it goes back to where they would not.
#[derive(Debug)]
pub(crate) struct Gradient {
    config: Adaptive,
    limit: f64,
    /// What calls take when few are under way, in seconds.
    alone: f64,
    sum: f64,
    samples: u32,
    /// Samples until few are let in again, to see what calls take then.
    left: u32,
    /// The limit from before that.
    before: Option<f64>,
}

/// So many calls make a mean.
const WINDOW: u32 = 50;
/// So few at a time have all of a server, or nearly.
const FEW: f64 = 4.0;
/// So many of them make the time that a call takes alone.
const PROBE: u32 = 25;
/// What calls take alone is looked at again after so many of them.
const PROBE_EVERY: u32 = 20_000;

impl Gradient {
    pub(crate) fn new(config: Adaptive, limit: usize) -> Self {
        let limit = limit as f64;
        let mut gradient =
            Self { config, limit, alone: 0.0, sum: 0.0, samples: 0, left: 0, before: None };
        gradient.probe();
        gradient
    }

    /// A call took this long, among so many: the limit from now on.
    pub(crate) fn took(&mut self, took: Duration, in_flight: usize) -> usize {
        self.sum += took.as_secs_f64();
        self.samples += 1;
        self.left = self.left.saturating_sub(1);
        match self.before {
            Some(before) if self.samples >= PROBE => {
                self.alone = self.mean();
                self.before = None;
                self.left = PROBE_EVERY;
                self.go(before);
            }
            None if self.left == 0 => self.probe(),
            None if self.samples >= WINDOW => {
                let gradient = (self.config.tolerance * self.alone / self.mean()).clamp(0.5, 2.0);
                // With half of the limit in use nothing is known of more.
                if gradient < 1.0 || (in_flight as f64) * 2.0 >= self.limit {
                    self.go(self.limit * gradient + self.limit.sqrt());
                }
            }
            _ => {}
        }
        self.limit()
    }

    /// A call was refused, or not answered in time.
    pub(crate) fn dropped(&mut self) -> usize {
        self.go(self.limit * 0.9);
        self.limit()
    }

    /// The limit now.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Lets few in, to see what calls take then.
    fn probe(&mut self) {
        self.before = Some(self.limit);
        (self.sum, self.samples) = (0.0, 0);
        self.go(self.limit.min(FEW));
    }

    fn mean(&mut self) -> f64 {
        let mean = self.sum / f64::from(self.samples.max(1));
        (self.sum, self.samples) = (0.0, 0);
        mean.max(1e-9)
    }

    fn go(&mut self, limit: f64) {
        self.limit = limit.clamp(self.config.min as f64, self.config.max as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that does `slots` calls at a time in 10 ms each.
    fn settle(slots: usize, start: usize) -> usize {
        let mut gradient = Gradient::new(Adaptive::default(), start);
        let mut limit = gradient.limit();
        for _ in 0..20_000 {
            let took = Duration::from_millis(10).mul_f64((limit as f64 / slots as f64).max(1.0));
            limit = gradient.took(took, limit);
        }
        limit
    }

    #[test]
    fn it_finds_about_what_a_server_can_do_from_above_and_from_below() {
        for start in [1, 200] {
            let limit = settle(20, start);
            assert!((15..=60).contains(&limit), "from {start}: {limit}");
        }
    }

    #[test]
    fn it_stays_within_its_bounds_whatever_happens() {
        let mut gradient = Gradient::new(Adaptive { min: 3, max: 9, tolerance: 1.5 }, 5);
        for _ in 0..100 {
            assert!((3..=9).contains(&gradient.dropped()));
        }
        for _ in 0..1_000 {
            assert!((3..=9).contains(&gradient.took(Duration::ZERO, 9)));
        }
    }
}
