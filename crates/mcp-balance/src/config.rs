//! What can be set, and the one door at which nonsense is refused.

use std::time::Duration;

use crate::Strategy;

/// The longest duration that means anything here.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How a [`Balancer`](crate::Balancer) chooses.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that
/// refuses a meaningless one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// How an endpoint is chosen. Default: [`Strategy::LeastLoaded`].
    pub strategy: Strategy,
    /// Up to so many endpoints all are compared; of more, some that are taken at random. Default:
    /// 128, which takes some 25 ns; 1 to 256.
    pub scan_max: usize,
    /// How many are taken at random beyond that. Default: 4; 1 to 16. With 2 tails are longer.
    pub choices: usize,
    /// How much the newest response time counts in the mean. Default: 0.1; above 0 and at most 1.
    /// More follows sooner, and follows chance.
    pub newest_share: f32,
    /// An endpoint that nobody has called for so long counts as twice as fast as it was: it may have
    /// recovered, and is tried again. Default: 5 s. One that is ten times slower than the others so
    /// gets a call each 17 s while nobody is busy.
    pub forget: Duration,
    /// An endpoint that failed is half as doubtful so much later. Default: 3 s. Longer loses fewer
    /// calls to what stays broken, and finds what has recovered later.
    pub doubt: Duration,
    /// How long an endpoint that is new or back from ejection gets less than its share, more and
    /// more. Default: 10 s; zero for not at all.
    pub slow_start: Duration,
    /// When an endpoint that fails is left out for a while.
    pub ejection: Ejection,
    /// The zone that the balancer is in. Default: none, and zones mean nothing.
    pub zone: Option<String>,
    /// How many times dearer a call is in another zone. Default: 2: one is called when a call here
    /// would take twice as long. At least 1.
    pub zone_price: f32,
    /// For what does not go by cost (turns, keys): other zones are called when less than this share
    /// of the weight here is available. Default: 0.7; 0 to 1.
    pub zone_share_min: f64,
    /// At how many endpoints the balancer keeps to a subset of them, chosen by `identity`; all are
    /// called when none of the subset is available. Default: `usize::MAX`, and so no subset.
    pub subset_max: usize,
    /// What tells this balancer from others of the same endpoints: subsets, and the order among
    /// equals, differ by it. Default: 0.
    pub identity: u64,
    /// How many keys are remembered with the endpoint that they went to; 8 bytes each. Default: 0,
    /// and keys stick to nothing; at most 2^24. Of more keys than that the longest unused are
    /// forgotten.
    pub sticky_keys_max: usize,
    /// How keys are mapped by [`Strategy::ConsistentHash`]. Default: [`Hashing::Maglev`].
    pub hashing: Hashing,
    /// How many times its fair share of the calls in flight an endpoint takes before its keys go to
    /// others. Default: 1.25; at least 1. Infinity is no bound.
    pub load_factor: f64,
}

/// When an endpoint that fails is left out for a while.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ejection {
    /// So many failures in a row. Default: 5.
    pub failures_in_a_row: u32,
    /// Or this share of failures, of late. Default: 0.5; above 0, and above 1 for never.
    pub failure_share: f32,
    /// But not before so many calls. Default: 20.
    pub calls_min: u32,
    /// For how long, the first time; twice as long each time that it is again. Default: 10 s.
    pub time: Duration,
    /// And for how long at most. Default: 5 min.
    pub time_max: Duration,
    /// How much of all endpoints may be ejected at a time. Default: 0.5; 0 to 1. At 1 all but one
    /// still: one is always left.
    pub share_max: f64,
}

/// How keys are mapped to endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hashing {
    /// A lookup table of 131,101 places (Eisenbud et al., "Maglev", NSDI 2016): the most even, in
    /// constant time. When an endpoint goes a few of the others' keys move as well.
    #[default]
    Maglev,
    /// Points on a ring (Karger et al., STOC 1997), 160 for each unit of relative weight: less even,
    /// but no key moves that need not.
    Ring,
}

