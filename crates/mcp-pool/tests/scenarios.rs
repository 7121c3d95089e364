//! Behaviour as data: a moment in milliseconds, what happens then, and what comes of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{World, ms};
use mcp_pool::{Config, Fate};

/// No spares, no overflow, nothing ends by itself; one connection in all, but for what is said.
fn one(but: impl FnOnce(&mut Config)) -> Config {
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
fn story(config: Config, lines: &[&str]) {
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

#[test]
fn a_connection_is_made_once_and_lent_many_times() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a   -> connect a",
            "5 made a    -> 1 gets a1",
            "6 return 1  ->",
            "7 ask 2 a   -> 2 gets a1",
            "8 return 2  ->",
        ],
    );
}

#[test]
fn who_waits_is_served_in_the_order_of_arrival() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a   -> connect a",
            "0 ask 2 a   ->",
            "0 ask 3 a   ->",
            "5 made a    -> 1 gets a1",
            "6 return 1  -> 2 gets a1",
            "7 ask 4 a   ->",
            "8 return 2  -> 3 gets a1",
            "9 return 3  -> 4 gets a1",
        ],
    );
}

#[test]
fn a_caller_that_gives_up_leaves_no_trace() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a   -> connect a",
            "1 cancel 1  ->",
            "2 ask 2 a   ->",
            "3 ask 3 a   ->",
            "4 cancel 2  ->",
            "5 made a    -> 3 gets a1",
            "6 ask 4 a   ->",
            "7 cancel 4  ->",
            "8 return 3  ->",
            "9 ask 5 a   -> 5 gets a1",
        ],
    );
}

#[test]
fn waiting_ends_at_its_moment() {
    let config = one(|config| {
        config.acquire_timeout = ms(100);
    });
    story(
        config,
        &[
            "0 ask 1 a   -> connect a",
            "5 made a    -> 1 gets a1",
            "10 ask 2 a  ->",
            "20 ask 3 a  ->",
            "109 wait    ->",
            "110 wait    -> 2 times out",
            "119 wait    ->",
            "120 wait    -> 3 times out",
            "121 return 1 ->",
        ],
    );
}

#[test]
fn the_queue_has_an_end() {
    let config = one(|config| {
        config.max_waiting = 1;
    });
    story(
        config,
        &["0 ask 1 a -> connect a", "0 ask 2 a -> 2 is refused", "1 made a -> 1 gets a1"],
    );
}

#[test]
fn an_attempt_that_fails_is_the_answer_to_one() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
    });
    story(
        config,
        &[
            "0 ask 1 a   -> connect a",
            "0 ask 2 a   -> connect a",
            "0 ask 3 a   ->",
            "1 fails a   -> connect a, 1 fails",
            "2 made a    -> 2 gets a1",
            "3 fails a   -> 3 fails",
            "4 return 2  ->",
        ],
    );
}

#[test]
fn an_attempt_that_nobody_needs_fails_in_silence() {
    story(
        one(|_| {}),
        &["0 ask 1 a -> connect a", "1 cancel 1 ->", "2 fails a ->", "3 ask 2 a -> connect a"],
    );
}

#[test]
fn a_lifetime_ends_at_its_moment() {
    let config = one(|config| {
        config.max_lifetime = Some(ms(1000));
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "5 made a     -> 1 gets a1",
            "6 return 1   ->",
            "1004 wait    ->",
            "1005 wait    -> close a1 lifetime",
            "1006 ask 2 a ->",
            "1007 closed a1 -> connect a",
            "1010 made a  -> 2 gets a2",
            "2500 return 2 -> close a2 lifetime",
        ],
    );
}

#[test]
fn a_lifetime_is_shorter_by_chance() {
    let config = one(|config| {
        config.max_lifetime = Some(ms(1000));
        config.lifetime_jitter = 0.2;
    });
    let mut world = World::new(config);
    world.random = u64::MAX / 2;
    world.ask(1, 'a');
    world.connected('a', true);
    let (.., held) = &world.lent[&1];
    assert_eq!(held.expires().map(|at| (at - world.start).as_millis()), Some(900));
}

