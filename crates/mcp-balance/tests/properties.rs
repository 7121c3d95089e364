//! What holds whatever happens.

mod common;

use std::collections::BTreeSet;

use common::{World, ms, specs};
use mcp_balance::{Ask, Config, Hashing, Outcome, Picked, State, Strategy};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

#[derive(Clone, Debug)]
enum Event {
    Pick { exclude: Vec<usize>, key: Option<u64> },
    End(usize, Outcome),
    GiveUp(usize),
    Say(usize, State),
    Change(Vec<u32>),
    Pass(u64),
}

fn outcome() -> impl Generate<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Success),
        4 => Just(Outcome::Failure),
        1 => (0..20_000_u64).prop_map(|pause| Outcome::Busy(ms(pause))),
    ]
}

fn event() -> impl Generate<Value = Event> {
    let states =
        vec![State::Ready, State::Degraded, State::Unhealthy, State::Draining, State::Away];
    let exclude = prop::collection::vec(0..8_usize, 0..4);
    prop_oneof![
        10 => (exclude, prop::option::of(0..9_u64))
            .prop_map(|(exclude, key)| Event::Pick { exclude, key }),
        8 => (0..64_usize, outcome()).prop_map(|(at, outcome)| Event::End(at, outcome)),
        1 => (0..64_usize).prop_map(Event::GiveUp),
        2 => (0..8_usize, prop::sample::select(states))
            .prop_map(|(index, state)| Event::Say(index, state)),
        1 => prop::collection::vec(0..4_u32, 1..8).prop_map(Event::Change),
        3 => (0..30_000_u64).prop_map(Event::Pass),
    ]
}

