//! What holds whatever happens.

#![expect(clippy::disallowed_methods, reason = "an origin is needed; only differences matter")]

use std::time::{Duration, Instant};

use mcp_supervisor::{Ending, Lifecycle, Phase, Policy, Restart, Then};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    Wait(u64),
    Start,
    Stop,
    Restart,
    Nudge,
    /// Of an incarnation that many before the current one.
    Ready(u64),
    NotReady(u64),
    Ended(u64, Ending),
    Gone(u64),
}

fn event() -> impl Strategy<Value = Event> {
    // The current one most of the time.
    let age = || prop_oneof![8 => Just(0u64), 1 => 1u64..4];
    let ending =
        prop_oneof![Just(Ending::Normal), Just(Ending::Abnormal), Just(Ending::NeverReady)];
    prop_oneof![
        4 => prop_oneof![0u64..2_000, 0u64..100_000].prop_map(Event::Wait),
        1 => Just(Event::Start),
        1 => prop_oneof![Just(Event::Stop), Just(Event::Restart)],
        1 => Just(Event::Nudge),
        4 => age().prop_map(Event::Ready),
        2 => age().prop_map(Event::NotReady),
        4 => (age(), ending).prop_map(|(age, ending)| Event::Ended(age, ending)),
        6 => age().prop_map(Event::Gone),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let restart =
        prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)];
    let most = prop_oneof![Just(None), (0u32..5).prop_map(Some)];
    (restart, most, 1u64..600, 0.0..=1.0, any::<bool>(), 1u64..5_000, 1u64..60_000).prop_map(
        |(restart, most, period, jitter, nudge, first, more)| {
            let mut policy = Policy::default();
            (policy.restart, policy.restarts_max, policy.nudge) = (restart, most, nudge);
            policy.restart_period = Duration::from_secs(period);
            policy.backoff.jitter = jitter;
            policy.backoff.first = Duration::from_millis(first);
            policy.backoff.max = Duration::from_millis(first + more);
            policy.stable_after = Duration::from_secs(30);
            policy.start_timeout = Duration::from_secs(20);
            policy
        },
    )
}

/// A lifecycle and what is known of it without it: who is alive, and when it was restarted.
struct World {
    lifecycle: Lifecycle,
    now: Instant,
    alive: Vec<u64>,
    restarts: Vec<Instant>,
}

impl World {
    fn new(policy: Policy) -> Self {
        let now = Instant::now();
        let lifecycle = Lifecycle::new(policy, now).expect("a valid policy");
        Self { lifecycle, now, alive: Vec::new(), restarts: Vec::new() }
    }

    fn tell(&mut self, event: Event, random: u64) -> Result<(), TestCaseError> {
        let now = self.now;
        let before = self.lifecycle.phase();
        let incarnation = self.lifecycle.incarnation();
        let aged = |age: u64| incarnation.saturating_sub(age);
        match event {
            Event::Wait(millis) => self.wait(Duration::from_millis(millis)),
            Event::Start => self.lifecycle.start(now),
            Event::Stop => self.lifecycle.stop(now),
            Event::Restart => self.lifecycle.restart(now),
            Event::Nudge => self.lifecycle.nudge(),
            Event::Ready(age) => self.lifecycle.ready(aged(age), now),
            Event::NotReady(age) => self.lifecycle.not_ready(aged(age), now),
            Event::Ended(age, ending) => self.lifecycle.ended(aged(age), ending, now),
            Event::Gone(age) => {
                // Nobody says of one that is to run that nothing is left of it.
                if age != 0 || matches!(before, Phase::Stopping { .. }) {
                    self.alive.retain(|alive| *alive != aged(age));
                    self.lifecycle.gone(aged(age), now, random);
                }
            }
        }
        self.look(event, before, incarnation)
    }

    /// Safety, after each event.
    fn look(&mut self, event: Event, before: Phase, was: u64) -> Result<(), TestCaseError> {
        let (phase, incarnation) = (self.lifecycle.phase(), self.lifecycle.incarnation());
        if incarnation != was {
            prop_assert_eq!(incarnation, was + 1, "incarnations are numbered in turn");
            prop_assert!(self.alive.is_empty(), "{incarnation} while {:?} lives", self.alive);
            self.alive.push(incarnation);
            let told = matches!(event, Event::Start | Event::Restart)
                || matches!(before, Phase::Stopping { then: Then::Start });
            if told {
                self.restarts.clear();
            } else {
                self.restarts.push(self.now);
            }
            let asleep = matches!(before, Phase::Stopped | Phase::Failed(_));
            prop_assert!(told || !asleep, "{before:?} is left by whoever says so only");
            let was_temporary = self.lifecycle.policy().restart == Restart::Temporary;
            prop_assert!(told || !was_temporary);
        } else if matches!(event, Event::Restart) {
            // The record is clean from here on, whenever the next one starts.
            self.restarts.clear();
        }
        let wants_life = matches!(phase, Phase::Starting { .. } | Phase::Running);
        prop_assert!(!wants_life || self.alive == [incarnation], "{phase:?}: {:?}", self.alive);
        self.look_at_the_intensity()
    }

