//! Stories of one board, and what holds whatever happens.

use std::task::Context;

use proptest::prelude::*;

use super::*;

/// Everything that waits for a listener.
fn heard(board: &mut Board, id: u64) -> Vec<Change> {
    let context = Context::from_waker(Waker::noop());
    let next = || match board.poll(id, &context) {
        Poll::Ready(change) => change,
        Poll::Pending => None,
    };
    std::iter::from_fn(next).collect()
}

/// What the server is asked until it does what is wanted; it agrees to all but `refused`.
fn settle(board: &mut Board, refused: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = board.next_step() {
        assert!(steps.len() < 1000, "it never settles");
        let refuses = matches!(&step, Step::Subscribe(uri) if &**uri == refused);
        board.stepped(step.clone(), if refuses { Err("no".into()) } else { Ok(()) });
        steps.push(step);
    }
    steps
}

fn updated(uri: &str) -> Change {
    Change::Resource(uri.into())
}

#[test]
fn a_resource_is_asked_for_once_and_given_up_with_its_last_listener() {
    let mut board = Board::default();
    let (a, b) = (board.join(Lists::NONE).unwrap(), board.join(Lists::NONE).unwrap());
    for id in [a, b, a] {
        board.subscribe(id, "x").unwrap();
    }
    assert_eq!(settle(&mut board, ""), [Step::Subscribe("x".into())]);
    board.unsubscribe(a, "x");
    assert_eq!(settle(&mut board, ""), []);
    board.leave(b);
    assert_eq!(settle(&mut board, ""), [Step::Unsubscribe("x".into())]);
    assert!(!board.is_idle());
    board.leave(a);
    assert!(board.is_idle());
}

#[test]
fn who_comes_back_in_time_keeps_the_subscription() {
    let mut board = Board::default();
    let a = board.join(Lists::NONE).unwrap();
    board.subscribe(a, "x").unwrap();
    settle(&mut board, "");
    board.leave(a);
    let b = board.join(Lists::NONE).unwrap();
    board.subscribe(b, "x").unwrap();
    assert_eq!(settle(&mut board, ""), []);
    assert_eq!(board.answer("x"), Answer::Yes);
}

#[test]
fn a_refusal_is_kept_until_nobody_asks_and_on_a_new_connection_asked_for_again() {
    let mut board = Board::default();
    let a = board.join(Lists::NONE).unwrap();
    for uri in ["x", "y"] {
        board.subscribe(a, uri).unwrap();
    }
    assert_eq!(settle(&mut board, "x").len(), 2);
    assert_eq!((board.answer("x"), board.answer("y")), (Answer::No("no".into()), Answer::Yes));
    assert_eq!(board.wanted().resources, BTreeSet::from(["y".into()]));
    board.renew();
    assert_eq!(board.answer("y"), Answer::None);
    assert_eq!(settle(&mut board, "").len(), 2);
    assert_eq!(board.answer("x"), Answer::Yes);
}

#[test]
fn a_storm_is_one_change_of_each_thing() {
    let mut board = Board::default();
    let (a, b) = (board.join(Lists::ALL).unwrap(), board.join(Lists::TOOLS).unwrap());
    board.subscribe(a, "x").unwrap();
    for _ in 0..1000 {
        let _ = board.lists_changed(Lists::TOOLS.with(Lists::RESOURCES));
        let _ = board.resource_changed("x");
        let _ = board.resource_changed("z");
    }
    let expected = [Change::List(Lists::TOOLS), Change::List(Lists::RESOURCES), updated("x")];
    assert_eq!(heard(&mut board, a), expected);
    assert_eq!(heard(&mut board, b), [Change::List(Lists::TOOLS)]);
    assert_eq!(heard(&mut board, a), []);
}

#[test]
fn what_changed_below_a_resource_is_told_to_its_listeners() {
    let mut board = Board::default();
    let ids: Vec<_> = (0..3).map(|_| board.join(Lists::NONE).unwrap()).collect();
    for (id, uri) in ids.iter().zip(["file:///dir", "file:///dir/", "file:///di"]) {
        board.subscribe(*id, uri).unwrap();
    }
    let _ = board.resource_changed("file:///dir/a/b");
    let below = [updated("file:///dir/a/b")];
    assert_eq!(heard(&mut board, ids[0]), below);
    assert_eq!(heard(&mut board, ids[1]), below);
    assert_eq!(heard(&mut board, ids[2]), []);
    for number in 0..10_000 {
        let _ = board.resource_changed(&format!("file:///dir/{number}"));
    }
    let all = heard(&mut board, ids[0]);
    assert_eq!(all.len(), BELOW_MAX + 2, "as many as have room, and the one above the rest");
    assert!(all.contains(&updated("file:///dir")));
}

