//! Who gets the calls, told as stories.

mod common;

use common::{World, counted, ms, specs};
use mcp_balance::{Ask, Config, Outcome, Spec, State, Strategy};

#[test]
fn each_has_its_turn_and_turns_are_spread_evenly() {
    let mut world = World::weighted(Strategy::RoundRobin, &[5, 1, 1]);
    assert_eq!(world.calls(12, |_| ms(1)), [4, 4, 4]);
    let mut world = World::weighted(Strategy::WeightedRoundRobin, &[5, 1, 1]);
    let order: Vec<_> = (0..14).map(|_| world.pick().index()).collect();
    assert_eq!(counted(order.iter().copied()), [(0, 10), (1, 2), (2, 2)].into());
    // Smooth: never all five of the heaviest in a row.
    assert!(order.windows(5).all(|some| some.iter().any(|index| *index != 0)), "{order:?}");
}

#[test]
fn one_that_was_away_has_not_saved_up_its_turns() {
    let mut world = World::weighted(Strategy::RoundRobin, &[1, 1, 1]);
    world.state(1, State::Away);
    assert_eq!(world.calls(60, |_| ms(1)), [30, 0, 30]);
    world.state(1, State::Ready);
    world.pass(ms(60_000));
    let counts = world.calls(60, |_| ms(1));
    assert!((19..=21).contains(&counts[1]), "{counts:?}");
}

#[test]
fn the_fewest_in_flight_for_its_weight() {
    let mut world = World::weighted(Strategy::LeastConnections, &[2, 1]);
    let picked: Vec<_> = (0..9).map(|_| world.pick()).collect();
    assert_eq!(counted(picked.iter().map(|one| one.index())), [(0, 6), (1, 3)].into());
}

#[test]
fn equals_take_turns_when_nobody_is_busy() {
    for strategy in [Strategy::LeastConnections, Strategy::HealthBased, Strategy::ResourceAware] {
        let mut world = World::weighted(strategy, &[1; 3]);
        assert_eq!(world.calls(30, |_| ms(1)), [10; 3], "{strategy}");
    }
}

#[test]
fn what_is_slow_gets_less_and_is_tried_again() {
    let fast_second = |index| if index == 1 { ms(10) } else { ms(100) };
    let measured = [
        Strategy::LeastLoaded,
        Strategy::ResponseTime,
        Strategy::Predictive,
        Strategy::PowerOfTwo,
        Strategy::WeightedResponseTime,
        Strategy::Adaptive,
    ];
    for strategy in measured {
        let mut world = World::weighted(strategy, &[1; 3]);
        world.calls(20, fast_second);
        let counts = world.calls(2_000, fast_second);
        let slow = counts[0] + counts[2];
        assert!(counts[1] > slow && slow > 0, "{strategy}: {counts:?}");
    }
}

#[test]
fn what_was_never_measured_is_not_free() {
    let mut world = World::weighted(Strategy::LeastLoaded, &[1; 3]);
    assert_eq!(world.calls(1, |_| ms(10)), [1, 0, 0]);
    let picked: Vec<_> = (0..30).map(|_| world.pick()).collect();
    assert_eq!(counted(picked.iter().map(|one| one.index())), [(0, 10), (1, 10), (2, 10)].into());
}

#[test]
fn what_hangs_is_left_alone() {
    let mut world = World::weighted(Strategy::LeastLoaded, &[1; 2]);
    world.calls(20, |_| ms(10));
    let mut hanging = Vec::new();
    for _ in 0..1_000 {
        let picked = world.pick();
        world.pass(ms(10));
        match picked.index() {
            0 => hanging.push(picked),
            _ => picked.finish(Outcome::Success, world.now),
        }
    }
    assert!(hanging.len() <= 3, "{}", hanging.len());
}

#[test]
fn few_calls_are_lost_to_one_that_fails_fast() {
    for strategy in Strategy::ALL {
        let mut world = World::weighted(*strategy, &[1; 10]);
        let failed = world.calls_that_fail_at(3, 10_000);
        // The more there is to compare, the sooner it is known: turns and keys know ejection only.
        let blind = matches!(strategy, Strategy::RoundRobin | Strategy::WeightedRoundRobin)
            || *strategy == Strategy::ConsistentHash;
        let most = if blind { 12 } else { 8 };
        assert!((1..=most).contains(&failed), "{strategy}: {failed}");
    }
}

#[test]
fn where_failures_are_usual_one_of_them_means_little() {
    let mut world = World::weighted(Strategy::LeastConnections, &[1; 4]);
    for turn in 0..8_000_u64 {
        let picked = world.pick();
        world.pass(ms(1));
        // A tenth, in no order that could favour one of them.
        let fails = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 1_023 < 102;
        picked.finish(if fails { Outcome::Failure } else { Outcome::Success }, world.now);
    }
    let stats = world.balancer.stats(world.now);
    for endpoint in &stats.endpoints {
        assert!((1_000..3_500).contains(&endpoint.picks), "{endpoint:?}");
        assert_eq!(endpoint.ejections, 0);
    }
}

