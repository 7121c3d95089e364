//! What keys have to do with each other, and how they end, as stories.

mod common;

use common::ms;
use common::story::{one, story};

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
fn what_was_idle_for_longest_makes_room() {
    let config = one(|config| config.max_open = 2);
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 ask 2 b    -> connect b",
            "0 made a     -> 1 gets a1",
            "0 made b     -> 2 gets b1",
            "1 return 2   ->",
            "2 return 1   ->",
            "3 ask 3 c    -> close b1 evicted",
            "4 ask 4 d    -> close a1 evicted",
            "5 closed a1  -> connect c",
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

#[test]
fn a_place_that_comes_free_may_be_for_the_spare_of_any_key() {
    let config = one(|config| config.min_idle = 1);
    story(
        config,
        &[
            "0 ask 1 a    -> connect a",
            "0 made a     -> 1 gets a1",
            "1 return 1   ->",
            "2 ask 2 b    -> close a1 evicted",
            "3 closed a1  -> connect b",
            "4 made b     -> 2 gets b1",
            "5 remove b   ->",
            "6 return 2   -> close b1 shutdown",
            "7 closed b1  -> connect a",
        ],
    );
}
