//! Sessions of a real npm server on processes that were started before they were needed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::sync::Arc;

use mcp_manager::config::{ServerKind, ServerSpec, Sessions, Stdio};
use mcp_manager::{Call, Client, Definition, Fleet, Plan, PoolStats};
use mcp_wire::{Message, Request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use system_tests::census::{descendants, is_alive};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::raw;
use system_tests::servers::{fleet, managed};
use system_tests::wait::{PATIENCE, see};
use tokio::runtime::{Builder, Runtime};

const NAME: &str = "everything";
const INITIALIZE: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"spares","version":"1"}}"#;

/// A fleet of one server, in this process: its descendants are the fleet's processes.
struct World {
    runtime: Runtime,
    fleet: Arc<Fleet>,
}

impl World {
    fn start(spares: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut plan = Plan::default();
        plan.servers = vec![definition(spares)];
        let fleet = Arc::new(Fleet::new(plan).unwrap());
        let world = Self { runtime, fleet };
        world.runtime.block_on(async { world.fleet.start() });
        world
    }

    fn pool(&self) -> PoolStats {
        self.fleet.server(NAME).unwrap().pool_stats().unwrap_or_default()
    }

    /// All of its processes, once so many spares are ready and nothing else is going on.
    fn processes(&self, spares: usize) -> BTreeSet<u32> {
        let idle = |pool: &PoolStats| pool.idle == spares && pool.open == spares;
        see(PATIENCE, || self.pool(), idle);
        all()
    }

    /// A session of its own, opened and used.
    fn session(&self) -> Arc<Client> {
        let client = self.fleet.connect(self.fleet.just(NAME).unwrap());
        let initialize = request("initialize", INITIALIZE);
        self.runtime.block_on(self.fleet.initialize(&client, &initialize)).unwrap();
        let params = r#"{"name":"echo","arguments":{"message":"is this mine?"}}"#;
        assert!(self.call(&client, params).contains("is this mine?"));
        client
    }

    fn call(&self, client: &Arc<Client>, params: &str) -> String {
        self.runtime.block_on(answer(Arc::clone(&self.fleet), Arc::clone(client), params))
    }

    /// Which process a session had: the one that goes with it.
    fn process_of(&self, client: Arc<Client>, spares: usize) -> u32 {
        let before = self.processes(spares);
        client.leave();
        drop(client);
        let after = see(PATIENCE, all, |now| now.len() < before.len());
        let gone: Vec<u32> = before.difference(&after).copied().collect();
        assert_eq!((gone.len(), after.difference(&before).count()), (1, 0), "{before:?} {after:?}");
        gone[0]
    }
}

async fn answer(fleet: Arc<Fleet>, client: Arc<Client>, params: &str) -> String {
    let (scope, request) = (client.scope().clone(), request("tools/call", params));
    let call = Call { request, client: Some(client), scope };
    fleet.dispatch(call).await.unwrap().reply().await.unwrap().as_str().to_owned()
}

fn definition(spares: usize) -> Definition {
    let command = peers::server_everything();
    let mut stdio = Stdio::new(command.get_program().to_str().unwrap());
    stdio.args = command.get_args().map(|arg| arg.to_str().unwrap().into()).collect();
    let mut spec = ServerSpec::new(NAME, ServerKind::Stdio(stdio));
    spec.settings.sessions = Sessions::Pooled;
    spec.settings.spares = spares;
    Definition::from(spec)
}

fn request(method: &str, params: &str) -> Request {
    Request::read(Message::request("1", method, params)).unwrap()
}

fn all() -> BTreeSet<u32> {
    descendants(std::process::id())
}

#[test]
fn a_new_session_has_a_process_that_was_there_before_it() {
    let world = World::start(1);
    let before_one = world.processes(1);
    assert_eq!(before_one.len(), 2, "our own, and one spare");
    let one = world.session();
    let before_two = world.processes(1);
    let two = world.session();
    world.processes(1);

    let (of_one, of_two) = (world.process_of(one, 1), world.process_of(two, 1));
    assert!(before_one.contains(&of_one), "the first session paid for its start");
    assert!(before_two.contains(&of_two), "the second session paid for its start");
    assert_ne!(of_one, of_two, "a session was shared");
    let pool = world.pool();
    assert_eq!((pool.detached, pool.created, pool.closed.total()), (2, 3, 0));

    world.runtime.block_on(world.fleet.stop());
    assert!(all().is_empty(), "spares outlived the fleet");
}

