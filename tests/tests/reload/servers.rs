//! What becomes of the servers: those that stay, those that change, those that go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::json;
use system_tests::census::{Marker, VARIABLE, is_alive};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::raw::{Client, Era, until_answer};
use system_tests::servers::{fleet, managed, misbehave, shell, with_env};
use system_tests::wait::{PATIENCE, see, timed};

use crate::bystander::{self, Bystander};
use crate::{LEGACY, pid, reloads, said, save, see_said};

#[test]
fn fault_42_only_what_has_changed_is_touched() {
    let everything = || peers::as_config(&peers::server_everything());
    let config = |number: &str| {
        let changed = with_env(misbehave(&[]), "NUMBER", number);
        fleet([
            ("bystander", bystander::entry()),
            ("everything", everything()),
            ("changed", changed),
        ])
    };
    let gateway = Gateway::settled(&config("1"));
    let bystander = Bystander::of(&gateway);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let echoes = || {
        let answer = client.call("everything__echo", r#"{"message":"hi"}"#).unwrap();
        assert!(answer.result().contains("Echo: hi"), "{answer:?}");
        gateway.server("everything")["pids"].take()
    };
    let everything = echoes();
    let before = gateway.server("changed")["pids"].take();
    let call = bystander.busy(&gateway, 3000);
    save(&gateway, &config("2"));
    see_said(&gateway, "changed changed; 2 unchanged");
    let after = gateway.server_in("changed", "ready")["pids"].take();
    assert_ne!(after, before);
    assert_eq!(echoes(), everything);
    call.join().unwrap();
    bystander.assert_untouched(&gateway);
}

#[test]
fn a_changed_server_is_there_all_the_time() {
    let slow_start = |number: u32| {
        let script = format!("sleep 1; NUMBER={number} exec \"$MISBEHAVE\"");
        fleet([("bystander", bystander::entry()), ("changed", shell(&script))])
    };
    let gateway = Gateway::start(&slow_start(1));
    gateway.server_in("changed", "ready");
    let bystander = Bystander::of(&gateway);
    let over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        // One call after the other, without a session: whoever is there answers.
        let calling = scope.spawn(|| {
            let client = Client::connect(gateway.url(), Era::Modern).unwrap();
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                seen.push(pid(&client, "changed__pid"));
            }
            seen
        });
        save(&gateway, &slow_start(2));
        see_said(&gateway, "changed changed; 1 unchanged");
        over.store(true, Ordering::Relaxed);
        calling.join().unwrap()
    });
    let (mut pids, calls) = (seen.clone(), seen.len());
    pids.dedup();
    // Every call was answered: first by the old one, then by the new one.
    assert!(pids.len() <= 2 && calls > 2, "{pids:?}");
    assert_ne!(gateway.server("changed")["pids"][0], pids[0]);
    see(PATIENCE, || is_alive(pids[0]), |alive| !alive);
    bystander.assert_untouched(&gateway);
}

#[test]
fn a_change_that_does_not_start_leaves_what_there_is() {
    let with = |entry| fleet([("bystander", bystander::entry()), ("changed", entry)]);
    let gateway = Gateway::settled(&with(misbehave(&[])));
    let bystander = Bystander::of(&gateway);
    let before = gateway.server_in("changed", "ready")["pids"].take();
    let failing = [
        (misbehave(&["--exit-on-start", "3"]), "changed stays as it was: "),
        (json!({ "command": "/no/such/file" }), "/no/such/file"),
        (json!({ "command": "sh", "args": ["${NOT_SET_HERE}"] }), "NOT_SET_HERE"),
    ];
    for (number, (entry, words)) in failing.into_iter().enumerate() {
        save(&gateway, &with(entry));
        see_said(&gateway, words);
        assert_eq!(reloads(&gateway).len(), number + 1, "{:?}", said(&gateway));
        let after = gateway.server_in("changed", "ready")["pids"].take();
        assert_eq!(after, before, "{words}");
    }
    // The same file once more is another attempt.
    save(&gateway, &with(with_env(misbehave(&[]), "NUMBER", "2")));
    see_said(&gateway, "changed changed; 1 unchanged");
    assert_ne!(gateway.server_in("changed", "ready")["pids"], before);
    bystander.assert_untouched(&gateway);
}