/// Why a [`Config`] means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {must_be}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it would have to be.
    pub must_be: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            scan_max: 128,
            choices: 4,
            newest_share: 0.1,
            forget: Duration::from_secs(5),
            doubt: Duration::from_secs(3),
            slow_start: Duration::from_secs(10),
            ejection: Ejection::default(),
            zone: None,
            zone_price: 2.0,
            zone_share_min: 0.7,
            subset_max: usize::MAX,
            identity: 0,
            sticky_keys_max: 0,
            hashing: Hashing::default(),
            load_factor: 1.25,
        }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures_in_a_row: 5,
            failure_share: 0.5,
            calls_min: 20,
            time: Duration::from_secs(10),
            time_max: Duration::from_secs(300),
            share_max: 0.5,
        }
    }
}

impl Config {
    /// Refuses what means nothing, by the name of the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let ejection = &self.ejection;
        let times = [
            ("forget", self.forget, Duration::from_millis(1)),
            ("doubt", self.doubt, Duration::from_millis(1)),
            ("slow_start", self.slow_start, Duration::ZERO),
            ("ejection.time", ejection.time, Duration::from_millis(1)),
            ("ejection.time_max", ejection.time_max, ejection.time),
        ];
        for (field, time, least) in times {
            if time < least || time > LONGEST {
                return refused(field, "1 ms to 30 days (slow_start: or 0; time_max: or time)");
            }
        }
        let whole = [
            ("scan_max", self.scan_max, 1, 256, "1 to 256"),
            ("choices", self.choices, 1, 16, "1 to 16"),
            ("subset_max", self.subset_max, 1, usize::MAX, "at least 1"),
            ("sticky_keys_max", self.sticky_keys_max, 0, 1 << 24, "at most 2^24"),
        ];
        for (field, value, least, most, must_be) in whole {
            if value < least || value > most {
                return refused(field, must_be);
            }
        }
        // Written so that what is not a number is refused.
        let shares = [
            ("zone_share_min", (0.0..=1.0).contains(&self.zone_share_min), "0 to 1"),
            ("ejection.share_max", (0.0..=1.0).contains(&ejection.share_max), "0 to 1"),
            (
                "newest_share",
                self.newest_share > 0.0 && self.newest_share <= 1.0,
                "above 0 and at most 1",
            ),
            ("zone_price", (1.0..=1e6).contains(&self.zone_price), "1 to 1,000,000"),
            ("load_factor", self.load_factor >= 1.0, "at least 1"),
            ("ejection.failure_share", ejection.failure_share > 0.0, "above 0"),
            ("ejection.failures_in_a_row", ejection.failures_in_a_row > 0, "at least 1"),
        ];
        match shares.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, must_be)) => refused(field, must_be),
            None => Ok(()),
        }
    }
}

fn refused(field: &'static str, must_be: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError { field, must_be })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        type Break = fn(&mut Config);
        let wrong: [(&str, Break); 17] = [
            ("scan_max", |config| config.scan_max = 0),
            ("scan_max", |config| config.scan_max = 257),
            ("choices", |config| config.choices = 0),
            ("newest_share", |config| config.newest_share = 0.0),
            ("newest_share", |config| config.newest_share = f32::NAN),
            ("forget", |config| config.forget = Duration::ZERO),
            ("doubt", |config| config.doubt = Duration::MAX),
            ("slow_start", |config| config.slow_start = Duration::MAX),
            ("zone_price", |config| config.zone_price = 0.5),
            ("zone_share_min", |config| config.zone_share_min = f64::NAN),
            ("subset_max", |config| config.subset_max = 0),
            ("sticky_keys_max", |config| config.sticky_keys_max = usize::MAX),
            ("load_factor", |config| config.load_factor = f64::NAN),
            ("ejection.failures_in_a_row", |config| config.ejection.failures_in_a_row = 0),
            ("ejection.failure_share", |config| config.ejection.failure_share = 0.0),
            ("ejection.time_max", |config| config.ejection.time_max = Duration::from_secs(1)),
            ("ejection.share_max", |config| config.ejection.share_max = 1.1),
        ];
        assert_eq!(Config::default().check(), Ok(()));
        for (field, spoil) in wrong {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|error| error.field), Err(field));
        }
    }
}