    fn look_at_the_intensity(&self) -> Result<(), TestCaseError> {
        let policy = self.lifecycle.policy();
        let Some(most) = policy.restarts_max else { return Ok(()) };
        let recent = self.restarts.iter().filter(|at| self.now - **at < policy.restart_period);
        prop_assert!(recent.count() <= most as usize, "{:?}", self.restarts);
        Ok(())
    }

    /// Time passes, and no moment is missed.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        if let Some(wake_at) = self.lifecycle.wake_at().filter(|wake_at| *wake_at <= until) {
            self.now = self.now.max(wake_at);
            self.lifecycle.tick(self.now);
        } else {
            self.now = until;
        }
    }
}

proptest! {
    #[test]
    fn any_history(
        policy in policy(),
        events in prop::collection::vec((event(), any::<u64>()), 0..300),
    ) {
        let mut world = World::new(policy);
        for (event, random) in events {
            world.tell(event, random)?;
        }
        // Liveness: from wherever it is, a stop ends it, and a start begins it again.
        world.tell(Event::Stop, 0)?;
        world.tell(Event::Gone(0), 0)?;
        prop_assert_eq!(world.lifecycle.phase(), Phase::Stopped);
        prop_assert!(world.alive.is_empty());
        prop_assert_eq!(world.lifecycle.wake_at(), None);
        world.tell(Event::Start, 0)?;
        world.tell(Event::Ready(0), 0)?;
        prop_assert_eq!(world.lifecycle.phase(), Phase::Running);
    }

    /// Liveness: whatever befalls what is permanent and has no limit, the next start comes within
    /// the longest pause, and not before the least that the attempts so far demand.
    #[test]
    fn a_start_follows_every_end(
        policy in policy(),
        lives in prop::collection::vec((any::<bool>(), 0u64..60_000, any::<u64>()), 1..100),
    ) {
        let mut policy = policy;
        (policy.restart, policy.restarts_max) = (Restart::Permanent, None);
        let backoff = policy.backoff.clone();
        let mut world = World::new(policy);
        world.tell(Event::Start, 0)?;
        let mut unstable = 0;
        for (starts, lived, random) in lives {
            let lived = Duration::from_millis(lived);
            unstable += 1;
            if starts {
                world.tell(Event::Ready(0), random)?;
                world.now += lived;
                world.tell(Event::Ended(0, Ending::Abnormal), random)?;
                if lived >= world.lifecycle.policy().stable_after {
                    unstable = 0;
                }
            } else {
                world.tell(Event::NotReady(0), random)?;
            }
            let (ended, incarnation) = (world.now, world.lifecycle.incarnation());
            world.tell(Event::Gone(0), random)?;
            if matches!(world.lifecycle.phase(), Phase::Backoff { .. }) {
                world.tell(Event::Wait(backoff.max.as_millis() as u64), random)?;
            }
            prop_assert_eq!(world.lifecycle.incarnation(), incarnation + 1);
            let paused = world.lifecycle.since() - ended;
            if unstable == 0 {
                prop_assert_eq!(paused, Duration::ZERO);
            } else {
                let nominal = backoff.first.as_secs_f64() * 2f64.powi(unstable - 1);
                let nominal = nominal.min(backoff.max.as_secs_f64());
                let least = nominal * (1.0 - backoff.jitter);
                let paused = paused.as_secs_f64();
                prop_assert!(paused >= least - 1e-6 && paused <= nominal + 1e-6);
            }
        }
    }

    /// Liveness of the other kind: what never gets stable has failed after `restarts_max` restarts
    /// and not before, if the period is long enough to see them all.
    #[test]
    fn a_crash_loop_ends(
        most in 0u32..20,
        lives in prop::collection::vec((any::<bool>(), 0u64..60_000, any::<u64>()), 21),
    ) {
        let mut policy = Policy::default();
        policy.restarts_max = Some(most);
        policy.restart_period = Duration::from_secs(24 * 60 * 60);
        let mut world = World::new(policy);
        world.tell(Event::Start, 0)?;
        for (number, (starts, lived, random)) in (0u32..).zip(lives) {
            let failed = matches!(world.lifecycle.phase(), Phase::Failed(_));
            prop_assert_eq!(failed, number > most);
            if starts {
                world.tell(Event::Ready(0), random)?;
                world.now += Duration::from_millis(lived);
            }
            world.tell(Event::Ended(0, Ending::Abnormal), random)?;
            world.tell(Event::Gone(0), random)?;
            world.tell(Event::Wait(60_000), random)?;
        }
    }
}