#[test]
fn a_removed_server_finishes_its_calls() {
    let marker = Marker::new("removed");
    let leaving = with_env(misbehave(&[]), VARIABLE, marker.text());
    // Of one server alone, names would be as they are.
    let staying = || [("bystander", bystander::entry()), ("other", misbehave(&[]))];
    let mut before = fleet(staying());
    before["mcpServers"]["leaving"] = leaving;
    let gateway = Gateway::settled(&before);
    let bystander = Bystander::of(&gateway);
    let idle = marker.processes();
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let params = r#"{"name":"leaving__slow","arguments":{"ms":3000}}"#;
    let (id, reply) = client.open("tools/call", params, "").unwrap();
    // The session's own process is what has the call: without it, there is none to finish.
    see(PATIENCE, || marker.processes(), |now| !now.is_subset(&idle));
    save(&gateway, &fleet(staying()));
    // It is off the list while its call goes on.
    let listed = || {
        let other = Client::connect(gateway.url(), Era::Modern).unwrap();
        let list = other.request("tools/list", "{}").unwrap();
        list.result().contains("leaving__")
    };
    let (_, time) = timed(|| see(PATIENCE, listed, |listed| !listed));
    let left = marker.processes();
    let answer = until_answer(reply, &id).unwrap();
    assert!(!left.is_empty(), "ended with a call in flight, after {time:?}: {answer:?}");
    assert!(answer.error().is_empty() && !answer.result().is_empty(), "{answer:?}");
    see_said(&gateway, "removed leaving; 2 unchanged");
    see(PATIENCE, || marker.processes(), |left| left.is_empty());
    bystander.assert_untouched(&gateway);
}

#[test]
fn fault_42_a_reload_during_another_is_one_more() {
    let with = |number: u32| {
        let script = format!("echo x >> started; sleep 2; NUMBER={number} exec \"$MISBEHAVE\"");
        fleet([("bystander", bystander::entry()), ("changed", shell(&script))])
    };
    let gateway = Gateway::start(&with(1));
    gateway.server_in("changed", "ready");
    let bystander = Bystander::of(&gateway);
    let started = gateway.config_file().with_file_name("started");
    let starts = || std::fs::read_to_string(&started).unwrap_or_default().lines().count();
    let before = starts();
    save(&gateway, &with(2));
    see(PATIENCE, starts, |starts| *starts > before);
    // While the new one starts, the file changes again and again, and signals come as well.
    for number in 3..=20 {
        save(&gateway, &with(number));
        gateway.process().signal(Signal::HUP);
    }
    see(
        PATIENCE,
        || reloads(&gateway),
        |reloads| {
            reloads.len() >= 2
                && reloads[..2].iter().all(|line| line.starts_with("changed changed"))
        },
    );
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let environment = format!("/proc/{}/environ", pid(&client, "changed__pid"));
    let environment = std::fs::read(environment).unwrap();
    assert!(String::from_utf8_lossy(&environment).contains("NUMBER=20\0"), "not the last file");
    // The first, one for all that came while it ran, and at most what the watch saw of it as well.
    assert!(reloads(&gateway).len() <= 3, "{:?}", said(&gateway));
    bystander.assert_untouched(&gateway);
}

#[test]
fn fault_42_a_reload_during_a_restart_ends_the_misery() {
    let with = |entry| fleet([("bystander", bystander::entry()), ("dying", entry)]);
    let dying = managed(misbehave(&["--exit-on-start", "3"]), json!({ "restartsMax": 1000 }));
    let gateway = Gateway::start(&with(dying));
    let bystander = Bystander::of(&gateway);
    gateway.server_in("dying", "restarting");
    save(&gateway, &with(misbehave(&[])));
    see_said(&gateway, "changed dying; 1 unchanged");
    gateway.server_in("dying", "ready");
    bystander.assert_untouched(&gateway);
    // One that has given up is as good as one that tries.
    let given_up = managed(misbehave(&["--exit-on-start", "3"]), json!({ "restartsMax": 1 }));
    save(&gateway, &fleet([("bystander", bystander::entry()), ("failed", given_up)]));
    gateway.server_in("failed", "failed");
    save(&gateway, &fleet([("bystander", bystander::entry()), ("failed", misbehave(&[]))]));
    gateway.server_in("failed", "ready");
    bystander.assert_untouched(&gateway);
}
