//! Clients that others wrote, whose connections are cut, and whose gateway is killed.

use std::process::Command;

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::relay::Relay;
use system_tests::servers::{fleet_with, misbehave};
use system_tests::wait::PATIENCE;
use tempfile::TempDir;

/// A client behind a network that can be cut.
struct Cut {
    client: Running,
    relay: Relay,
    gateway: Gateway,
    _home: TempDir,
}

impl Cut {
    fn start(mut client: Command, manager: Value) -> Self {
        let servers = [("one", misbehave(&[])), ("two", misbehave(&[]))];
        let gateway = Gateway::settled(&fleet_with(manager, servers));
        let relay = Relay::to(gateway.url()).unwrap();
        let home = tempfile::tempdir().unwrap();
        client.arg(relay.url()).env("HOME", home.path()).current_dir(home.path());
        let client = Running::start(client);
        let cut = Self { client, relay, gateway, _home: home };
        cut.until("connected");
        cut
    }

    fn call(&self, tool: &str, arguments: &Value) {
        let call = json!({ "name": tool, "arguments": arguments });
        self.client.write(format!("{call}\n").as_bytes());
    }

    /// Waits until the client has said this.
    fn until(&self, said: &str) {
        let found = self.client.wait_for(PATIENCE, |out, _| out.contains(said));
        assert!(found, "no {said:?}\n{}\n{}", self.client.stdout(), self.client.stderr());
    }

    /// An answer arrives whose stream is cut after each of these steps, and no progress is lost or
    /// seen twice.
    fn survives_cuts(&self, after: &[u32]) {
        self.call("one__steps", &json!({ "count": 6, "ms": 700 }));
        for step in after {
            self.until(&format!("progress {step}\n"));
            self.relay.cut();
        }
        self.until("answer Took 6 steps");
        let out = self.client.stdout();
        let seen: Vec<_> = out.lines().filter(|line| line.starts_with("progress")).collect();
        let all: Vec<_> = (1..=6).map(|step| format!("progress {step}")).collect();
        assert_eq!(seen, all);
    }

    /// The gateway is killed in the middle of a call and starts again: the call fails, and the
    /// session goes on.
    fn survives_a_restart(mut self) {
        self.call("two__steps", &json!({ "count": 1, "ms": 60_000 }));
        self.until("progress 1\n");
        self.gateway = self.gateway.again();
        self.relay.redirect(self.gateway.url());
        self.until("error ");
        assert!(self.client.stdout().contains("restarted"), "{}", self.client.stdout());
        self.call("two__echo", &json!({ "message": "still here" }));
        self.until("answer Echo: still here");
        assert_eq!(self.gateway.status()["sessions"], 1);
    }
}

fn typescript() -> Command {
    let mut command = peers::node();
    command.arg(peers::file("clients/resume.mjs")).env("PEERS", peers::npm("..", ""));
    command
}

fn python() -> Command {
    let mut command = peers::python();
    command.arg(peers::file("clients/resume.py"));
    command
}

#[test]
fn the_typescript_client_goes_on_where_it_was_cut() {
    Cut::start(typescript(), json!({})).survives_cuts(&[1, 4]);
}

#[test]
fn the_python_client_goes_on_where_it_was_cut() {
    // When a stream is cut that it has come back to, it asks for what it asked for the first time.
    Cut::start(python(), json!({})).survives_cuts(&[2]);
}

#[test]
fn the_typescript_client_goes_on_after_the_gateway_was_killed() {
    Cut::start(typescript(), json!({ "stateDir": "state" })).survives_a_restart();
}

#[test]
fn the_python_client_goes_on_after_the_gateway_was_killed() {
    Cut::start(python(), json!({ "stateDir": "state" })).survives_a_restart();
}