fn config() -> impl Generate<Value = Config> {
    let ways = prop::sample::select(Strategy::ALL);
    (ways, 0..2_usize, 1..9_usize, 0.0..1.0_f64, 1..5_usize).prop_map(
        |(strategy, sticky, subset, share, scan)| {
            let mut config = Config::default();
            config.strategy = strategy;
            config.sticky_keys_max = sticky * 64;
            config.subset_max = subset;
            config.ejection.share_max = share;
            // Small ones are scanned, larger ones sampled.
            config.scan_max = scan * 2;
            config
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_picked_that_must_not_be(
        config in config(),
        weights in prop::collection::vec(0..4_u32, 1..8),
        events in prop::collection::vec(event(), 1..200),
    ) {
        let share_max = config.ejection.share_max;
        let mut world = World::new(config, specs(&weights));
        let mut calls: Vec<Picked> = Vec::new();
        for event in events {
            match event {
                Event::Pick { exclude, key } => {
                    let mut ask = world.ask();
                    (ask.exclude, ask.key) = (&exclude, key);
                    let picked = world.balancer.pick(&ask, world.now);
                    let stats = world.balancer.stats(world.now);
                    let can = |index: &usize| stats.endpoints[*index].state != State::Away;
                    let callable: BTreeSet<_> =
                        (0..stats.endpoints.len()).filter(can).collect();
                    prop_assert_eq!(picked.is_some(), !callable.is_empty());
                    let Some(picked) = picked else { continue };
                    prop_assert!(callable.contains(&picked.index()));
                    if exclude.contains(&picked.index()) {
                        prop_assert!(callable.iter().all(|index| exclude.contains(index)));
                    }
                    calls.push(picked);
                }
                Event::End(at, outcome) if !calls.is_empty() => {
                    calls.swap_remove(at % calls.len()).finish(outcome, world.now);
                }
                Event::GiveUp(at) if !calls.is_empty() => {
                    drop(calls.swap_remove(at % calls.len()));
                }
                Event::Say(index, state) => world.state(index, state),
                Event::Change(weights) => world.change(specs(&weights)),
                Event::Pass(time) => world.pass(ms(time)),
                Event::End(..) | Event::GiveUp(_) => {}
            }
            let count = world.balancer.len();
            let cap = ((count as f64 * share_max) as usize).min(count - 1);
            prop_assert!(world.ejected() <= cap, "{} of {}", world.ejected(), count);
        }
        for picked in calls {
            picked.finish(Outcome::Success, world.now);
        }
        for one in world.balancer.stats(world.now).endpoints {
            prop_assert_eq!(one.in_flight, 0);
            prop_assert_eq!(
                one.picks,
                one.successes + one.failures + one.busy + one.cancelled
            );
        }
    }
}

proptest! {
    // Tables are slow to build without optimisation.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However they were before: what answers well again is called again.
    #[test]
    fn nobody_starves(
        way in prop::sample::select(Strategy::ALL),
        history in prop::collection::vec((1..400_u64, outcome()), 0..100),
        count in 1..6_usize,
    ) {
        let mut config = Config::default();
        // A key has one endpoint; keys of all kinds have them all.
        (config.strategy, config.scan_max) = (way, 4);
        let mut world = World::new(config, specs(&vec![1; count]));
        for (time, outcome) in history {
            let picked = world.pick();
            world.pass(ms(time));
            picked.finish(outcome, world.now);
        }
        // The longest ejection is over, and so is every doubt.
        world.pass(ms(600_000));
        let mut counts = vec![0; count];
        for _ in 0..60 * count {
            let picked = world.pick();
            counts[picked.index()] += 1;
            world.pass(ms(10));
            picked.finish(Outcome::Success, world.now);
            world.pass(ms(500));
        }
        prop_assert!(counts.iter().all(|count| *count > 0), "{way}: {counts:?}");
    }

    /// By count exactly, by load and by chance closely.
    #[test]
    fn weights_are_respected(weights in prop::collection::vec(1..9_u32, 1..7)) {
        let all: u32 = weights.iter().sum();
        let mut world = World::weighted(Strategy::WeightedRoundRobin, &weights);
        let counts = world.calls(all as usize * 10, |_| ms(1));
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!(count.abs_diff(*weight as usize * 10) <= 1, "{counts:?}");
        }
        let mut world = World::weighted(Strategy::LeastConnections, &weights);
        let picked: Vec<_> = (0..all * 10).map(|_| world.pick()).collect();
        for (index, weight) in weights.iter().enumerate() {
            let count = picked.iter().filter(|one| one.index() == index).count();
            prop_assert!(count.abs_diff(*weight as usize * 10) <= 1, "{index}: {count}");
        }
        for hashing in [Hashing::Maglev, Hashing::Ring] {
            let owners = owners(hashing, &weights);
            for (index, weight) in weights.iter().enumerate() {
                let count = owners.iter().filter(|owner| **owner == index).count() as f64;
                let share = count / owners.len() as f64 * f64::from(all) / f64::from(*weight);
                prop_assert!((0.7..1.35).contains(&share), "{hashing:?} {index}: {share}");
            }
        }
    }

    /// When an endpoint goes its keys move, and (nearly) no others.
    #[test]
    fn few_keys_move(weights in prop::collection::vec(1..5_u32, 2..12)) {
        for hashing in [Hashing::Maglev, Hashing::Ring] {
            let before = owners(hashing, &weights);
            let after = owners(hashing, &weights[..weights.len() - 1]);
            let gone = weights.len() - 1;
            let mut others = 0;
            for (before, after) in before.iter().zip(&after) {
                prop_assert_ne!(*after, gone);
                others += usize::from(before != after && *before != gone);
            }
            let most = if hashing == Hashing::Ring { 0 } else { before.len() / 50 };
            prop_assert!(others <= most, "{hashing:?}: {others}");
        }
    }

    /// No endpoint has more than its bounded share of the calls in flight.
    #[test]
    fn loads_are_bounded(keys in prop::collection::vec(0..3_u64, 1..80)) {
        let world = World::weighted(Strategy::ConsistentHash, &[1; 5]);
        let mut calls = Vec::new();
        for key in keys {
            let mut ask = Ask::new(0);
            ask.key = Some(key);
            calls.push(world.balancer.pick(&ask, world.now).unwrap());
            let most = (calls.len() as f64 * 1.25 / 5.0).ceil() as usize;
            for index in 0..5 {
                let has = calls.iter().filter(|call| call.index() == index).count();
                prop_assert!(has <= most, "{has} of {}", calls.len());
            }
        }
    }
}

fn owners(hashing: Hashing, weights: &[u32]) -> Vec<usize> {
    let mut config = Config::default();
    (config.strategy, config.hashing) = (Strategy::ConsistentHash, hashing);
    let mut world = World::new(config, specs(weights));
    (0..4_000).map(|key| world.keyed(key)).collect()
}
