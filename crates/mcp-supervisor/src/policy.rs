//! How a process is supervised: what restarts it, how soon, and when that is given up.

use std::time::Duration;

/// The longest duration that means anything here. With it, no sum of an instant and one of them
/// overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The most restarts that are remembered.
const RESTARTS_MAX: u32 = 1000;

/// What is done about a process that ends, or does not become ready.
///
/// Plain data: any value can be written here, and [`Lifecycle::new`](crate::Lifecycle::new) is the
/// one place that refuses a meaningless one.
///
/// ```
/// let mut policy = mcp_supervisor::Policy::default();
/// policy.restart = mcp_supervisor::Restart::Transient;
/// policy.start_timeout = std::time::Duration::from_secs(10);
/// assert_eq!(policy.check(), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// After which ends it is started again. Default: after every end.
    pub restart: Restart,

    /// The pause before a restart of something that did not run for `stable_after`.
    pub backoff: Backoff,

    /// Having run this long since it was ready, it was stable: its restart waits for nothing, and
    /// the next pause is the first again. Default: 60 s.
    ///
    /// Much shorter than the time in which a crash loop comes round, and the loop never slows down.
    pub stable_after: Duration,

    /// How many restarts there may be in `restart_period`; the next one is not made, and it has
    /// failed until it is told to start. `None`: never. Default: 8.
    ///
    /// The *intensity* of Erlang/OTP. With the default pauses, something that dies at once has
    /// failed after three minutes.
    pub restarts_max: Option<u32>,

    /// The time in which `restarts_max` counts. Default: 15 min.
    ///
    /// Nine runs, each just short of `stable_after`, and the pauses between them fit in: a crash
    /// loop that never gets stable ends, however slow it is.
    pub restart_period: Duration,

    /// How long it may take to become ready, before that is a failed start. Default: 60 s.
    ///
    /// A first start that downloads a package takes tens of seconds.
    pub start_timeout: Duration,

    /// Whether a caller that needs it now cuts the pause after a failed start, to one second since
    /// it began. Default: false.
    ///
    /// For what costs little to try, such as a connection, and then usually without `restarts_max`:
    /// an attempt that was hurried counts like any other.
    pub nudge: bool,
}

/// After which ends a process is started again, in the words of Erlang/OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "these three are what a supervisor knows")]
pub enum Restart {
    /// After every one.
    Permanent,
    /// After those that were not normal, failed starts among them.
    Transient,
    /// Never.
    Temporary,
}

/// Pauses that double from `first` to `max`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first pause. Default: 1 s.
    pub first: Duration,

    /// No pause is longer. Default: 60 s.
    pub max: Duration,

    /// The share of each pause, from 0 to 1, that is left to chance: what failed together does not
    /// come back together. Default: 0.2, so that a pause of 10 s takes 8 to 10 s.
    pub jitter: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            restart: Restart::Permanent,
            backoff: Backoff::default(),
            stable_after: Duration::from_secs(60),
            restarts_max: Some(8),
            restart_period: Duration::from_secs(15 * 60),
            start_timeout: Duration::from_secs(60),
            nudge: false,
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_secs(60), jitter: 0.2 }
    }
}

/// A [`Policy`] that means nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A duration is zero that must not be: with no pause at all a crash loop takes a processor,
    /// and in no time nothing starts, or counts.
    #[error("{name} must be longer than zero")]
    Zero {
        /// The field.
        name: &'static str,
    },
    /// A duration is longer than a year.
    #[error("{name} must be at most a year")]
    TooLong {
        /// The field.
        name: &'static str,
    },
    /// The longest pause is shorter than the first.
    #[error("backoff.max must be at least backoff.first")]
    MaxBelowFirst,
    /// `backoff.jitter` is not a share.
    #[error("backoff.jitter must be from 0 to 1, not {got}")]
    Jitter {
        /// The value given.
        got: f64,
    },
    /// More restarts than are remembered.
    #[error("restarts_max must be at most {RESTARTS_MAX}, not {got}; leave it out for no limit")]
    RestartsMax {
        /// The value given.
        got: u32,
    },
}

