//! Who hears of what changes: clients of both eras, in front of servers of the other one, alone and
//! in a fleet.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::process::Running;
use system_tests::raw::{Client, Era, Reply};
use system_tests::servers::{fleet, logging, managed, misbehave};
use system_tests::wait::{PATIENCE, until};

const LEGACY: Era = Era::Legacy("2025-11-25");
const WATCHED: &str = "test://watched-resource";
const ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The conformance fixture, in one era only.
fn fixture(era: &str) -> Value {
    json!({ "command": peers::own("conformance-fixture"), "args": ["stdio", "--era", era] })
}

/// The same over HTTP: one process, whose changes all of its sessions hear of.
fn remote(era: &str) -> (Running, Value) {
    let mut command = Command::new(peers::own("conformance-fixture"));
    command.args(["http", "--until-stdin-closes", "--era", era]);
    let remote = Running::start(command);
    let entry = json!({ "url": remote.endpoint(PATIENCE) });
    (remote, entry)
}

fn next(reply: &mut Reply) -> Value {
    let message = reply.message().unwrap().expect("a message, not the end of the stream");
    serde_json::from_str(&message).unwrap()
}

/// Makes the fixture announce a change.
fn change(client: &Client, prefix: &str, what: &str, arguments: Value) {
    let tool = format!("{prefix}test_trigger_{what}_change");
    let answer = client.call(&tool, &arguments.to_string()).unwrap();
    assert!(answer.result().contains("Told"), "{answer:?}");
}

fn subscribe(client: &Client, uri: &str) -> String {
    let answer = client.request("resources/subscribe", &json!({ "uri": uri }).to_string());
    answer.unwrap().message
}

/// Opens a subscription, and hands back what was granted and the stream.
fn listen(client: &Client, filter: Value) -> (Value, Reply) {
    let params = json!({ "notifications": filter }).to_string();
    let mut stream = client.open_as("\"sub\"", "subscriptions/listen", &params, "").unwrap();
    let first = next(&mut stream);
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["_meta"][ID], "sub");
    (first["params"]["notifications"].clone(), stream)
}

/// What a stream says next but for changed lists: those of a server that has just come up are told
/// when they are read, and that may be after somebody began to listen.
fn next_but_lists(reply: &mut Reply) -> Value {
    loop {
        let message = next(reply);
        if message["method"] != "notifications/tools/list_changed" {
            return message;
        }
    }
}

/// What a stream says next: the end of its method, and its URI.
fn news(reply: &mut Reply) -> (String, String) {
    let message = next(reply);
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let method = part(&message["method"]);
    let method = method.strip_prefix("notifications/").unwrap_or(&method).to_owned();
    (method, part(&message["params"]["uri"]))
}

/// What a stream says next is this. That a list has changed may be told twice: that is passed over.
fn hears(reply: &mut Reply, method: &str, uri: &str) {
    let expected = (method.to_owned(), uri.to_owned());
    loop {
        let got = news(reply);
        if got == expected {
            return;
        }
        assert!(got.0.ends_with("/list_changed"), "{got:?} instead of {expected:?}");
    }
}

