//! Who serves: stories, and what holds whatever happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use mcp_failover::{CannotForce, Failback, Group, GroupConfig, Health, Member, Plan, Why};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn start() -> Instant {
    Instant::now()
}

fn up(config: GroupConfig) -> (Group, Instant) {
    let start = start();
    let numbers: Vec<_> = config.members.iter().map(|member| member.number).collect();
    let mut group = Group::new(config, start).unwrap();
    for number in numbers {
        group.tell(number, Health::Up, start);
    }
    (group, start)
}

#[test]
fn one_serves_the_next_takes_over_and_the_first_comes_back_when_it_has_been_up_for_long() {
    let (mut group, start) = up(GroupConfig::new(3, Plan::ActivePassive));
    assert_eq!(group.active(), [0]);
    let change = group.tell(0, Health::Down, start + SECOND).unwrap();
    assert_eq!((change.to.as_slice(), change.why), ([1].as_slice(), Why::Failed));
    assert_eq!(change.recovered_after, Some(Duration::ZERO));
    assert!(group.tell(0, Health::Up, start + 10 * SECOND).is_none(), "not at once");
    assert_eq!(group.next_wake(start + 61 * SECOND), Some(start + 70 * SECOND));
    assert!(group.tick(start + 69 * SECOND).is_none());
    let change = group.tick(start + 70 * SECOND).unwrap();
    assert_eq!((change.to.as_slice(), change.why), ([0].as_slice(), Why::Failback));
    let stats = group.stats(start + 80 * SECOND);
    assert_eq!((stats.failovers, stats.failbacks, stats.unserved), (1, 1, Duration::ZERO));
}

#[test]
fn spares_stand_in_and_go_back_to_standing_by() {
    let (mut group, start) = up(GroupConfig::new(4, Plan::NPlusOne { spares: 1 }));
    assert_eq!(group.active(), [0, 1, 2]);
    group.tell(1, Health::Down, start);
    assert_eq!(group.active(), [0, 2, 3]);
    group.tell(2, Health::Down, start);
    assert_eq!(group.active(), [0, 3], "there are no more");
    group.tell(1, Health::Up, start + SECOND);
    assert_eq!(group.active(), [0, 1, 3], "a place was free");
    group.tell(2, Health::Up, start + SECOND);
    group.tick(start + 61 * SECOND);
    assert_eq!(group.active(), [0, 1, 2]);
}

#[test]
fn places_are_left_when_nobody_is_up_there() {
    let zones = vec!["near".to_owned(), "far".to_owned()];
    let mut config = GroupConfig::new(0, Plan::CrossDatacenter { zones });
    config.members = ["near", "far", "near", "far"]
        .into_iter()
        .enumerate()
        .map(|(number, zone)| Member::new(number).in_zone(zone))
        .collect();
    let (mut group, start) = up(config);
    assert_eq!(group.active(), [0, 2]);
    group.tell(0, Health::Down, start);
    assert_eq!(group.active(), [2]);
    group.tell(2, Health::Drained, start);
    assert_eq!(group.active(), [1, 3]);
    group.tell(0, Health::Up, start + SECOND);
    assert_eq!(group.active(), [1, 3]);
    group.tick(start + 61 * SECOND);
    assert_eq!(group.active(), [0]);
}

#[test]
fn what_comes_back_by_itself_is_held_and_what_does_not_is_replaced() {
    let mut config = GroupConfig::new(2, Plan::ActivePassive);
    config.hold_down = 5 * SECOND;
    let (mut group, start) = up(config);
    assert!(group.tell(0, Health::Down, start).is_none());
    assert!(group.tell(0, Health::Up, start + SECOND).is_none());
    assert!(group.tell(0, Health::Down, start + 2 * SECOND).is_none());
    assert_eq!(group.next_wake(start + 2 * SECOND), Some(start + 7 * SECOND));
    let change = group.tick(start + 7 * SECOND).unwrap();
    assert_eq!(change.recovered_after, Some(5 * SECOND));
    assert_eq!(group.active(), [1]);
}

#[test]
fn who_is_wanted_serves_until_it_fails_or_the_others_are_wanted_again() {
    let (mut group, start) = up(GroupConfig::new(3, Plan::ActivePassive));
    let change = group.force(2, start).unwrap().unwrap();
    assert_eq!((change.to.as_slice(), change.why), ([2].as_slice(), Why::Forced));
    assert!(group.tick(start + 3_600 * SECOND).is_none(), "it is not taken back by itself");
    assert_eq!(group.fail_back(start).unwrap().to, [0]);
    group.force(2, start).unwrap();
    group.tell(2, Health::Down, start);
    assert_eq!(group.active(), [0]);
    assert_eq!(group.force(2, start), Err(CannotForce::NotUp(2)));
    assert_eq!(group.force(9, start), Err(CannotForce::Unknown(9)));
    let (mut all, start) = up(GroupConfig::new(2, Plan::ActiveActive));
    assert_eq!(all.force(1, start), Err(CannotForce::AllServe));
}