impl Policy {
    /// Refuses what means nothing, by name.
    pub fn check(&self) -> Result<(), PolicyError> {
        let durations = [
            ("backoff.first", self.backoff.first),
            ("backoff.max", self.backoff.max),
            ("stable_after", self.stable_after),
            ("restart_period", self.restart_period),
            ("start_timeout", self.start_timeout),
        ];
        for (name, duration) in durations {
            if duration.is_zero() {
                return Err(PolicyError::Zero { name });
            }
            if duration > LONGEST {
                return Err(PolicyError::TooLong { name });
            }
        }
        if self.backoff.max < self.backoff.first {
            return Err(PolicyError::MaxBelowFirst);
        }
        // Written positively so that NaN is refused as well.
        let jitter = self.backoff.jitter;
        if !(0.0..=1.0).contains(&jitter) {
            return Err(PolicyError::Jitter { got: jitter });
        }
        match self.restarts_max {
            Some(got) if got > RESTARTS_MAX => Err(PolicyError::RestartsMax { got }),
            _ => Ok(()),
        }
    }
}

impl Backoff {
    /// The pause before attempt `attempt`, counted from 1; `random` decides what is left to chance.
    pub(crate) fn pause(&self, attempt: u32, random: u64) -> Duration {
        let doubled = 1u32.checked_shl(attempt.saturating_sub(1));
        let nominal = doubled.and_then(|factor| self.first.checked_mul(factor));
        let nominal = nominal.unwrap_or(self.max).min(self.max);
        // The 53 bits that a float holds exactly, as a share from 0 to below 1.
        let share = (random >> 11) as f64 / (1u64 << 53) as f64;
        nominal.mul_f64(1.0 - self.jitter * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_means_nothing() {
        let ok = Policy::default;
        let backoff = Backoff::default;
        let year_and_more = LONGEST + Duration::from_secs(1);
        assert_eq!(ok().check(), Ok(()));
        let refused = [
            (Policy { stable_after: Duration::ZERO, ..ok() }, "stable_after"),
            (Policy { restart_period: Duration::ZERO, ..ok() }, "restart_period"),
            (Policy { start_timeout: year_and_more, ..ok() }, "start_timeout"),
            (Policy { restarts_max: Some(1001), ..ok() }, "restarts_max"),
            (Policy { backoff: Backoff { first: Duration::ZERO, ..backoff() }, ..ok() }, "first"),
            (Policy { backoff: Backoff { max: year_and_more, ..backoff() }, ..ok() }, "max"),
            (
                Policy { backoff: Backoff { max: Duration::from_millis(1), ..backoff() }, ..ok() },
                "backoff.max must be at least backoff.first",
            ),
            (Policy { backoff: Backoff { jitter: 1.1, ..backoff() }, ..ok() }, "jitter"),
            (Policy { backoff: Backoff { jitter: f64::NAN, ..backoff() }, ..ok() }, "jitter"),
        ];
        for (policy, name) in refused {
            let error = policy.check().expect_err(name).to_string();
            assert!(error.contains(name), "{error}");
        }
        let most = Policy { restarts_max: Some(1000), ..ok() };
        assert_eq!(most.check(), Ok(()));
        assert_eq!(Policy { restarts_max: None, ..ok() }.check(), Ok(()));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let pauses = (1..=9).map(|attempt| backoff.pause(attempt, u64::MAX).as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for attempt in [32, 33, 34, u32::MAX] {
            assert_eq!(backoff.pause(attempt, 0), Duration::from_secs(60));
        }
    }

    #[test]
    fn chance_shortens_a_pause_by_its_share_at_most() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(4, 0), Duration::from_secs(8));
        assert_eq!(backoff.pause(4, u64::MAX).as_millis(), 6400);
        assert_eq!(backoff.pause(4, u64::MAX / 2).as_millis(), 7200);
    }
}