#[test]
fn a_session_hears_of_a_stateless_server_what_it_subscribed_to() {
    let gateway = Gateway::settled(&fleet([("fixture", fixture("modern"))]));
    let (one, two) = (
        Client::connect(gateway.url(), LEGACY).unwrap(),
        Client::connect(gateway.url(), LEGACY).unwrap(),
    );
    let (mut first, mut second) = (one.listen().unwrap(), two.listen().unwrap());
    assert!(subscribe(&one, WATCHED).contains(r#""result":{}"#));
    change(&one, "", "resource", json!({}));
    hears(&mut first, "resources/updated", WATCHED);
    // The other one hears of lists only, and of the resource only once it asks.
    change(&one, "", "tool", json!({}));
    for stream in [&mut first, &mut second] {
        hears(stream, "tools/list_changed", "");
    }
    assert!(subscribe(&two, WATCHED).contains(r#""result":{}"#));
    let gone = json!({ "uri": WATCHED }).to_string();
    assert_eq!(one.request("resources/unsubscribe", &gone).unwrap().result(), "{}");
    change(&one, "", "resource", json!({}));
    hears(&mut second, "resources/updated", WATCHED);
    change(&one, "", "prompt", json!({}));
    for stream in [&mut first, &mut second] {
        hears(stream, "prompts/list_changed", "");
    }
}

#[test]
fn in_a_fleet_resources_have_the_names_of_the_fleet() {
    let servers = [("old", fixture("legacy")), ("new", fixture("modern"))];
    let gateway = Gateway::settled(&fleet(servers));
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let mut own = client.listen().unwrap();
    for server in ["new", "old"] {
        let uri = format!("{server}+{WATCHED}");
        assert!(subscribe(&client, &uri).contains(r#""result":{}"#));
        change(&client, &format!("{server}__"), "resource", json!({}));
        // What a session of the client's own says while a call is in flight goes with that call.
        if server == "new" {
            hears(&mut own, "resources/updated", &uri);
        }
    }
}

#[test]
fn a_stateless_client_hears_of_a_server_with_sessions() {
    let (_remote, entry) = remote("legacy");
    let gateway = Gateway::settled(&fleet([("fixture", entry)]));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let cause = Client::connect(gateway.url(), LEGACY).unwrap();
    let filter = json!({
        "toolsListChanged": true,
        "resourcesListChanged": true,
        "resourceSubscriptions": [WATCHED],
        "taskIds": ["7"],
    });
    let (granted, mut stream) = listen(&client, filter);
    // The fixture does not say that it announces changes of the list of resources.
    let expected = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] });
    assert_eq!(granted, expected);
    change(&cause, "", "prompt", json!({}));
    change(&cause, "", "resource", json!({ "uri": "test://other" }));
    change(&cause, "", "resource", json!({}));
    let updated = next_but_lists(&mut stream);
    assert_eq!(updated["method"], "notifications/resources/updated");
    assert_eq!(updated["params"], json!({ "_meta": { ID: "sub" }, "uri": WATCHED }));
    change(&cause, "", "tool", json!({}));
    let changed = next(&mut stream);
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"][ID], "sub");
}

#[test]
fn in_a_fleet_a_stateless_client_hears_of_both_eras_on_one_stream() {
    let ((_one, old), (_two, new)) = (remote("legacy"), remote("modern"));
    let gateway = Gateway::settled(&fleet([("old", old), ("new", new)]));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let cause = Client::connect(gateway.url(), LEGACY).unwrap();
    let uris = ["old+", "new+"].map(|prefix| format!("{prefix}{WATCHED}"));
    let filter = json!({
        "promptsListChanged": true,
        "resourceSubscriptions": [uris[0], uris[1], "nobody+test://x"],
    });
    let (granted, mut stream) = listen(&client, filter);
    let expected = json!({ "promptsListChanged": true, "resourceSubscriptions": uris });
    assert_eq!(granted, expected);
    for (server, uri) in ["old__", "new__"].into_iter().zip(&uris) {
        change(&cause, server, "resource", json!({}));
        hears(&mut stream, "resources/updated", uri);
        change(&cause, server, "prompt", json!({}));
        hears(&mut stream, "prompts/list_changed", "");
    }
}

/// A server that somebody else wrote, whose updates come by a clock of its own.
#[test]
fn a_stateless_client_hears_of_a_node_server() {
    let mut everything = peers::server_everything();
    everything.arg("stdio");
    let gateway = Gateway::settled(&fleet([("everything", as_config(&everything))]));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let uri = "demo://resource/dynamic/text/1";
    let (granted, mut stream) = listen(&client, json!({ "resourceSubscriptions": [uri] }));
    assert_eq!(granted, json!({ "resourceSubscriptions": [uri] }));
    let toggled = client.call("toggle-subscriber-updates", "{}").unwrap();
    assert!(toggled.result().contains("tarted"), "{toggled:?}");
    hears(&mut stream, "resources/updated", uri);
}

#[test]
fn a_server_that_comes_back_is_heard_again() {
    for era in ["legacy", "modern"] {
        let entry = managed(fixture(era), json!({ "shareable": true }));
        let gateway = Gateway::settled(&fleet([("fixture", entry), ("other", misbehave(&[]))]));
        let session = Client::connect(gateway.url(), LEGACY).unwrap();
        let client = Client::connect(gateway.url(), Era::Modern).unwrap();
        let uri = format!("fixture+{WATCHED}");
        let filter = json!({ "toolsListChanged": true, "resourceSubscriptions": [uri] });
        let (_, mut stream) = listen(&client, filter);
        let pid = gateway.server("fixture")["pids"][0].as_u64().unwrap();
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.unwrap().success());
        // It is opened again by itself, and nobody knows what has changed meanwhile.
        let back = until(PATIENCE, || {
            let answer = session.call("fixture__greet", r#"{"name":"you"}"#).unwrap();
            answer.result().contains("Hello").then_some(())
        });
        assert!(back.is_some(), "{era}: it does not come back");
        hears(&mut stream, "tools/list_changed", "");
        hears(&mut stream, "resources/updated", &uri);
        change(&session, "fixture__", "resource", json!({}));
        hears(&mut stream, "resources/updated", &uri);
    }
}

#[test]
fn a_subscription_ends_well_when_the_manager_stops() {
    let gateway = Gateway::settled(&fleet([("fixture", fixture("legacy"))]));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let (_, mut stream) = listen(&client, json!({ "toolsListChanged": true }));
    gateway.process().signal(rustix::process::Signal::TERM);
    let last = next_but_lists(&mut stream);
    assert_eq!(last["id"], "sub");
    assert_eq!(last["result"], json!({ "resultType": "complete", "_meta": { ID: "sub" } }));
}

/// Two clients on one session of ours: each sees what it asked for, and no more.
#[test]
fn clients_that_share_a_session_hear_what_each_asked_for() {
    let entry = managed(fixture("legacy"), json!({ "shareable": true }));
    let gateway = Gateway::settled(&fleet([("fixture", entry)]));
    let (one, two) = (
        Client::connect(gateway.url(), LEGACY).unwrap(),
        Client::connect(gateway.url(), LEGACY).unwrap(),
    );
    let (mut first, mut second) = (one.listen().unwrap(), two.listen().unwrap());
    let other = "test://other";
    for (client, uri) in [(&one, WATCHED), (&two, other), (&two, WATCHED)] {
        assert!(subscribe(client, uri).contains(r#""result":{}"#));
    }
    change(&one, "", "resource", json!({ "uri": other }));
    hears(&mut second, "resources/updated", other);
    change(&one, "", "resource", json!({}));
    for stream in [&mut first, &mut second] {
        hears(stream, "resources/updated", WATCHED);
    }
    // One gives up what the other still wants.
    let gone = json!({ "uri": WATCHED }).to_string();
    assert_eq!(two.request("resources/unsubscribe", &gone).unwrap().result(), "{}");
    change(&two, "", "resource", json!({}));
    hears(&mut first, "resources/updated", WATCHED);
    change(&two, "", "tool", json!({}));
    for stream in [&mut first, &mut second] {
        hears(stream, "tools/list_changed", "");
    }
    assert_eq!(gateway.server("fixture")["pids"].as_array().unwrap().len(), 1);
}

#[test]
fn clients_that_share_a_session_have_log_levels_of_their_own() {
    let entry = managed(fixture("legacy"), json!({ "shareable": true }));
    let gateway = Gateway::settled(&fleet([("fixture", entry)]));
    let (loud, quiet) = (
        Client::connect(gateway.url(), LEGACY).unwrap(),
        Client::connect(gateway.url(), LEGACY).unwrap(),
    );
    let (mut first, mut second) = (loud.listen().unwrap(), quiet.listen().unwrap());
    let set = |client: &Client, level: &str| {
        let params = json!({ "level": level }).to_string();
        assert_eq!(client.request("logging/setLevel", &params).unwrap().result(), "{}");
    };
    set(&quiet, "error");
    set(&loud, "debug");
    // Logged at info.
    loud.call("test_logging_tool", "{}").unwrap();
    hears(&mut first, "message", "");
    change(&loud, "", "tool", json!({}));
    for stream in [&mut first, &mut second] {
        hears(stream, "tools/list_changed", "");
    }
    // With the one who wanted it, the server falls silent.
    assert_eq!(loud.delete().unwrap().status, 200);
    set(&quiet, "info");
    quiet.call("test_logging_tool", "{}").unwrap();
    hears(&mut second, "message", "");
}

/// Fault 19: a server that announces a change after each list, 2000 times, is asked for its list now
/// and then, and its clients hear of it as often.
#[test]
fn fault_19_a_storm_of_announcements_is_a_few_messages() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let gateway = Gateway::settled(&fleet([("storm", logging(&log, &["--list-changed", "2000"]))]));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let (granted, mut stream) = listen(&client, json!({ "toolsListChanged": true }));
    assert_eq!(granted, json!({ "toolsListChanged": true }));
    for _ in 0..3 {
        hears(&mut stream, "tools/list_changed", "");
    }
    let lists = std::fs::read_to_string(&log).unwrap().matches("\"tools/list\"").count();
    assert!((2..20).contains(&lists), "{lists} lists were fetched");
    assert!(client.request("tools/list", "{}").unwrap().result().contains("\"tools\""));
}
