//! The life of connections under one key, as stories.

mod common;

use common::story::{one, story};
use common::{World, ms};
use mcp_pool::{Config, Fate};

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
            "6038 fails a ->",
            "7037 wait    ->",
            "7038 wait    -> connect a",
        ],
    );
}

/// The timer's task runs when it is let, which may be just while everything is lent.
#[test]
fn a_busy_connection_does_not_wake_the_timer_at_every_return() {
    let mut world = World::new(Config::default());
    world.ask(0, 'a');
    world.connected('a', true);
    world.give_back(0, Fate::Keep);
    let mut looks = 0;
    for caller in 1..100 {
        world.advance(world.now + ms(1));
        world.ask(caller, 'a');
        world.turn();
        let before = world.turns;
        world.give_back(caller, Fate::Keep);
        looks += world.turns - before;
    }
    assert_eq!(looks, 0);
}
