//! What became of the calls, by endpoint. A snapshot.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::set::{Member, Set};
use crate::{State, Strategy};

/// A balancer at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The strategy in force: what [`Strategy::Adaptive`] has chosen, or the one of the configuration.
    pub strategy: Strategy,
    /// Calls that went where their key had gone before.
    pub stuck: u64,
    /// Calls that went to an endpoint that was excluded, not well or not in play, because there was no
    /// other.
    pub resorts: u64,
    /// In the order of the set.
    pub endpoints: Vec<EndpointStats>,
}

/// An endpoint at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Its id.
    pub id: String,
    /// What its owner said of it.
    pub state: State,
    /// Whether it is left out for its failures.
    pub is_ejected: bool,
    /// How many times it was.
    pub ejections: u64,
    /// Calls that it is at work on.
    pub in_flight: u32,
    /// Calls that it was given.
    pub picks: u64,
    /// Those that were answered.
    pub successes: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that it was too busy for.
    pub busy: u64,
    /// Those that were given up.
    pub cancelled: u64,
    /// How many of the newest calls have failed in a row.
    pub failures_in_a_row: u32,
    /// The response time of late; zero before the first answer.
    pub latency: Duration,
    /// The mean response time of all that were answered.
    pub latency_mean: Duration,
}

impl Stats {
    pub(crate) fn of(set: &Set, at: u64) -> Self {
        Self {
            strategy: set.shared.strategy().0,
            stuck: set.shared.stuck.get(),
            resorts: set.shared.resorts.get(),
            endpoints: set.members.iter().map(|member| endpoint(member, at)).collect(),
        }
    }
}

fn endpoint(member: &Member, at: u64) -> EndpointStats {
    let endpoint = &*member.endpoint;
    let successes = endpoint.successes.get();
    let nanos = endpoint.total_nanos.get().checked_div(successes).unwrap_or(0);
    EndpointStats {
        id: endpoint.id.clone(),
        state: endpoint.state(),
        is_ejected: endpoint.is_ejected(at),
        ejections: endpoint.ejected.get(),
        in_flight: endpoint.in_flight.load(Relaxed),
        picks: endpoint.picks.get(),
        successes,
        failures: endpoint.failures.get(),
        busy: endpoint.busy.get(),
        cancelled: endpoint.cancelled.get(),
        failures_in_a_row: endpoint.streak.load(Relaxed),
        latency: Duration::try_from_secs_f32(endpoint.response.mean()).unwrap_or_default(),
        latency_mean: Duration::from_nanos(nanos),
    }
}
