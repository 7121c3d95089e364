//! What holds whatever happens: the shared form does what the state machine does when it is told every
//! call, and an open breaker lets somebody through when its time has come.

mod common;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use common::{START, config, ms};
use mcp_breaker::{Breaker, Config, Core, Outcome, State, Tally, Ticket, Window};
use proptest::prelude::*;

/// Together with the number of cases more than a million events.
const EVENTS: usize = 4_200;
const CASES: u32 = 250;

/// The state machine beside a list of all calls: no atomics, no buckets, no sums.
struct Model {
    core: Core,
    config: Config,
    calls: VecDeque<Call>,
    row: u32,
    successes: u64,
    failures: u64,
    rejections: u64,
}

#[derive(Clone, Copy)]
struct Call {
    at: Duration,
    failed: bool,
    slow: bool,
}

impl Model {
    fn new(config: Config) -> Self {
        let core = Core::new(config.clone(), *START, 7).expect("a configuration");
        let (calls, row) = (VecDeque::new(), 0);
        Self { core, config, calls, row, successes: 0, failures: 0, rejections: 0 }
    }

    fn admit(&mut self, now: Instant) -> Option<Ticket> {
        let admitted = self.core.admit(now).ok();
        self.rejections += u64::from(admitted.is_none());
        self.settled();
        admitted
    }

    fn record(&mut self, ticket: &Ticket, outcome: Outcome, took: Duration, now: Instant) {
        let failed = outcome == Outcome::Failure;
        let slow = took >= self.config.slow_after;
        let counts = failed || outcome == Outcome::Success;
        self.failures += u64::from(counts && failed);
        self.successes += u64::from(counts && !failed);
        if !self.core.is_current(ticket) {
            return;
        }
        if counts {
            self.row = if failed { self.row + 1 } else { 0 };
        }
        let state = self.core.view(now).state;
        if matches!(state, State::Closed | State::ForcedClosed) && counts {
            self.calls.push_back(Call { at: now - *START, failed, slow });
            if failed || slow {
                let tally = self.tally(now);
                self.core.judge(&tally, now);
            }
        } else {
            self.core.settle(ticket, outcome, took, now);
        }
        self.settled();
    }

    /// A closed breaker has forgotten what was before.
    fn settled(&mut self) {
        if let Some(change) = self.core.take_change()
            && matches!(change.to, State::Closed | State::ForcedClosed)
        {
            self.calls.clear();
            self.row = 0;
        }
    }

    fn tally(&mut self, now: Instant) -> Tally {
        match self.config.window {
            Window::Calls(most) => {
                while self.calls.len() > most as usize {
                    self.calls.pop_front();
                }
            }
            Window::Time(window) => {
                // The buckets of the window: a power of two wide, and an eighth of it at most.
                let width = 1_u128 << (window.as_nanos() / 8).ilog2();
                let depth = window.as_nanos().div_ceil(width);
                let bucket = |at: Duration| at.as_nanos() / width;
                let oldest = bucket(now - *START).saturating_sub(depth - 1);
                while self.calls.front().is_some_and(|call| bucket(call.at) < oldest) {
                    self.calls.pop_front();
                }
            }
        }
        let mut tally = Tally::default();
        tally.calls = self.calls.len() as u32;
        tally.failures = self.calls.iter().filter(|call| call.failed).count() as u32;
        tally.slow = self.calls.iter().filter(|call| call.slow).count() as u32;
        tally.failures_in_row = self.row;
        tally
    }
}

