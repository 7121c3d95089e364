//! A breaker and a clock that is turned by hand.
#![allow(dead_code, clippy::disallowed_methods, reason = "each test file uses its part")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use mcp_breaker::{Breaker, Config, Outcome, Permit, Rejected, State};

/// The first instant of the process, so that ticks begin where these tests' time does.
pub(crate) static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.jitter = 0.0;
    change(&mut config);
    config
}

pub(crate) struct World {
    pub(crate) breaker: Breaker,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let now = *START;
        Self { breaker: Breaker::with_seed(config(change), now, 1).expect("a configuration"), now }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn permit(&self) -> Result<Permit<&Breaker>, Rejected> {
        self.breaker.permit(self.now)
    }

    /// A call of no time for each letter: good, bad, throttled, ignored, slow, failed and slow.
    pub(crate) fn calls(&mut self, letters: &str) {
        for letter in letters.chars() {
            let (outcome, took) = match letter {
                'g' => (Outcome::Success, Duration::ZERO),
                'b' => (Outcome::Failure, Duration::ZERO),
                't' => (Outcome::Throttled { retry_after: None }, Duration::ZERO),
                'i' => (Outcome::Ignored, Duration::ZERO),
                's' => (Outcome::Success, ms(10_000)),
                _ => (Outcome::Failure, ms(10_000)),
            };
            let ticket = self.breaker.admit(self.now).expect("a call is let through");
            self.breaker.record(ticket, outcome, took, self.now);
        }
    }

    pub(crate) fn state(&self) -> State {
        self.breaker.state(self.now).state
    }

    /// With its time in whole milliseconds: that may be a tick more than need be.
    pub(crate) fn refused(&self) -> Rejected {
        let mut refused = self.permit().expect_err("the call is refused");
        refused.retry_after = ms(refused.retry_after.as_millis() as u64);
        refused
    }

    /// To the moment from which on a probe is let through.
    pub(crate) fn cool(&mut self) {
        self.now = self.breaker.state(self.now).until.expect("it is open");
    }
}
