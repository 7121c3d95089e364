//! What a call costs at an endpoint, by strategy. Costs are compared and mean nothing else.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::endpoint::{Endpoint, State};
use crate::{Config, Strategy};

/// What is usual among the endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual {
    /// What a call takes by itself, in seconds; 0 before the first.
    pub(crate) latency: f32,
    /// The share of calls that fail.
    pub(crate) failing: f32,
}

/// How likely an endpoint is broken before anything is known of it.
const BROKEN: f32 = 0.01;
/// The least share of failures that is taken to be usual: one failure among endpoints that never fail
/// says almost all.
const FAILING_MIN: f32 = 1e-4;
/// At most so doubtful, as a power of two.
const DOUBT_MAX: f32 = 40.0;
const DEGRADED_PRICE: f32 = 4.0;
/// The least share of its weight that an endpoint which starts slowly gets.
const RAMP_MIN: f32 = 0.1;
/// The least cost of a call in seconds, so that no measurement makes an endpoint free.
const LATENCY_MIN: f32 = 1e-6;

/// The cost of one call more.
pub(crate) fn cost(
    strategy: Strategy,
    config: &Config,
    endpoint: &Endpoint,
    (weight, price): (u32, f32),
    usual: Usual,
    at: u64,
) -> f32 {
    let queue = endpoint.in_flight.load(Relaxed) as f32 + 1.0;
    let known = |seconds| known(config, endpoint, seconds, usual, at);
    let base = match strategy {
        Strategy::LeastConnections | Strategy::RoundRobin | Strategy::WeightedRoundRobin => queue,
        Strategy::HealthBased => {
            let age = share(at.saturating_sub(endpoint.failed.load(Relaxed)), config.forget);
            let failing = endpoint.failing.get() * (-age).exp2();
            // Squared: half of the calls lost is worse than half of the speed.
            let good = (1.0 - failing).max(0.01);
            queue / (good * good)
        }
        Strategy::ResourceAware => queue / (1.0 - endpoint.load.get().clamp(0.0, 1.0)).max(0.01),
        Strategy::ResponseTime => queue * known(endpoint.response.peak()),
        // The root: forecasts are alike where nobody waits yet, and many would go one way.
        Strategy::Predictive => queue.sqrt() * known(endpoint.response.forecast(queue - 1.0)),
        Strategy::WeightedResponseTime => known(endpoint.response.mean()),
        _ => queue * known(endpoint.response.alone()),
    };
    let state = if endpoint.state() == State::Degraded { DEGRADED_PRICE } else { 1.0 };
    let weight = weight.max(1) as f32 * ramp(config, endpoint, at);
    base * state * price * doubt(config, endpoint, usual, at) / weight
}

/// How much of its weight an endpoint has that starts slowly.
pub(crate) fn ramp(config: &Config, endpoint: &Endpoint, at: u64) -> f32 {
    match endpoint.ramp_from.load(Relaxed) {
        0 => 1.0,
        from => share(at.saturating_sub(from), config.slow_start).clamp(RAMP_MIN, 1.0),
    }
}

/// A measured time, or for want of one the usual. It fades while nothing is measured, so that what was
/// slow is tried again; but not while an answer is due, which is how one that hangs looks.
fn known(config: &Config, endpoint: &Endpoint, seconds: f32, usual: Usual, at: u64) -> f32 {
    let seconds = if seconds == 0.0 { usual.latency } else { seconds };
    let fade = match endpoint.in_flight.load(Relaxed) {
        0 => {
            let idle = at.saturating_sub(endpoint.sampled.load(Relaxed));
            (-share(idle, config.forget)).exp2()
        }
        _ => 1.0,
    };
    (seconds * fade).max(LATENCY_MIN)
}

/// How many times dearer an endpoint is for having failed.
///
/// The odds that it is broken rather than unlucky. Each failure in a row makes them larger by how
/// rare failures are: where every tenth call fails, one failure means little, and where none does
/// almost all. Time makes them smaller, so that it is tried again.
fn doubt(config: &Config, endpoint: &Endpoint, usual: Usual, at: u64) -> f32 {
    let streak = endpoint.streak.load(Relaxed);
    if streak == 0 {
        return 1.0;
    }
    let rarity = -usual.failing.clamp(FAILING_MIN, 0.5).log2();
    let age = share(at.saturating_sub(endpoint.failed.load(Relaxed)), config.doubt);
    let odds = (BROKEN.log2() + streak.min(100) as f32 * rarity).min(DOUBT_MAX) - age;
    1.0 + odds.exp2()
}

fn share(nanos: u64, of: Duration) -> f32 {
    if of.is_zero() { f32::INFINITY } else { nanos as f32 / 1e9 / of.as_secs_f32() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many times dearer so many failures in a row make an endpoint, this long ago.
    fn doubted(failures: u32, failing: f32, ago: Duration) -> f32 {
        let endpoint = Endpoint::new(String::new(), 0, 0, 1);
        endpoint.streak.store(failures, Relaxed);
        endpoint.failed.store(1, Relaxed);
        let usual = Usual { latency: 0.010, failing };
        doubt(&Config::default(), &endpoint, usual, 1 + ago.as_nanos() as u64)
    }

    #[test]
    fn a_failure_says_as_much_as_it_is_rare() {
        let now = Duration::ZERO;
        assert_eq!(doubted(0, 0.0, now), 1.0);
        let (never, seldom, often) =
            (doubted(1, 0.0, now), doubted(1, 0.01, now), doubted(1, 0.1, now));
        assert!(never > 50.0 && (1.5..3.0).contains(&seldom) && often < 1.2);
        assert!(doubted(3, 0.1, now) > 5.0, "three in a row are not by chance");
        // Far from infinite: in the end it is tried again.
        assert!(doubted(u32::MAX, 0.0, Duration::from_secs(240)) < 1.1);
    }
}
