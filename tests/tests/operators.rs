//! What operators do to single replicas and circuits, seen by clients that go on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use system_tests::operated::Operated;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet, managed, misbehave};
use system_tests::wait::{PATIENCE, see};

const LEGACY: Era = Era::Legacy("2025-11-25");
const START_MAX: Duration = Duration::from_secs(30);

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn pid(client: &Client, tool: &str) -> u64 {
    let answer = client.call(tool, "{}").unwrap().value();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{answer:#}")).parse().unwrap()
}

#[test]
fn a_replica_that_is_drained_or_ejected_gets_no_calls_until_it_is_restored() {
    let it = managed(misbehave(&[]), json!({ "replicas": 2, "balance": "round-robin" }));
    let operated = Operated::start(&fleet([("it", it), ("other", misbehave(&[]))]));
    let pids = operated.with_ready("it", 2)["pids"].clone();
    let client = Client::connect(operated.gateway.url(), Era::Modern).unwrap();
    let seen = || -> BTreeSet<u64> { (0..8).map(|_| pid(&client, "it__pid")).collect() };
    let both = seen();
    assert_eq!(both.len(), 2);
    assert!(operated.done(&["drain", "it", "0"]).contains("is drained"));
    let second = seen();
    assert!(second.len() == 1 && second.is_subset(&both), "{second:?} of {both:?}");
    assert!(operated.done(&["status", "it"]).contains("it gets no calls: drained"));
    let refused = operated.run(&["eject", "it", "1"]);
    assert!(!refused.success() && refused.stderr.contains("is the last one"), "{refused:?}");
    operated.done(&["restore", "it", "0"]);
    operated.done(&["eject", "it", "1", "--for", "2"]);
    let first = seen();
    assert!(first.len() == 1 && first.is_disjoint(&second), "{first:?}, {second:?}");
    see(PATIENCE, seen, |seen| *seen == both);
    let refused = operated.run(&["drain", "it", "7"]);
    assert!(!refused.success() && refused.stderr.contains("no replica 7"), "{refused:?}");
    assert_eq!(operated.gateway.server("it")["pids"], pids, "no process was touched");
}

#[test]
fn one_that_stands_by_serves_when_somebody_says_so_and_when_the_other_dies() {
    let block = json!({ "replicas": 2, "failover": "active-passive", "failback": "manual" });
    let it = managed(misbehave(&[]), block);
    let operated = Operated::start(&fleet([("it", it), ("other", misbehave(&[]))]));
    operated.with_ready("it", 2);
    let client = Client::connect(operated.gateway.url(), Era::Modern).unwrap();
    let own = || pid(&client, "it__pid");
    let first = own();
    assert!((0..8).all(|_| own() == first));
    assert!(operated.done(&["status", "it"]).contains("it stands by"));
    assert!(operated.done(&["failover", "it"]).contains("replicas 1 serve"));
    let second = own();
    assert_ne!(second, first);
    operated.done(&["failover", "it", "--back"]);
    assert_eq!(own(), first);
    kill(u32::try_from(first).unwrap());
    let failovers = || operated.gateway.server("it")["failovers"].as_array().cloned().unwrap();
    let last = |all: &Vec<Value>| all.last().is_some_and(|one| one["why"] == "failed");
    let all = see(PATIENCE, failovers, last);
    let why: Vec<&str> = all.iter().filter_map(|one| one["why"].as_str()).collect();
    assert_eq!(why[why.len() - 3..], ["forced", "failback", "failed"], "{all:#?}");
    assert_eq!(own(), second);
    let refused = operated.run(&["failover", "other"]);
    assert!(!refused.success() && refused.stderr.contains("serve"), "{refused:?}");
}

#[test]
fn circuits_are_forced_and_let_go() {
    let it = managed(misbehave(&[]), json!({ "tools": { "echo": { "breaker": true } } }));
    let operated = Operated::start(&fleet([("it", it), ("other", misbehave(&[]))]));
    operated.with_ready("it", 1);
    let client = Client::connect(operated.gateway.url(), Era::Modern).unwrap();
    let code = |tool: &str| {
        let answer = client.call(tool, r#"{"message":"hi"}"#).unwrap().value();
        answer["error"]["data"]["code"].as_str().map(str::to_owned)
    };
    let open = Some("CIRCUIT_OPEN".to_owned());
    operated.done(&["circuit", "it", "open"]);
    assert_eq!((code("it__echo"), code("other__echo")), (open.clone(), None));
    assert!(operated.done(&["status", "it"]).contains("calls are refused (forced-open)"));
    operated.done(&["circuit", "it", "auto"]);
    assert_eq!(code("it__echo"), None);
    operated.done(&["circuit", "it", "open", "--tool", "echo"]);
    assert_eq!((code("it__echo"), code("it__pid")), (open, None));
    let server = operated.gateway.server("it");
    assert_eq!(server["gates"][0]["tool"], "echo", "{server:#}");
    operated.done(&["circuit", "it", "closed", "--tool", "echo"]);
    assert_eq!(code("it__echo"), None);
    let refused = operated.run(&["circuit", "it", "open", "--tool", "pid"]);
    assert!(!refused.success() && refused.stderr.contains("has no breaker"), "{refused:?}");
    let figures = operated.gateway.status()["figures"].clone();
    assert_eq!(figures["total_servers"], 2, "{figures:#}");
    assert_eq!(figures["is_healthy"], true);
}

/// How much a server has said: it says something of each request.
fn said(server: &Running) -> usize {
    server.stdout().len() + server.stderr().len()
}

#[test]
fn a_session_goes_on_at_another_replica_with_all_that_it_was_told() {
    let servers = [(); 2].map(|()| {
        let mut command = peers::server_everything_http();
        command.env("PORT", free_port().to_string());
        Running::start(command)
    });
    let urls: Vec<String> = servers.iter().map(|server| server.endpoint(START_MAX)).collect();
    let it = managed(json!({ "urls": urls }), json!({ "healthCheck": "none" }));
    let operated = Operated::start(&fleet([("it", it), ("other", misbehave(&[]))]));
    operated.with_ready("it", 2);
    let client = Client::connect(operated.gateway.url(), LEGACY).unwrap();
    let call = || client.call("it__echo", r#"{"message":"hi"}"#).unwrap().result().to_owned();
    assert!(call().contains("Echo: hi"));
    client.request("logging/setLevel", r#"{"level":"debug"}"#).unwrap();
    let before = servers.each_ref().map(said);
    assert!(call().contains("Echo: hi"));
    let own = usize::from(said(&servers[1]) > before[1]);
    for home in [own, 1 - own] {
        operated.done(&["drain", "it", &home.to_string()]);
        for _ in 0..5 {
            assert!(call().contains("Echo: hi"), "its client notices nothing");
        }
        let before = servers.each_ref().map(said);
        assert!(call().contains("Echo: hi"));
        assert!(said(&servers[1 - home]) > before[1 - home]);
        operated.done(&["restore", "it", &home.to_string()]);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
