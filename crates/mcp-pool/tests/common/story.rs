//! Behaviour as data: a moment in milliseconds, what happens then, and what comes of it.

use mcp_pool::{Config, Fate};

use super::{World, ms};

/// No spares, no overflow, nothing ends by itself; one connection in all, but for what is said.
pub(crate) fn one(but: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.pool_size = 1;
    config.max_open = 1;
    config.max_lifetime = None;
    config.lifetime_jitter = 0.0;
    config.max_idle_time = None;
    config.health_check_period = None;
    config.key_idle_time = None;
    but(&mut config);
    config
}

/// Each line: `MOMENT what happens -> what comes of it`.
pub(crate) fn story(config: Config, lines: &[&str]) {
    let mut world = World::new(config);
    for line in lines {
        let (event, expected) = line.split_once("->").unwrap();
        let mut words = event.split_whitespace();
        let at: u64 = words.next().unwrap().parse().unwrap();
        world.advance(world.start + ms(at));
        let words: Vec<_> = words.collect();
        happen(&mut world, &words);
        assert_eq!(world.said(), expected.trim(), "in the line {line:?}");
    }
}

fn happen(world: &mut World, words: &[&str]) {
    let caller = || words[1].parse().unwrap();
    let key = |at: usize| words[at].chars().next().unwrap();
    match words[0] {
        "wait" => {}
        "ask" => world.ask(caller(), key(2)),
        "made" => world.connected(key(1), true),
        "fails" => world.connected(key(1), false),
        "return" => world.give_back(caller(), Fate::Keep),
        "break" => world.give_back(caller(), Fate::Broken),
        "detach" => drop(world.detach(caller())),
        "cancel" => world.cancel(caller()),
        "remove" => {
            let now = world.now;
            world.tell(|ledger, orders| ledger.remove(&key(1), now, orders));
        }
        "close" => {
            let now = world.now;
            world.tell(|ledger, orders| ledger.close(now, orders));
        }
        "doubt" => {
            let slot = world.ledger.find(&key(1)).unwrap();
            world.tell(|ledger, orders| ledger.check_now(slot, orders));
        }
        "well" | "ill" => {
            let named = |held: &str| held == words[1];
            let at = world.checking.iter().position(|(.., held)| named(&held.connection)).unwrap();
            world.checked(at, words[0] == "well");
        }
        "closed" => {
            let at = world.closing.iter().position(|(.., name)| name == words[1]).unwrap();
            world.closed(at);
        }
        other => panic!("what is {other}?"),
    }
}