fn configs() -> impl Strategy<Value = Config> {
    let window = prop_oneof![
        (100_u64..3_000).prop_map(|millis| Window::Time(ms(millis))),
        (5_u32..200).prop_map(Window::Calls),
    ];
    let limits = (proptest::option::of(2_u32..9), proptest::option::of(0.2..1.0));
    let slow = (proptest::option::of(0.2..1.0), 5_u64..40);
    let probes = (1_u32..4, 1_u32..4, 20_u64..300);
    let cooling = (1_u64..300, 1.0..3.0, 0.0..1.0);
    (window, limits, slow, probes, cooling).prop_map(|(window, limits, slow, probes, cooling)| {
        config(|config| {
            (config.window, config.calls_min) = (window, 5);
            (config.failures_in_row, config.failure_share) = limits;
            (config.slow_share, config.slow_after) = (slow.0, ms(slow.1));
            (config.probes, config.successes_to_close) = (probes.0, probes.1);
            (config.probe_timeout, config.cooldown) = (ms(probes.2), ms(cooling.0));
            (config.cooldown_factor, config.jitter) = (cooling.1, cooling.2);
            config.cooldown_max = ms(cooling.0 * 7);
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() })]

    #[test]
    fn shared_by_nobody_it_does_what_the_state_machine_does(
        config in configs(),
        bad in 0_u32..70,
        events in proptest::collection::vec(any::<u32>(), EVENTS),
    ) {
        let breaker = Breaker::with_seed(config.clone(), *START, 7).unwrap();
        let mut model = Model::new(config);
        let (mut now, mut under_way) = (*START, VecDeque::new());
        for (turn, event) in events.into_iter().enumerate() {
            now += Duration::from_micros(u64::from(event % 7_919));
            let (what, which) = (event >> 13 & 1_023, event >> 23 & 127);
            match what {
                0 => { breaker.force_open(now); model.core.force_open(now); }
                1 => { breaker.force_close(now); model.core.force_close(now); }
                2..=9 => { breaker.reset(now); model.core.reset(now); }
                // Some time passes, and a call that is lost now and then.
                10..=12 => { now += ms(400); under_way.pop_back(); }
                _ if under_way.len() < 6 && what % 2 == 0 => {
                    let (one, other) = (breaker.admit(now), model.admit(now));
                    prop_assert_eq!(one.is_ok(), other.is_some(), "event {}", turn);
                    under_way.extend(one.ok().zip(other));
                }
                _ => if let Some((one, other)) = under_way.pop_front() {
                    let outcome = match which % 10 {
                        0 => Outcome::Ignored,
                        1 => Outcome::Throttled { retry_after: (which > 64).then(|| ms(30)) },
                        _ if what % 100 < bad => Outcome::Failure,
                        _ => Outcome::Success,
                    };
                    let took = ms(if which > 100 { 50 } else { 1 });
                    breaker.record(one, outcome, took, now);
                    model.record(&other, outcome, took, now);
                },
            }
            model.settled();
            let view = model.core.view(now);
            prop_assert_eq!(breaker.state(now), view, "event {}", turn);
            if turn % 16 == 0 {
                let stats = breaker.stats(now);
                prop_assert_eq!(stats.window, model.tally(now));
                prop_assert_eq!((stats.successes, stats.failures), (model.successes, model.failures));
                prop_assert_eq!((stats.state, stats.rejections), (view.state, model.rejections));
            }
        }
    }

    #[test]
    fn when_its_time_has_come_a_call_is_let_through_and_enough_of_them_close_it(
        config in configs(),
        failures in 1_usize..40,
    ) {
        let successes = config.successes_to_close;
        let breaker = Breaker::with_seed(config, *START, 1).unwrap();
        let mut now = *START;
        for _ in 0..failures {
            match breaker.permit(now) {
                Ok(permit) => permit.record(Outcome::Failure, now),
                Err(refused) => now += refused.retry_after,
            }
        }
        if let Err(refused) = breaker.permit(now) {
            prop_assert!(!refused.retry_after.is_zero());
            now += refused.retry_after;
        }
        for _ in 0..successes {
            breaker.permit(now).expect("its time has come").record(Outcome::Success, now);
        }
        prop_assert_eq!(breaker.state(now).state, State::Closed);
    }
}
