//! What is known of one endpoint. It outlives the sets that the endpoint is a member of.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::gauge::{Counter, Gauge};
use crate::response::Response;

/// An endpoint, as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spec {
    /// By this it is known again when the set changes; two of a set never have the same.
    pub id: String,
    /// How much of the calls it is to have, relative to the others. Default: 1; at most 65,536. Of 0
    /// it gets none as long as there is another.
    pub weight: u32,
    /// The zone that it is in. Default: none, which counts as the balancer's own.
    pub zone: Option<String>,
    /// What it can do, one bit each. Default: nothing.
    pub capabilities: u64,
}

impl Spec {
    /// An endpoint of weight 1.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), weight: 1, zone: None, capabilities: 0 }
    }
}

/// What its owner says of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "whoever sets it has to know each of them")]
pub enum State {
    /// It may be called. At the beginning this is what is assumed.
    #[default]
    Ready,
    /// It may be called, but others rather: its calls cost four times as much.
    Degraded,
    /// It is called only when there is nothing better, which is better than not at all.
    Unhealthy,
    /// It is about to go: keys that stick to it still do, all else goes elsewhere.
    Draining,
    /// It cannot be called.
    Away,
}

impl State {
    fn from_u8(value: u8) -> Self {
        const STATES: [State; 5] =
            [State::Ready, State::Degraded, State::Unhealthy, State::Draining, State::Away];
        STATES[usize::from(value) % STATES.len()]
    }
}

/// Measured and told; in nanoseconds since the balancer's beginning, where it is a time.
///
/// Nothing here is read together with anything else in a way that a torn pair could harm: each
/// number is used by itself, and the next call writes it again.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    /// Never used twice, so that what is remembered of an endpoint is not taken for its successor.
    pub(crate) serial: u32,
    state: AtomicU8,
    pub(crate) in_flight: AtomicU32,
    /// When it was last chosen, in choices.
    pub(crate) chosen: AtomicU32,
    /// The share of calls that it has had, for those that go by turns.
    pub(crate) turns: AtomicU64,
    /// What was measured of response times; read and written as a whole that may be torn.
    pub(crate) response: Response,
    pub(crate) sampled: AtomicU64,
    /// The share of calls that failed, of late; how many in a row; when the last one did.
    pub(crate) failing: Gauge,
    pub(crate) streak: AtomicU32,
    pub(crate) failed: AtomicU64,
    /// How busy it says that it is, 0 to 1.
    pub(crate) load: Gauge,
    pub(crate) paused_until: AtomicU64,
    pub(crate) ejected_until: AtomicU64,
    pub(crate) ejections: AtomicU32,
    /// The moment from which on it starts slowly; 0 for one that was there from the beginning.
    pub(crate) ramp_from: AtomicU64,
    pub(crate) picks: Counter,
    pub(crate) successes: Counter,
    pub(crate) failures: Counter,
    pub(crate) busy: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) total_nanos: Counter,
    pub(crate) ejected: Counter,
}

impl Endpoint {
    pub(crate) fn new(id: String, serial: u32, ramp_from: u64, at: u64) -> Self {
        Self {
            id,
            serial,
            state: AtomicU8::new(State::Ready as u8),
            in_flight: AtomicU32::new(0),
            chosen: AtomicU32::new(0),
            turns: AtomicU64::new(0),
            response: Response::default(),
            sampled: AtomicU64::new(at),
            failing: Gauge::new(0.0),
            streak: AtomicU32::new(0),
            failed: AtomicU64::new(0),
            load: Gauge::new(0.0),
            paused_until: AtomicU64::new(0),
            ejected_until: AtomicU64::new(0),
            ejections: AtomicU32::new(0),
            ramp_from: AtomicU64::new(ramp_from),
            picks: Counter::default(),
            successes: Counter::default(),
            failures: Counter::default(),
            busy: Counter::default(),
            cancelled: Counter::default(),
            total_nanos: Counter::default(),
            ejected: Counter::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        State::from_u8(self.state.load(Relaxed))
    }

    /// The state that it had.
    pub(crate) fn set_state(&self, state: State) -> State {
        State::from_u8(self.state.swap(state as u8, Relaxed))
    }

    pub(crate) fn is_ejected(&self, at: u64) -> bool {
        self.ejected_until.load(Relaxed) > at
    }

    /// Whether it is to be called before those that are not.
    pub(crate) fn is_well(&self, at: u64) -> bool {
        matches!(self.state(), State::Ready | State::Degraded)
            && !self.is_ejected(at)
            && self.paused_until.load(Relaxed) <= at
    }

    /// A response time was measured, of a call that found so many others in flight.
    pub(crate) fn sample(&self, seconds: f32, ahead: u32, share: f32, at: u64) {
        let idle = at.saturating_sub(self.sampled.swap(at, Relaxed));
        self.response.sample(seconds.max(1e-9), ahead as f32, share, idle);
    }
}
