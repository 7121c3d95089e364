//! What holds whatever happens: never too many, in order, nothing lost, and everyone is served.

mod common;

use std::collections::BTreeMap;

use common::{Caller, World, ms};
use mcp_pool::{Config, Fate};
use proptest::prelude::*;

const KEYS: [char; 3] = ['a', 'b', 'c'];

#[derive(Clone, Debug)]
enum Event {
    Ask(char),
    Cancel(usize),
    Return(usize, bool),
    Detach(usize),
    Connected(usize, bool),
    Checked(usize, bool),
    Closed(usize),
    Pass(u64),
    Doubt(char),
    Remove(char),
}

fn event() -> impl Strategy<Value = Event> {
    let key = || prop::sample::select(&KEYS[..]);
    let any = || 0..64_usize;
    prop_oneof![
        8 => key().prop_map(Event::Ask),
        2 => any().prop_map(Event::Cancel),
        6 => (any(), prop::bool::weighted(0.8)).prop_map(|(at, keep)| Event::Return(at, keep)),
        1 => any().prop_map(Event::Detach),
        6 => (any(), prop::bool::weighted(0.7)).prop_map(|(at, works)| Event::Connected(at, works)),
        2 => (any(), prop::bool::weighted(0.7)).prop_map(|(at, well)| Event::Checked(at, well)),
        4 => any().prop_map(Event::Closed),
        4 => (0..400_u64).prop_map(Event::Pass),
        1 => key().prop_map(Event::Doubt),
        1 => key().prop_map(Event::Remove),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let sizes = (1..4_usize, 0..3_usize, 1..6_usize, 0..4_usize, 1..4_usize, 1..5_usize);
    let times = (1..500_u64, 1..500_u64, 1..500_u64, 1..500_u64, 1..900_u64, 1..2000_u64);
    (sizes, times).prop_map(|(sizes, times)| {
        let mut config = Config::default();
        (config.pool_size, config.max_overflow, config.max_open) = (sizes.0, sizes.1, sizes.2);
        (config.max_idle, config.max_waiting) = (sizes.4, sizes.5);
        let room = config.pool_size.min(config.max_open).min(config.max_idle);
        config.min_idle = sizes.3.min(room);
        config.max_keys = 2;
        config.max_lifetime = Some(ms(times.0));
        config.max_idle_time = Some(ms(times.1));
        config.health_check_period = Some(ms(times.2));
        config.overflow_idle_time = ms(times.3);
        config.acquire_timeout = ms(times.4);
        config.key_idle_time = Some(ms(times.5));
        config.refill_backoff = ms(10);
        config.refill_backoff_max = ms(100);
        config
    })
}

fn nth<K: Clone, V>(map: &BTreeMap<K, V>, at: usize) -> Option<K> {
    map.keys().nth(at % map.len().max(1)).cloned()
}

fn happen(world: &mut World, next: Caller, event: &Event) {
    match *event {
        Event::Ask(key) => world.ask(next, key),
        Event::Cancel(at) => {
            if let Some(caller) = nth(&world.waiting, at) {
                world.cancel(caller);
            }
        }
        Event::Return(at, keep) => {
            if let Some(caller) = nth(&world.lent, at) {
                world.give_back(caller, if keep { Fate::Keep } else { Fate::Broken });
            }
        }
        Event::Detach(at) => {
            if let Some(caller) = nth(&world.lent, at) {
                world.detach(caller);
            }
        }
        Event::Connected(at, works) if !world.connecting.is_empty() => {
            let (_, key) = world.connecting[at % world.connecting.len()];
            world.connected(key, works);
        }
        Event::Checked(at, well) if !world.checking.is_empty() => {
            world.checked(at % world.checking.len(), well);
        }
        Event::Closed(at) if !world.closing.is_empty() => {
            world.closed(at % world.closing.len());
        }
        Event::Pass(time) => world.advance(world.now + ms(time)),
        Event::Doubt(key) => {
            if let Some(slot) = world.ledger.find(&key) {
                world.tell(|ledger, orders| ledger.check_now(slot, orders));
            }
        }
        Event::Remove(key) => {
            let now = world.now;
            world.tell(|ledger, orders| ledger.remove(&key, now, orders));
        }
        Event::Connected(..) | Event::Checked(..) | Event::Closed(_) => {}
    }
}

/// What the ledger says of itself agrees with what the world has seen, and with its bounds.
fn audit(world: &World, gone: u64) {
    let config = world.ledger.config().clone();
    let stats = world.ledger.stats();
    assert_eq!(stats.open, world.ledger.open());
    assert!(stats.open <= config.max_open, "{stats:?}");
    assert_eq!(stats.active, world.lent.len());
    assert_eq!(stats.connecting, world.connecting.len());
    assert_eq!(stats.checking, world.checking.len());
    assert_eq!(stats.closing, world.closing.len());
    assert_eq!(stats.waiting, world.waiting.len());
    let parts = stats.active + stats.idle + stats.connecting + stats.checking + stats.closing;
    assert_eq!(stats.open, parts);
    assert_eq!(stats.acquired, stats.released + stats.detached + stats.active as u64);
    let made: u32 = world.made.values().sum();
    assert_eq!(stats.created, u64::from(made));
    let kept = stats.open - stats.connecting - stats.closing;
    assert_eq!(stats.created, stats.closed.total() + stats.detached + kept as u64);
    assert_eq!(stats.closed.total(), gone + stats.closing as u64);

    let mut keys = 0;
    for (key, stats) in world.ledger.keys() {
        keys += 1;
        assert!(stats.open <= config.pool_size + config.max_overflow, "{key}: {stats:?}");
        assert!(stats.idle <= config.max_idle, "{key}: {stats:?}");
        assert!(stats.waiting <= config.max_waiting, "{key}: {stats:?}");
        assert!(stats.idle == 0 || stats.waiting == 0, "{key}: {stats:?}");
        let room = stats.open < config.pool_size + config.max_overflow;
        let place = world.ledger.open() < config.max_open;
        assert!(!(room && place) || stats.waiting <= stats.connecting, "{key}: {stats:?}");
    }
    assert!(keys <= config.max_keys);
}

/// Those who wait for one key are served by arrival: whoever is served was the first to wait.
fn in_order(world: &World, waited: &[(Caller, char)], served_before: usize) {
    let mut queue = waited.to_vec();
    for caller in &world.served[served_before..] {
        let Some(at) = queue.iter().position(|(other, _)| other == caller) else { continue };
        let (_, key) = queue[at];
        let first = queue.iter().position(|(_, other)| *other == key);
        assert_eq!(first, Some(at), "{caller} overtook");
        queue.remove(at);
    }
}

fn waited(world: &World) -> Vec<(Caller, char)> {
    world.waiting.iter().map(|(caller, waiting)| (*caller, waiting.key)).collect()
}

/// Everything that was begun comes to its end, well; whoever has a connection returns it.
fn quiesce(world: &mut World, gone: &mut u64) {
    for _ in 0..1000 {
        if let Some((_, key)) = world.connecting.first().copied() {
            world.connected(key, true);
        } else if !world.checking.is_empty() {
            world.checked(0, true);
        } else if !world.closing.is_empty() {
            *gone += 1;
            world.closed(0);
        } else if let Some(caller) = nth(&world.lent, 0) {
            world.give_back(caller, Fate::Keep);
        } else {
            return;
        }
        audit(world, *gone);
    }
    panic!("no rest: {:?}", world.ledger);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(
        config in config(),
        events in prop::collection::vec((event(), any::<u64>()), 1..120),
    ) {
        let mut world = World::new(config);
        let mut gone = 0;
        for (caller, (event, random)) in (0..).zip(&events) {
            world.random = *random;
            let before = waited(&world);
            let served = world.served.len();
            let closing = world.closing.len();
            happen(&mut world, caller, event);
            if matches!(event, Event::Closed(_)) && closing > 0 {
                gone += 1;
            }
            audit(&world, gone);
            in_order(&world, &before, served);
        }

        // Whoever still waits is served, without the help of time.
        let left = waited(&world).len();
        let served = world.served.len();
        quiesce(&mut world, &mut gone);
        prop_assert!(world.waiting.is_empty(), "forgotten: {:?}", world.ledger);
        prop_assert_eq!(world.served.len() - served, left);

        // And a pool that is told to close does.
        let now = world.now;
        world.tell(|ledger, orders| ledger.close(now, orders));
        world.said();
        let open = world.ledger.open();
        quiesce(&mut world, &mut gone);
        prop_assert_eq!(world.ledger.open(), 0);
        prop_assert_eq!(world.said().contains("emptied"), open > 0);
    }

    /// A connection that lies idle when its time is up is gone at that very moment.
    #[test]
    fn no_idle_connection_outlives_its_time(
        config in config(),
        events in prop::collection::vec((event(), any::<u64>()), 1..120),
    ) {
        let mut world = World::new(config);
        for (caller, (event, random)) in (0..).zip(&events) {
            world.random = *random;
            happen(&mut world, caller, event);
            // The world refuses to serve what has expired, and turns only when it was asked to.
            for key in KEYS {
                world.ask(1_000_000 + caller, key);
                world.cancel(1_000_000 + caller);
                world.give_back(1_000_000 + caller, Fate::Keep);
            }
        }
    }
}