#[test]
fn five_failures_in_a_row_eject_and_time_brings_back() {
    let mut world = World::weighted(Strategy::RoundRobin, &[1; 4]);
    assert_eq!(world.calls_that_fail_at(0, 400), 5);
    assert_eq!(world.ejected(), 1);
    world.pass(ms(10_000));
    assert_eq!(world.ejected(), 0);
    // Still broken: one call is enough, and the next time is twice as long.
    assert_eq!(world.calls_that_fail_at(0, 400), 1);
    world.pass(ms(10_000));
    assert_eq!(world.ejected(), 1);
    world.pass(ms(10_000));
    assert!(world.calls(400, |_| ms(1))[0] > 0);
    assert_eq!(world.ejected(), 0);
}

#[test]
fn never_are_all_ejected_and_fewer_where_there_are_fewer() {
    let mut world = World::weighted(Strategy::RoundRobin, &[1; 4]);
    for _ in 0..100 {
        world.pick().finish(Outcome::Failure, world.now);
    }
    assert_eq!(world.ejected(), 2);
    world.change(specs(&[1; 2]));
    assert!(world.ejected() <= 1);
    world.change(specs(&[1; 1]));
    assert_eq!(world.ejected(), 0);
}

#[test]
fn one_that_is_new_starts_slowly() {
    let mut world = World::weighted(Strategy::WeightedRoundRobin, &[1; 2]);
    world.calls(10, |_| ms(1));
    world.change(specs(&[1; 3]));
    let first = world.calls(300, |_| ms(1))[2];
    world.pass(ms(10_000));
    let later = world.calls(300, |_| ms(1))[2];
    assert!((5..40).contains(&first) && (95..=105).contains(&later), "{first}, {later}");
}

#[test]
fn who_asks_for_a_pause_gets_it_and_has_not_failed() {
    let mut world = World::weighted(Strategy::RoundRobin, &[1; 2]);
    let picked = world.pick();
    let busy = picked.index();
    picked.finish(Outcome::Busy(ms(5_000)), world.now);
    assert_eq!(world.calls(40, |_| ms(100))[busy], 0);
    world.pass(ms(2_000));
    assert!(world.calls(40, |_| ms(100))[busy] > 0);
    assert_eq!(world.balancer.stats(world.now).endpoints[busy].failures, 0);
}

#[test]
fn keys_stick_until_their_endpoint_goes() {
    let mut config = Config::default();
    config.sticky_keys_max = 1_000;
    let mut world = World::new(config, specs(&[1; 4]));
    let homes: Vec<_> = (0..40).map(|key| world.keyed(key)).collect();
    for _ in 0..5 {
        assert_eq!((0..40).map(|key| world.keyed(key)).collect::<Vec<_>>(), homes);
    }
    // Draining: its keys stay, others go elsewhere.
    let (home, gone) = (homes[0], homes[1]);
    world.state(home, State::Draining);
    assert_eq!(world.keyed(0), home);
    assert!((100..140).all(|key| world.keyed(key) != home));
    world.state(gone, State::Away);
    let next = world.keyed(1);
    assert_ne!(next, gone);
    world.state(gone, State::Ready);
    assert_eq!(world.keyed(1), next, "it stays where it went");
    // A set of other indices: the endpoint is known by its id.
    let mut turned = specs(&[1; 4]);
    turned.reverse();
    world.change(turned);
    assert_eq!(world.keyed(1), 3 - next);
}

#[test]
fn a_key_is_one_endpoint_s_unless_it_has_too_much() {
    let mut world = World::weighted(Strategy::ConsistentHash, &[1; 4]);
    let home = world.keyed(7);
    assert!((0..20).all(|_| world.keyed(7) == home));
    let mut ask = Ask::new(0);
    ask.key = Some(7);
    let picked: Vec<_> = (0..40).map(|_| world.balancer.pick(&ask, world.now).unwrap()).collect();
    let counts = counted(picked.iter().map(|one| one.index()));
    assert!(counts.values().all(|count| *count <= 13), "{counts:?}");
    assert_eq!(counts[&home], *counts.values().max().unwrap());
}