#[test]
fn the_most_curious_listener_sets_the_level() {
    let mut board = Board::default();
    let (a, b) = (board.join(Lists::NONE).unwrap(), board.join(Lists::NONE).unwrap());
    assert_eq!(settle(&mut board, ""), [], "as long as nobody chose, the server does");
    for (id, level, asked) in [
        (a, Level::Error, Some(Level::Info)),
        (b, Level::Warning, Some(Level::Warning)),
        (b, Level::Debug, Some(Level::Debug)),
        (a, Level::Notice, None),
    ] {
        board.set_level(id, level);
        let steps: Vec<_> = asked.map(Step::SetLevel).into_iter().collect();
        assert_eq!(settle(&mut board, ""), steps);
        assert!(board.has_level());
    }
    board.leave(b);
    assert_eq!(settle(&mut board, ""), [Step::SetLevel(Level::Notice)]);
    board.renew();
    assert_eq!(settle(&mut board, ""), [Step::SetLevel(Level::Notice)]);
    board.leave(a);
    assert_eq!(settle(&mut board, ""), [Step::SetLevel(DEFAULT)]);
}

#[test]
fn the_end_comes_after_what_waits() {
    let mut board = Board::default();
    let a = board.join(Lists::ALL).unwrap();
    let _ = board.lists_changed(Lists::TOOLS);
    let _ = board.close();
    let context = Context::from_waker(Waker::noop());
    assert_eq!(board.poll(a, &context), Poll::Ready(Some(Change::List(Lists::TOOLS))));
    assert_eq!(board.poll(a, &context), Poll::Ready(None));
}

#[test]
fn everything_is_bounded() {
    let mut board = Board::default();
    let a = board.join(Lists::NONE).unwrap();
    assert_eq!(board.subscribe(a, &"x".repeat(URI_BYTES_MAX + 1)), Err(BoardError::Uri));
    for number in 0..SUBSCRIPTIONS_MAX {
        board.subscribe(a, &number.to_string()).unwrap();
    }
    assert_eq!(board.subscribe(a, "one more"), Err(BoardError::OfListener));
    assert_eq!(board.subscribe(a, "0"), Ok(()), "this one it has");
    let others = RESOURCES_MAX / SUBSCRIPTIONS_MAX;
    let mut last = a;
    for listener in 1..=others {
        last = board.join(Lists::NONE).unwrap();
        for number in 0..SUBSCRIPTIONS_MAX {
            let outcome = board.subscribe(last, &format!("{listener}/{number}"));
            let full = listener == others;
            assert_eq!(outcome, if full { Err(BoardError::Resources) } else { Ok(()) });
        }
    }
    assert_eq!(board.subscribe(last, "0"), Ok(()), "one that is known already costs nothing");
    while board.join(Lists::NONE).is_ok() {}
    assert_eq!(board.listeners.len(), LISTENERS_MAX);
}

#[derive(Clone, Debug)]
enum Act {
    Join(bool),
    Leave(usize),
    Subscribe(usize, u8),
    Unsubscribe(usize, u8),
    Changed(u8),
    ListChanged,
    Hear(usize),
    /// The driver asks the server for one thing, but the answer comes only with the next of these.
    Step,
    Reconnect,
}

fn act() -> impl Strategy<Value = Act> {
    let (who, uri) = (0..6_usize, 0..4_u8);
    prop_oneof![
        3 => any::<bool>().prop_map(Act::Join),
        2 => who.clone().prop_map(Act::Leave),
        6 => (who.clone(), uri.clone()).prop_map(|(who, uri)| Act::Subscribe(who, uri)),
        4 => (who.clone(), uri.clone()).prop_map(|(who, uri)| Act::Unsubscribe(who, uri)),
        6 => uri.prop_map(Act::Changed),
        2 => Just(Act::ListChanged),
        4 => who.prop_map(Act::Hear),
        6 => Just(Act::Step),
        1 => Just(Act::Reconnect),
    ]
}