#[test]
fn by_hand_means_by_hand() {
    let mut config = GroupConfig::new(2, Plan::ActivePassive);
    config.failback = Failback::Manual;
    let (mut group, start) = up(config);
    group.tell(0, Health::Down, start);
    group.tell(0, Health::Up, start);
    assert!(group.tick(start + 86_400 * SECOND).is_none());
    assert_eq!(group.fail_back(start).unwrap().why, Why::Failback);
}

#[test]
fn whoever_starts_first_serves_until_the_preferred_one_is_there_too() {
    for failback in [Failback::Manual, Failback::After(60 * SECOND)] {
        let mut config = GroupConfig::new(2, Plan::ActivePassive);
        config.failback = failback;
        let start = start();
        let mut group = Group::new(config, start).unwrap();
        assert_eq!(group.tell(1, Health::Up, start).unwrap().to, [1]);
        let change = group.tell(0, Health::Up, start + SECOND).unwrap();
        assert_eq!((change.to.as_slice(), change.why), ([0].as_slice(), Why::Joined));
        group.tell(0, Health::Down, start + 2 * SECOND);
        assert!(group.tell(0, Health::Up, start + 3 * SECOND).is_none(), "it has failed");
        assert_eq!(group.active(), [1]);
    }
}

#[test]
fn nobody_is_told_and_counted() {
    let (mut group, start) = up(GroupConfig::new(1, Plan::ActiveActive));
    group.tell(0, Health::Down, start);
    assert!(group.active().is_empty());
    group.tell(0, Health::Up, start + 9 * SECOND);
    assert_eq!(group.stats(start + 20 * SECOND).unserved, 9 * SECOND);
}

#[test]
fn nonsense_is_refused_by_name() {
    let refused = |config: GroupConfig| Group::new(config, start()).unwrap_err().field;
    assert_eq!(refused(GroupConfig::new(0, Plan::ActiveActive)), "members");
    assert_eq!(refused(GroupConfig::new(2, Plan::NPlusOne { spares: 2 })), "spares");
    let zones = vec!["a".to_owned()];
    assert_eq!(refused(GroupConfig::new(2, Plan::CrossDatacenter { zones })), "zone");
    let mut twice = GroupConfig::new(2, Plan::ActiveActive);
    twice.members[1].number = 0;
    assert_eq!(refused(twice), "members");
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Tell(usize, Health),
    Pass(u32),
    Force(usize),
    FailBack,
}

fn event() -> impl Strategy<Value = Event> {
    let health = prop_oneof![Just(Health::Up), Just(Health::Down), Just(Health::Drained)];
    prop_oneof![
        6 => (0_usize..5, health).prop_map(|(member, health)| Event::Tell(member, health)),
        3 => (0_u32..100).prop_map(Event::Pass),
        1 => (0_usize..5).prop_map(Event::Force),
        1 => Just(Event::FailBack),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let zones = vec!["a".to_owned(), "b".to_owned()];
    prop_oneof![
        Just(Plan::ActiveActive),
        Just(Plan::ActivePassive),
        (1_usize..5).prop_map(|spares| Plan::NPlusOne { spares }),
        Just(Plan::CrossDatacenter { zones }),
    ]
}

proptest! {
    #[test]
    fn somebody_serves_while_somebody_is_up_and_never_too_many(
        plan in plan(),
        manual in any::<bool>(),
        hold in 0_u32..10,
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut now = start();
        let mut config = GroupConfig::new(5, plan.clone());
        config.hold_down = hold * SECOND;
        for (number, member) in config.members.iter_mut().enumerate() {
            member.zone = Some(if number % 2 == 0 { "a" } else { "b" }.to_owned());
        }
        if manual {
            config.failback = Failback::Manual;
        }
        let mut group = Group::new(config, now).unwrap();
        let mut health = [Health::Down; 5];
        for event in events {
            match event {
                Event::Tell(member, told) => {
                    health[member] = told;
                    group.tell(member, told, now);
                }
                Event::Pass(seconds) => {
                    now += seconds * SECOND;
                    group.tick(now);
                }
                Event::Force(member) => {
                    let forced = group.force(member, now).is_ok();
                    if forced {
                        prop_assert!(group.active().contains(&member));
                    }
                }
                Event::FailBack => _ = group.fail_back(now),
            }
            let active = group.active().to_vec();
            let ups: Vec<usize> = (0..5).filter(|member| health[*member] == Health::Up).collect();
            prop_assert!(ups.is_empty() || !active.is_empty());
            prop_assert!(active.iter().all(|member| health[*member] != Health::Drained));
            if hold == 0 {
                prop_assert!(active.iter().all(|member| ups.contains(member)));
            }
            match &plan {
                Plan::ActiveActive => prop_assert!(ups.iter().all(|member| active.contains(member))),
                Plan::ActivePassive => prop_assert!(active.len() <= 1),
                Plan::NPlusOne { spares } => {
                    prop_assert!(active.len() <= 5 - spares);
                    prop_assert!(active.len() >= ups.len().min(5 - spares));
                }
                _ => prop_assert!(active.windows(2).all(|two| two[0] % 2 == two[1] % 2)),
            }
        }
        // Left alone it comes to rest, and nothing is due any more.
        now += 1_000 * SECOND;
        group.tick(now);
        prop_assert!(group.tick(now).is_none());
        prop_assert_eq!(group.next_wake(now), None);
    }
}