#[test]
fn the_own_zone_first_and_the_others_when_it_is_not_enough() {
    let zoned = |zone: &str, name: &str| {
        let mut spec = Spec::new(name);
        spec.zone = Some(zone.to_owned());
        spec
    };
    let specs = vec![zoned("x", "0"), zoned("x", "1"), zoned("y", "2"), zoned("y", "3")];
    for strategy in [Strategy::LeastLoaded, Strategy::RoundRobin, Strategy::ConsistentHash] {
        let mut config = Config::default();
        (config.strategy, config.zone) = (strategy, Some("x".into()));
        (config.slow_start, config.forget) = (ms(0), ms(1_000_000));
        let mut world = World::new(config, specs.clone());
        let counts = world.calls(100, |_| ms(10));
        assert_eq!(counts[2] + counts[3], 0, "{strategy}: {counts:?}");
        for index in [0, 1] {
            world.state(index, State::Unhealthy);
        }
        let counts = world.calls(100, |_| ms(10));
        assert_eq!(counts[0] + counts[1], 0, "{strategy}: {counts:?}");
    }
    // By cost it spills over before it breaks.
    let mut config = Config::default();
    (config.strategy, config.zone) = (Strategy::LeastConnections, Some("x".into()));
    let mut world = World::new(config, specs);
    let picked: Vec<_> = (0..30).map(|_| world.pick()).collect();
    let away = picked.iter().filter(|one| one.index() >= 2).count();
    assert_eq!(away, 10, "a call there costs twice");
}

#[test]
fn a_subset_is_kept_to_while_any_of_it_is_well() {
    let mut config = Config::default();
    (config.subset_max, config.identity, config.strategy) = (3, 9, Strategy::RoundRobin);
    let mut world = World::new(config, specs(&[1; 12]));
    let mine: Vec<_> = world.calls(300, |_| ms(1)).iter().map(|count| *count > 0).collect();
    assert_eq!(mine.iter().filter(|is_mine| **is_mine).count(), 3);
    for (index, _) in mine.iter().enumerate().filter(|(_, is_mine)| **is_mine) {
        world.state(index, State::Away);
    }
    let counts = world.calls(90, |_| ms(1));
    assert_eq!(counts.iter().filter(|count| **count == 10).count(), 9, "{counts:?}");
}

#[test]
fn only_what_is_able_and_rather_what_is_able_of_nothing_else() {
    let able = |id: &str, capabilities| {
        let mut spec = Spec::new(id);
        spec.capabilities = capabilities;
        spec
    };
    let specs = vec![able("all", 0b111), able("one", 0b001), able("two", 0b010)];
    let mut config = Config::default();
    config.strategy = Strategy::CapabilityBased;
    let world = World::new(config, specs);
    let pick = |needs| {
        let mut ask = Ask::new(1);
        ask.needs = needs;
        world.balancer.pick(&ask, world.now).map(|picked| picked.index())
    };
    let found = [0b001, 0b010, 0b011, 0b100, 0b1000].map(pick);
    assert_eq!(found, [Some(1), Some(2), Some(0), Some(0), None]);
}

#[test]
fn room_that_an_endpoint_has_left_counts() {
    let mut world = World::weighted(Strategy::ResourceAware, &[1; 2]);
    world.balancer.set_load(0, 0.75);
    world.pass(ms(100));
    let picked: Vec<_> = (0..10).map(|_| world.pick()).collect();
    assert_eq!(counted(picked.iter().map(|one| one.index())), [(0, 2), (1, 8)].into());
}

#[test]
fn what_is_not_well_is_better_than_nothing() {
    let mut world = World::weighted(Strategy::LeastLoaded, &[1; 3]);
    world.state(0, State::Away);
    world.state(1, State::Unhealthy);
    world.state(2, State::Unhealthy);
    let first = world.pick();
    assert_ne!(first.index(), 0);
    let second = world.pick();
    assert_eq!(counted([first.index(), second.index()]), [(1, 1), (2, 1)].into());
    assert_eq!(world.balancer.stats(world.now).resorts, 2);
    world.state(1, State::Away);
    world.state(2, State::Away);
    let ask = world.ask();
    assert!(world.balancer.pick(&ask, world.now).is_none());
}

#[test]
fn a_call_from_the_set_before_ends_well_in_the_next() {
    let mut world = World::weighted(Strategy::LeastLoaded, &[1; 2]);
    let (kept, gone) = (world.pick(), world.pick());
    world.change(specs(&[1; 1]));
    world.pass(ms(10));
    for picked in [kept, gone] {
        picked.finish(Outcome::Success, world.now);
    }
    let stats = world.balancer.stats(world.now);
    assert_eq!(stats.endpoints.len(), 1);
    let endpoint = &stats.endpoints[0];
    assert_eq!((endpoint.in_flight, endpoint.successes), (0, 1));
    assert_eq!(endpoint.latency_mean, ms(10));
}

#[test]
fn a_call_that_is_given_up_says_nothing() {
    let mut world = World::weighted(Strategy::LeastLoaded, &[1]);
    drop(world.pick());
    let endpoint = world.balancer.stats(world.now).endpoints.remove(0);
    assert_eq!((endpoint.in_flight, endpoint.cancelled, endpoint.failures), (0, 1, 0));
}