#[test]
fn what_is_idle_for_too_long_goes_and_the_latest_is_lent_first() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
        config.max_idle_time = Some(ms(1000));
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    -> connect a",
            "1 made a     -> 1 gets a1",
            "1 made a     -> 2 gets a2",
            "10 return 1  ->",
            "20 return 2  ->",
            "500 ask 3 a  -> 3 gets a2",
            "600 return 3 ->",
            "1009 wait    ->",
            "1010 wait    -> close a1 idle",
            "1599 wait    ->",
            "1600 wait    -> close a2 idle",
        ],
    );
}

#[test]
fn overflow_comes_with_load_and_goes_when_idle() {
    let config = one(|config| {
        config.max_overflow = 1;
        config.max_open = 9;
        config.overflow_idle_time = ms(50);
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    -> connect a",
            "0 ask 3 a    ->",
            "1 made a     -> 1 gets a1",
            "1 made a     -> 2 gets a2",
            "2 return 1   -> 3 gets a1",
            "3 return 2   ->",
            "40 return 3  ->",
            "52 wait      ->",
            "53 wait      -> close a2 overflow",
            "9000 wait    ->",
        ],
    );
}

#[test]
fn more_than_may_lie_idle_is_closed() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
        config.max_idle = 1;
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    -> connect a",
            "1 made a     -> 1 gets a1",
            "1 made a     -> 2 gets a2",
            "2 return 1   ->",
            "3 return 2   -> close a2 surplus",
        ],
    );
}

#[test]
fn idle_connections_are_checked_one_at_a_time() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
        config.health_check_period = Some(ms(100));
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    -> connect a",
            "0 made a     -> 1 gets a1",
            "0 made a     -> 2 gets a2",
            "10 return 1  ->",
            "10 return 2  ->",
            "110 wait     -> check a1",
            "115 ask 3 a  -> 3 gets a2",
            "116 return 3 ->",
            "120 well a1  ->",
            "215 wait     ->",
            "216 wait     -> check a2",
            "217 ill a2   -> close a2 unhealthy",
            "220 wait     -> check a1",
            "221 ask 4 a  ->",
            "222 closed a2 ->  connect a",
            "223 well a1  -> 4 gets a1",
        ],
    );
}

#[test]
fn what_is_doubted_is_checked_at_once() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 made a     -> 1 gets a1",
            "1 return 1   ->",
            "2 doubt a    -> check a1",
            "3 well a1    ->",
            "9000 wait    ->",
        ],
    );
}

#[test]
fn what_broke_is_replaced_for_who_waits() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    ->",
            "1 made a     -> 1 gets a1",
            "2 break 1    -> close a1 broken",
            "3 closed a1  -> connect a",
            "4 made a     -> 2 gets a2",
        ],
    );
}

#[test]
fn what_is_taken_out_for_good_leaves_its_place() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    ->",
            "1 made a     -> 1 gets a1",
            "2 detach 1   -> connect a",
            "3 made a     -> 2 gets a2",
        ],
    );
}

#[test]
fn spares_are_made_before_anyone_asks_and_again_when_taken() {
    let config = one(|config| {
        config.pool_size = 4;
        config.max_open = 4;
        config.min_idle = 2;
        config.max_idle_time = Some(ms(100));
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a, connect a, connect a",
            "1 made a     -> 1 gets a1",
            "2 made a     ->",
            "3 made a     ->",
            "500 wait     ->",
            "501 ask 2 a  -> connect a, 2 gets a3",
            "502 detach 2 ->",
            "503 made a   ->",
            "504 detach 1 ->",
            "900 wait     ->",
        ],
    );
}

#[test]
fn spares_that_fail_or_die_unused_are_retried_ever_later() {
    let config = one(|config| {
        config.min_idle = 1;
        config.refill_backoff = ms(1000);
        config.refill_backoff_max = ms(3000);
        config.health_check_period = Some(ms(10));
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 cancel 1   ->",
            "1 fails a    ->",
            "1000 wait    ->",
            "1001 wait    -> connect a",
            "1002 fails a ->",
            "3001 wait    ->",
            "3002 wait    -> connect a",
            "3010 made a  ->",
            "3020 wait    -> check a1",
            "3021 ill a1  -> close a1 unhealthy",
            "3022 closed a1 ->",
            "6020 wait    ->",
            "6021 wait    -> connect a",
            "6030 made a  ->",
            "6035 ask 2 a -> 2 gets a2",
            "6036 break 2 -> close a2 broken",
            "6037 closed a2 -> connect a",
        ],
    );
}

