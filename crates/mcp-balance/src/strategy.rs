//! The ways to choose.

use std::fmt;
use std::str::FromStr;

/// How an endpoint is chosen.
///
/// All but the two that go by turns and [`ConsistentHash`](Self::ConsistentHash) divide what a call
/// costs somewhere by the weight there, and multiply it while failures make an endpoint doubtful,
/// while it starts slowly, and where it is in another zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// The least of (calls in flight + 1) × what a call takes there by itself: its response time by the
    /// root of the calls that it shared the endpoint with. The default.
    #[default]
    LeastLoaded,
    /// Each in its turn.
    RoundRobin,
    /// Each in its turn, as often as its weight says, evenly spread.
    WeightedRoundRobin,
    /// The fewest calls in flight.
    LeastConnections,
    /// The better of two taken at random, by what [`LeastLoaded`](Self::LeastLoaded) goes by.
    PowerOfTwo,
    /// The endpoint that the key belongs to, by weight, unless it has more than its share in flight.
    ConsistentHash,
    /// The fewest calls in flight for the share of calls that succeed.
    HealthBased,
    /// The least of (calls in flight + 1) × peak EWMA: a response time that rises counts at once, one
    /// that falls counts slowly (Finagle).
    ResponseTime,
    /// At random, each as often as its weight and its response time make it worth.
    WeightedResponseTime,
    /// The fewest calls in flight for the room that an endpoint says it has left
    /// ([`Balancer::set_load`](crate::Balancer::set_load)).
    ResourceAware,
    /// Of those that can do what is needed the one that can do the least else, by load: what can do
    /// everything is kept for what nothing else can.
    CapabilityBased,
    /// The soonest answer, by a forecast for each endpoint (a regression of response times on the calls
    /// that were in flight), times the root of the calls in flight.
    Predictive,
    /// Learns which of several of the above serves best, and goes on trying the others now and then.
    Adaptive,
}

/// No strategy has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no strategy of this name")]
#[non_exhaustive]
pub struct UnknownStrategy;

impl Strategy {
    /// All that there are.
    pub const ALL: &[Self] = &[
        Self::LeastLoaded,
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastConnections,
        Self::PowerOfTwo,
        Self::ConsistentHash,
        Self::HealthBased,
        Self::ResponseTime,
        Self::WeightedResponseTime,
        Self::ResourceAware,
        Self::CapabilityBased,
        Self::Predictive,
        Self::Adaptive,
    ];

    /// Its name in a configuration: `least-loaded`, `round-robin`, ... The names are stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least-loaded",
            Self::RoundRobin => "round-robin",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::LeastConnections => "least-connections",
            Self::PowerOfTwo => "power-of-two",
            Self::ConsistentHash => "consistent-hash",
            Self::HealthBased => "health-based",
            Self::ResponseTime => "response-time",
            Self::WeightedResponseTime => "weighted-response-time",
            Self::ResourceAware => "resource-aware",
            Self::CapabilityBased => "capability-based",
            Self::Predictive => "predictive",
            Self::Adaptive => "adaptive",
        }
    }

    /// Whether calls are dealt out by count, whatever they cost.
    pub(crate) fn goes_by_turns(self) -> bool {
        matches!(self, Self::RoundRobin | Self::WeightedRoundRobin)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        Self::ALL.iter().find(|one| one.name() == name).copied().ok_or(UnknownStrategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(*strategy));
        }
        assert_eq!("luck".parse::<Strategy>(), Err(UnknownStrategy));
    }
}