/// What a listener wants, and what it has not heard yet: nobody but the board knows better.
#[derive(Default)]
struct Model {
    lists: bool,
    resources: BTreeSet<String>,
    unheard: BTreeSet<String>,
    list_unheard: bool,
}

proptest! {
    /// Whatever is done in whichever order: no listener misses the last change of what it wants,
    /// nor hears of what it does not want; and the server ends up subscribed to exactly what
    /// somebody wants, to nothing when all have left.
    #[test]
    fn no_interleaving_loses_a_change_or_leaves_a_subscription_behind(
        acts in proptest::collection::vec(act(), 1..120)
    ) {
        let mut board = Board::default();
        let mut models: BTreeMap<u64, Model> = BTreeMap::new();
        let mut server: BTreeSet<String> = BTreeSet::new();
        let mut under_way: Option<Step> = None;
        let pick = |models: &BTreeMap<u64, Model>, who: usize| models.keys().nth(who).copied();
        for act in acts {
            match act {
                Act::Join(lists) => {
                    let wanted = if lists { Lists::TOOLS } else { Lists::NONE };
                    let model = Model { lists, ..Model::default() };
                    models.insert(board.join(wanted).unwrap(), model);
                }
                Act::Leave(who) => if let Some(id) = pick(&models, who) {
                    board.leave(id);
                    models.remove(&id);
                }
                Act::Subscribe(who, uri) => if let Some(id) = pick(&models, who) {
                    board.subscribe(id, &uri.to_string()).unwrap();
                    models.get_mut(&id).unwrap().resources.insert(uri.to_string());
                }
                Act::Unsubscribe(who, uri) => if let Some(id) = pick(&models, who) {
                    board.unsubscribe(id, &uri.to_string());
                    let model = models.get_mut(&id).unwrap();
                    model.resources.remove(&uri.to_string());
                    model.unheard.remove(&uri.to_string());
                }
                Act::Changed(uri) => {
                    let _ = board.resource_changed(&uri.to_string());
                    for model in models.values_mut() {
                        if model.resources.contains(&uri.to_string()) {
                            model.unheard.insert(uri.to_string());
                        }
                    }
                }
                Act::ListChanged => {
                    let _ = board.lists_changed(Lists::TOOLS);
                    models.values_mut().for_each(|model| model.list_unheard |= model.lists);
                }
                Act::Hear(who) => if let Some(id) = pick(&models, who) {
                    let heard = heard(&mut board, id);
                    let model = models.get_mut(&id).unwrap();
                    let mut expected = Vec::new();
                    if std::mem::take(&mut model.list_unheard) {
                        expected.push(Change::List(Lists::TOOLS));
                    }
                    let unheard = std::mem::take(&mut model.unheard);
                    expected.extend(unheard.iter().map(|uri| updated(uri)));
                    prop_assert_eq!(heard, expected);
                }
                Act::Step => match under_way.take() {
                    Some(step) => {
                        match &step {
                            Step::Subscribe(uri) => _ = server.insert(uri.to_string()),
                            Step::Unsubscribe(uri) => _ = server.remove(&**uri),
                            Step::SetLevel(_) => {}
                        }
                        board.stepped(step, Ok(()));
                    }
                    None => under_way = board.next_step(),
                },
                Act::Reconnect => {
                    // What was under way on the connection before has no answer any more.
                    under_way = None;
                    server.clear();
                    board.renew();
                }
            }
        }
        for everyone_left in [false, true] {
            if everyone_left {
                models.keys().for_each(|id| board.leave(*id));
                models.clear();
            }
            while let Some(step) = under_way.take().or_else(|| board.next_step()) {
                match &step {
                    Step::Subscribe(uri) => prop_assert!(server.insert(uri.to_string())),
                    Step::Unsubscribe(uri) => prop_assert!(server.remove(&**uri)),
                    Step::SetLevel(_) => {}
                }
                board.stepped(step, Ok(()));
            }
            let wanted: BTreeSet<String> =
                models.values().flat_map(|model| model.resources.iter().cloned()).collect();
            prop_assert_eq!(&server, &wanted);
        }
        prop_assert!(board.is_idle());
    }
}