#[test]
fn sessions_that_come_at_once_have_a_process_each() {
    let world = World::start(2);
    world.processes(2);
    let clients: Vec<_> = (0..4).map(|_| world.session()).collect();
    world.processes(2);
    let processes: BTreeSet<u32> =
        clients.into_iter().map(|client| world.process_of(client, 2)).collect();
    assert_eq!(processes.len(), 4, "a session was shared");
}

#[test]
fn a_spare_that_dies_is_replaced_and_never_given() {
    let world = World::start(1);
    let before = world.processes(1);
    let ours = world.fleet.server(NAME).unwrap().pids();
    let spare = before.iter().find(|pid| !ours.contains(pid)).copied().unwrap();
    kill_process(Pid::from_raw(i32::try_from(spare).unwrap()).unwrap(), Signal::KILL).unwrap();
    see(PATIENCE, || world.pool().closed.total(), |closed| *closed == 1);
    let after = world.processes(1);
    assert!(!after.contains(&spare));
    drop(world.session());
}

#[test]
fn spares_of_an_old_definition_go_with_it() {
    let world = World::start(1);
    let before = world.processes(1);
    // Two spares and the manager's own connection, all of them new.
    world.runtime.block_on(world.fleet.update(definition(2))).unwrap();
    let after = see(PATIENCE, || world.processes(2), |now| now.len() == 3);
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");

    world.runtime.block_on(world.fleet.stop_server(NAME)).unwrap();
    see(PATIENCE, all, BTreeSet::is_empty);
    assert_eq!(world.pool(), PoolStats::default(), "a server that is stopped keeps no spares");
}

#[test]
fn spares_do_not_wait_for_the_calls_that_an_old_definition_still_has() {
    let world = World::start(1);
    let client = world.session();
    let before = world.processes(1);
    assert_eq!(before.len(), 3, "our own, the session's, and a spare");
    let long = r#"{"name":"trigger-long-running-operation","arguments":{"duration":5,"steps":5}}"#;
    let calling = world.runtime.spawn(answer(Arc::clone(&world.fleet), client, long));
    see(PATIENCE, || world.fleet.server(NAME).unwrap().queue().0, |in_flight| *in_flight == 1);

    let fleet = Arc::clone(&world.fleet);
    let updating = world.runtime.spawn(async move { fleet.update(definition(2)).await });
    let old = || before.intersection(&all()).count();
    assert_eq!(see(PATIENCE, old, |left| *left < 3), 2);
    assert!(!calling.is_finished(), "the call had ended by then");
    assert!(world.runtime.block_on(calling).unwrap().contains("completed"));
    world.runtime.block_on(updating).unwrap().unwrap();
}

#[test]
fn a_file_asks_for_spares_and_the_status_tells_of_them() {
    let entry = peers::as_config(&peers::server_everything());
    let entry = managed(entry, json!({ "sessions": "pooled", "spares": 1 }));
    let gateway = Gateway::settled(&fleet([(NAME, entry)]));
    let taken = |count: u64| {
        let spares = || gateway.server(NAME)["spares"].clone();
        see(PATIENCE, spares, |spares| spares["idle"] == 1 && spares["taken"] == count)
    };
    taken(0);
    let echo = |era, capabilities: &str| {
        let url = gateway.url_of(NAME);
        let client = raw::Client::with_capabilities(&url, era, capabilities).unwrap();
        let answer = client.call("echo", r#"{"message":"heard"}"#).unwrap();
        assert!(answer.result().contains("heard"));
        client
    };
    let session = echo(raw::Era::Legacy("2025-11-25"), "{}");
    taken(1);
    // One that has no session is given one when a server has to know what it can do.
    echo(raw::Era::Modern, r#"{"elicitation":{}}"#);
    taken(2);
    session.delete().unwrap();

    let pid = gateway.process().pid();
    let processes = descendants(pid);
    drop(gateway);
    see(PATIENCE, || processes.iter().filter(|pid| is_alive(**pid)).count(), |left| *left == 0);
}
