//! Why a breaker is in its state, in words and in one machine word.

use std::fmt;

use crate::Config;

/// Why a breaker is in the state that it is in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing has happened yet.
    New,
    /// So many calls failed in a row.
    FailuresInRow {
        /// As many as these.
        failures: u32,
    },
    /// Too many calls of the window failed.
    FailureShare {
        /// That failed.
        failures: u32,
        /// In the window.
        calls: u32,
        /// The share that would have been too many.
        allowed: f64,
    },
    /// Too many calls of the window were slow.
    SlowShare {
        /// That were slow.
        slow: u32,
        /// In the window.
        calls: u32,
        /// The share that would have been too many.
        allowed: f64,
    },
    /// It has been open for its time: the next calls are probes.
    Cooled,
    /// All probes that may be under way are.
    Probing,
    /// A probe failed.
    ProbeFailed,
    /// A probe succeeded, but it was slow, and slow calls count.
    ProbeSlow,
    /// No probe came back in time.
    ProbesUnanswered,
    /// A probe was told to come back later.
    ProbeThrottled,
    /// As many probes succeeded as it takes.
    ProbesSucceeded {
        /// So many.
        successes: u32,
    },
    /// Somebody wants it so.
    Forced,
    /// Somebody wanted it to begin anew.
    Reset,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| (share * 1000.0).round() / 10.0;
        match *self {
            Self::New => f.write_str("nothing has happened yet"),
            Self::FailuresInRow { failures } => write!(f, "{failures} calls failed in a row"),
            Self::FailureShare { failures, calls, allowed } => {
                write!(f, "{failures} of {calls} calls failed, {} % is the limit", percent(allowed))
            }
            Self::SlowShare { slow, calls, allowed } => {
                write!(f, "{slow} of {calls} calls were slow, {} % is the limit", percent(allowed))
            }
            Self::Cooled => f.write_str("the cooldown is over"),
            Self::Probing => f.write_str("the calls that decide are under way"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::ProbeSlow => f.write_str("a probe was slow"),
            Self::ProbesUnanswered => f.write_str("no probe came back in time"),
            Self::ProbeThrottled => f.write_str("a probe was told to come back later"),
            Self::ProbesSucceeded { successes } => write!(f, "{successes} probes succeeded"),
            Self::Forced => f.write_str("forced by hand"),
            Self::Reset => f.write_str("reset by hand"),
        }
    }
}

/// Larger counts are told as this one, so that two of them and their meaning fit into a word.
pub(crate) const COUNT_MAX: u64 = (1 << 30) - 1;

impl Cause {
    /// A word for each cause of an open breaker, so that a rejection can say it without a lock.
    pub(crate) fn pack(&self) -> u64 {
        let word = |kind: u64, some: u32, all: u32| {
            kind << 60 | u64::from(some).min(COUNT_MAX) << 30 | u64::from(all).min(COUNT_MAX)
        };
        match *self {
            Self::FailuresInRow { failures } => word(1, failures, 0),
            Self::FailureShare { failures, calls, .. } => word(2, failures, calls),
            Self::SlowShare { slow, calls, .. } => word(3, slow, calls),
            Self::ProbeFailed => word(4, 0, 0),
            Self::ProbeSlow => word(5, 0, 0),
            Self::ProbesUnanswered => word(6, 0, 0),
            _ => word(0, 0, 0),
        }
    }

    pub(crate) fn unpack(word: u64, config: &Config) -> Self {
        let count = |at: u32| (word >> at & COUNT_MAX) as u32;
        let (some, calls) = (count(30), count(0));
        match word >> 60 {
            1 => Self::FailuresInRow { failures: some },
            2 => {
                let allowed = config.failure_share.unwrap_or_default();
                Self::FailureShare { failures: some, calls, allowed }
            }
            3 => {
                let allowed = config.slow_share.unwrap_or_default();
                Self::SlowShare { slow: some, calls, allowed }
            }
            4 => Self::ProbeFailed,
            5 => Self::ProbeSlow,
            6 => Self::ProbesUnanswered,
            _ => Self::Forced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_comes_back_out_of_its_word() {
        let config = Config { slow_share: Some(0.8), ..Config::default() };
        let causes = [
            Cause::FailuresInRow { failures: 5 },
            Cause::FailureShare { failures: 14, calls: 20, allowed: 0.5 },
            Cause::SlowShare { slow: 9, calls: 11, allowed: 0.8 },
            Cause::ProbeFailed,
            Cause::ProbeSlow,
            Cause::ProbesUnanswered,
            Cause::Forced,
        ];
        for cause in causes {
            assert_eq!(Cause::unpack(cause.pack(), &config), cause);
        }
    }
}