#[test]
fn a_waiter_takes_the_place_of_what_is_idle_under_another_key() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a    -> connect a",
            "0 made a     -> 1 gets a1",
            "1 return 1   ->",
            "2 ask 2 b    -> close a1 evicted",
            "3 closed a1  -> connect b",
            "4 made b     -> 2 gets b1",
            "5 ask 3 a    ->",
            "6 return 2   -> close b1 evicted",
            "7 closed b1  -> connect a",
        ],
    );
}

#[test]
fn a_busy_key_makes_room_for_one_that_has_nothing() {
    story(
        one(|_| {}),
        &[
            "0 ask 1 a    -> connect a",
            "0 made a     -> 1 gets a1",
            "1 ask 2 a    ->",
            "2 ask 3 b    ->",
            "3 ask 4 a    ->",
            "4 return 1   -> 2 gets a1",
            "5 return 2   -> close a1 evicted",
            "6 closed a1  -> connect b",
            "7 made b     -> 3 gets b1",
            "8 return 3   -> close b1 evicted",
            "9 closed b1  -> connect a",
            "9 made a     -> 4 gets a2",
        ],
    );
}

#[test]
fn a_free_place_goes_to_who_wants_one_longest() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 b    -> connect b",
            "0 made a     -> 1 gets a1",
            "0 made b     -> 2 gets b1",
            "1 ask 3 b    ->",
            "2 ask 4 a    ->",
            "3 detach 1   -> connect b",
            "4 detach 2   -> connect a",
        ],
    );
}

#[test]
fn keys_are_bounded_and_the_one_unused_for_longest_goes() {
    let config = one(|config| {
        config.max_keys = 2;
        config.max_open = 9;
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 b    -> connect b",
            "0 made a     -> 1 gets a1",
            "0 made b     -> 2 gets b1",
            "1 ask 3 c    -> 3 is one key too many",
            "2 return 2   ->",
            "3 return 1   ->",
            "4 ask 3 c    -> close b1 shutdown, connect c",
        ],
    );
}

#[test]
fn a_key_that_nobody_uses_is_forgotten_with_its_spares() {
    let config = one(|config| {
        config.key_idle_time = Some(ms(1000));
        config.min_idle = 1;
        config.pool_size = 2;
        config.max_open = 2;
    });
    story(
        config,
        &[
            "0 ask 1 a     -> connect a, connect a",
            "0 made a      -> 1 gets a1",
            "0 made a      ->",
            "1500 return 1 ->",
            "2499 wait     ->",
            "2500 wait     -> close a2 shutdown, close a1 shutdown",
            "2501 closed a1 ->",
            "2501 closed a2 ->",
            "9999 ask 2 a  -> connect a, connect a",
        ],
    );
}

#[test]
fn a_removed_key_begins_anew() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 a    -> connect a",
            "0 made a     -> 1 gets a1",
            "1 remove a   -> 2 finds it closed",
            "2 ask 3 a    ->",
            "3 made a     -> close a2 shutdown",
            "4 closed a2  -> connect a",
            "5 return 1   -> close a1 shutdown",
        ],
    );
}

#[test]
fn closing_drains() {
    let config = one(|config| {
        config.pool_size = 2;
        config.max_open = 2;
        config.min_idle = 1;
    });
    story(
        config,
        &[
            "0 ask 1 a    -> connect a, connect a",
            "0 made a     -> 1 gets a1",
            "0 made a     ->",
            "1 close      -> close a2 shutdown",
            "2 ask 3 a    -> 3 finds it closed",
            "3 closed a2  ->",
            "4 return 1   -> close a1 shutdown",
            "5 closed a1  -> emptied",
        ],
    );
}
