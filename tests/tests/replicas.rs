//! Replicas of real processes and endpoints: who gets a call, what happens when one dies, crash
//! loops, load.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mcp_manager::config::{RestartPolicy, ServerKind, ServerSpec, Stdio};
use mcp_manager::{Call, Definition, Failure, Fleet, Plan, State};
use mcp_wire::{MODERN_VERSION, Message, Request, stateless_meta};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use system_tests::census::{Marker, VARIABLE};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{Client, Era};
use system_tests::servers::{fleet, managed, misbehave};
use system_tests::wait::{PATIENCE, pause, see, timed};
use tokio::runtime::{Builder, Runtime};

const ERAS: [Era; 2] = [Era::Legacy("2025-11-25"), Era::Modern];

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// The process that answers.
fn pid(client: &Client, tool: &str) -> u32 {
    let answer = client.call(tool, "{}").unwrap().value();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{answer:#}")).parse().unwrap()
}

fn with_ready(gateway: &Gateway, name: &str, count: u64) -> Value {
    let ready = |server: &Value| server["replicas_ready"] == count && server["tools"] != 0;
    see(PATIENCE, || gateway.server(name), ready)
}

#[test]
fn three_processes_share_the_calls_and_a_killed_one_is_started_again_by_itself() {
    let three = managed(misbehave(&["--stateful"]), json!({ "replicas": 3 }));
    let config = fleet([("it", three), ("other", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let before = with_ready(&gateway, "it", 3)["pids"].clone();
    let others = gateway.server("other")["pids"].clone();
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    // Each costs the same, so twelve at a time are four each.
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| client.call("it__slow", r#"{"ms":2000}"#).unwrap());
        }
        let loads = || -> Vec<u64> {
            let replicas = gateway.server("it")["replicas"].take();
            let all = replicas.as_array().unwrap().iter();
            all.map(|replica| replica["in_flight"].as_u64().unwrap()).collect()
        };
        see(PATIENCE, loads, |loads| *loads == [4, 4, 4]);
    });

    let victim = pid(&client, "it__pid");
    kill(victim);
    // Calls that are made while it is away go to the others.
    let (gateway, calls) = (&gateway, AtomicUsize::new(0));
    thread::scope(|scope| {
        // The two are not read at one moment.
        let back = |server: &Value| {
            let three = server["pids"].as_array().is_some_and(|pids| pids.len() == 3);
            three && server["replicas_ready"] == 3 && server["pids"] != before
        };
        let back = scope.spawn(move || see(PATIENCE, || gateway.server("it"), back));
        while !back.is_finished() || calls.load(Ordering::Relaxed) < 20 {
            let answer = client.call("it__slow", r#"{"ms":5}"#).unwrap();
            assert!(answer.result().contains("Slept"), "{answer:?}");
            calls.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_ne!(pid(&client, "it__pid"), victim, "{calls:?} calls");
    assert_eq!(gateway.server("other")["pids"], others, "its neighbour was not touched");
}

/// A fleet in this process, of servers that are commands.
struct World {
    runtime: Runtime,
    fleet: Arc<Fleet>,
}

impl World {
    fn start(servers: Vec<Definition>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut plan = Plan::default();
        plan.servers = servers;
        let fleet = Arc::new(Fleet::new(plan).unwrap());
        runtime.block_on(async { fleet.start() });
        Self { runtime, fleet }
    }

    fn state(&self, name: &str) -> State {
        self.fleet.server(name).unwrap().state()
    }

    fn see_in(&self, name: &str, word: &str) -> State {
        see(PATIENCE, || self.state(name), |state| state.word() == word)
    }

    fn call(&self, server: &str, tool: &str, arguments: &str) -> Result<String, Failure> {
        let meta = stateless_meta(MODERN_VERSION, "{}", None);
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments},"_meta":{{{meta}}}}}"#);
        let request = Request::read(Message::request("1", "tools/call", &params)).unwrap();
        let scope = self.fleet.just(server).unwrap();
        let call = Call { request, client: None, scope };
        self.runtime.block_on(async {
            let answer = self.fleet.dispatch(call).await?.reply().await?;
            let result: Value = serde_json::from_str(answer.result_json().unwrap()).unwrap();
            Ok(result["content"][0]["text"].as_str().unwrap().to_owned())
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.runtime.block_on(self.fleet.stop());
    }
}

fn command(name: &str, program: impl Into<String>, args: &[&str]) -> Definition {
    let mut stdio = Stdio::new(mcp_manager::config::Text::plain(program));
    stdio.args = args.iter().map(|arg| mcp_manager::config::Text::plain(*arg)).collect();
    Definition::from(ServerSpec::new(name, ServerKind::Stdio(stdio)))
}

fn misbehaving(name: &str, args: &[&str]) -> Definition {
    command(name, peers::own("misbehave").to_string_lossy(), args)
}

#[test]
fn fault_16_a_crash_loop_slows_down_ends_in_failed_and_a_restart_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (starts, works) = (dir.path().join("starts"), dir.path().join("works"));
    let script = format!(
        "date +%s%N >> {}; test -e {} && exec {}; echo 'out of luck' >&2; exit 3",
        starts.display(),
        works.display(),
        peers::own("misbehave").display(),
    );
    let mut crasher = command("crasher", "/bin/sh", &["-c", &script]);
    // Otherwise an attempt is two starts, since some servers only die of `server/discover`.
    crasher.settings.protocol_era = mcp_manager::config::ProtocolEra::Legacy;
    crasher.settings.restarts.max = 3;
    let world = World::start(vec![crasher, misbehaving("fine", &[])]);
    let own = world.call("fine", "pid", "{}").unwrap();

    let State::Failed { failure } = world.see_in("crasher", "failed") else { unreachable!() };
    assert!(failure.to_string().contains("out of luck"), "{failure}");
    let times = fs::read_to_string(&starts).unwrap();
    let times: Vec<u64> = times.lines().map(|line| line.parse().unwrap()).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    assert_eq!(pauses.len(), 3, "{pauses:?}");
    for (pause, nominal) in pauses.iter().zip([1000, 2000, 4000]) {
        assert!((nominal * 8 / 10..nominal + 1000).contains(pause), "{pauses:?}");
    }
    let (failure, time) = timed(|| world.call("crasher", "pid", "{}").unwrap_err());
    assert!(time < Duration::from_secs(1), "{time:?}");
    assert_eq!(failure.code(), "SERVER_UNAVAILABLE");
    assert!(failure.to_string().contains("until somebody restarts it"), "{failure}");
    pause(Duration::from_secs(2));
    assert_eq!(fs::read_to_string(&starts).unwrap().lines().count(), 4, "it was given up");

    fs::write(&works, "").unwrap();
    assert_eq!(world.runtime.block_on(world.fleet.restart("crasher")), Ok(()));
    assert!(world.call("crasher", "pid", "{}").is_ok());
    // S9: its neighbour is the same process as before.
    assert_eq!(world.call("fine", "pid", "{}").unwrap(), own);
}

#[test]
fn the_policy_says_which_ends_are_followed_by_a_start() {
    let mut servers = Vec::new();
    for (name, policy) in [
        ("permanent", RestartPolicy::Permanent),
        ("transient", RestartPolicy::Transient),
        ("temporary", RestartPolicy::Temporary),
    ] {
        let mut server = misbehaving(name, &[]);
        server.settings.restarts.policy = policy;
        servers.push(server);
    }
    let world = World::start(servers);
    for (name, code, word) in [
        ("permanent", 0, "ready"),
        ("transient", 0, "idle"),
        ("transient", 1, "ready"),
        ("temporary", 1, "idle"),
    ] {
        let before = world.call(name, "pid", "{}").unwrap();
        let starts = || world.fleet.server(name).unwrap().totals().started;
        let started = starts();
        let died = world.call(name, "die", &format!(r#"{{"code":{code}}}"#)).unwrap_err();
        assert_eq!(died.code(), "SERVER_UNAVAILABLE", "{name}: {died}");
        if word == "ready" {
            see(PATIENCE, starts, |now| *now > started);
        }
        world.see_in(name, word);
        // The next call starts what is idle.
        assert_ne!(world.call(name, "pid", "{}").unwrap(), before, "{name}, code {code}");
        world.see_in(name, "ready");
    }
}

#[test]
fn a_fleet_changes_under_its_calls_and_leaves_nothing_behind() {
    let marker = Marker::new("dynamic");
    let marked = |mut definition: Definition| {
        let mcp_manager::Source::Configured(ServerKind::Stdio(stdio)) = &mut definition.source
        else {
            unreachable!()
        };
        stdio.env.push((VARIABLE.to_owned(), mcp_manager::config::Text::plain(marker.text())));
        definition
    };
    let (changes, same) = (marked(misbehaving("changes", &[])), misbehaving("same", &[]));
    let world = World::start(vec![changes.clone(), same, marked(misbehaving("goes", &[]))]);
    let kept = world.call("same", "pid", "{}").unwrap();
    let old = world.call("changes", "pid", "{}").unwrap();
    let mut other = changes;
    other.settings.call_timeout = Duration::from_secs(50);
    let slow = r#"{"ms":1500}"#;
    thread::scope(|scope| {
        let calls = ["changes", "goes"].map(|name| scope.spawn(|| world.call(name, "slow", slow)));
        let busy = |name: &str| world.fleet.server(name).unwrap().queue().0 == 1;
        see(PATIENCE, || busy("changes") && busy("goes"), |busy| *busy);
        let handle = world.runtime.handle();
        let updated = handle.block_on(world.fleet.update(other));
        let removed = handle.block_on(world.fleet.remove("goes"));
        assert_eq!((updated, removed), (Ok(()), Ok(())));
        for call in calls {
            assert!(call.join().unwrap().unwrap().contains("Slept"));
        }
    });
    assert_ne!(world.call("changes", "pid", "{}").unwrap(), old);
    assert_eq!(world.call("same", "pid", "{}").unwrap(), kept, "nobody has touched it");
    assert!(world.fleet.just("goes").is_none());
    assert_eq!(marker.processes().len(), 1, "the old ones are gone");
    drop(world);
    assert!(marker.processes().is_empty());
}

#[test]
fn the_number_of_processes_follows_the_load() {
    let mut server = misbehaving("it", &[]);
    let scaling = &mut server.settings.scaling;
    (scaling.replicas_max, scaling.target) = (3, 2);
    scaling.cooldown = Duration::from_secs(2);
    let world = World::start(vec![server]);
    world.see_in("it", "ready");
    let count = || world.fleet.server("it").unwrap().pids().len();
    assert_eq!(count(), 1);
    thread::scope(|scope| {
        let calls: Vec<_> =
            (0..6).map(|_| scope.spawn(|| world.call("it", "slow", r#"{"ms":3000}"#))).collect();
        see(PATIENCE, count, |count| *count == 3);
        for call in calls {
            assert!(call.join().unwrap().unwrap().contains("Slept"));
        }
    });
    see(PATIENCE, count, |count| *count == 1);
    let numbers = world.fleet.server("it").unwrap().replica_status();
    assert_eq!(numbers.iter().map(|replica| replica.number).collect::<Vec<_>>(), [0]);
}

/// An endpoint that can be killed and started again at the same port.
struct Endpoint {
    running: Option<Running>,
    port: u16,
}

impl Endpoint {
    fn start() -> Self {
        // The system's choice, kept for the second life: nobody else is given it so soon.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut endpoint = Self { running: None, port };
        endpoint.restart();
        endpoint
    }

    fn restart(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-fixture"));
        command.args(["http", "--until-stdin-closes", "--port", &self.port.to_string()]);
        let running = Running::start(command);
        running.endpoint(PATIENCE);
        self.running = Some(running);
    }

    fn kill(&mut self) {
        let running = self.running.take().unwrap();
        running.signal(Signal::KILL);
        running.wait(PATIENCE);
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}

#[test]
fn where_a_server_has_two_urls_calls_go_on_when_one_of_them_dies() {
    let mut endpoints = [Endpoint::start(), Endpoint::start()];
    let urls: Vec<String> = endpoints.iter().map(Endpoint::url).collect();
    let config = fleet([("it", json!({ "urls": urls })), ("other", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    for victim in [0, 1] {
        with_ready(&gateway, "it", 2);
        let clients: Vec<Client> = [ERAS, ERAS]
            .concat()
            .into_iter()
            .map(|era| Client::connect(gateway.url(), era).unwrap())
            .collect();
        let call_all = || {
            for client in &clients {
                let answer = client.call("it__test_simple_text", "{}").unwrap();
                assert!(answer.result().contains("simple text"), "{answer:?}");
            }
        };
        (0..3).for_each(|_| call_all());
        endpoints[victim].kill();
        (0..5).for_each(|_| call_all());
        assert_eq!(gateway.server("it")["replicas_ready"], 1);
        endpoints[victim].restart();
    }
    with_ready(&gateway, "it", 2);
}
