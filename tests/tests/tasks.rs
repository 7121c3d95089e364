//! Tasks of real servers in one fleet: nothing in the id of one says whose it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::raw::{Client, Era};
use system_tests::wait::{PATIENCE, see};
use tempfile::TempDir;

const LEGACY: Era = Era::Legacy("2025-11-25");
/// What server-everything registers its research for, and what a client of tasks says.
const RESEARCHER: &str = r#"{"elicitation":{},"sampling":{},"roots":{},
    "tasks":{"list":{},"cancel":{},"requests":{"elicitation":{"create":{}}}}}"#;
const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const EXTENDED: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// Two servers with tasks of the session era, two with the extension, one without any.
struct Fleet {
    gateway: Gateway,
    _dir: TempDir,
}

impl Fleet {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut everything = peers::server_everything();
        everything.arg("stdio");
        let fixture = json!({
            "command": peers::own("conformance-fixture"),
            "args": ["stdio", "--era", "modern"],
        });
        // Each client with a session has processes of its own, and they start when it first lists.
        let gateway = Gateway::settled(&json!({ "manager": { "listTimeout": "60s" },
            "mcpServers": {
                "files": as_config(&peers::server_filesystem(dir.path())),
                "one": as_config(&everything),
                "two": as_config(&everything),
                "left": fixture,
                "right": fixture,
            },
        }));
        Self { gateway, _dir: dir }
    }

    fn researcher(&self) -> Client {
        Client::with_capabilities(self.gateway.url(), LEGACY, RESEARCHER).unwrap()
    }
}

fn ask(client: &Client, method: &str, params: &Value) -> Value {
    client.request(method, &params.to_string()).unwrap().value()
}

fn research(client: &Client, server: &str, topic: &str) -> String {
    let params = json!({ "name": format!("{server}__simulate-research-query"),
        "arguments": { "topic": topic }, "task": { "ttl": 60_000 } });
    let begun = ask(client, "tools/call", &params);
    begun["result"]["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned()
}

fn named(id: &str) -> Value {
    json!({ "taskId": id })
}

#[test]
fn tasks_of_a_session_are_followed_listed_and_cancelled_where_they_were_made() {
    let fleet = Fleet::start();
    let client = fleet.researcher();
    let tasks = [research(&client, "one", "first"), research(&client, "two", "second")];
    let dropped = research(&client, "two", "dropped");
    for id in &tasks {
        let status = ask(&client, "tasks/get", &named(id));
        assert_eq!(status["result"]["taskId"], **id, "{status}");
    }
    let cancelled = ask(&client, "tasks/cancel", &named(&dropped));
    assert_eq!(cancelled["result"]["status"], "cancelled", "{cancelled}");

    let listed = ask(&client, "tasks/list", &json!({}));
    let listed = listed["result"]["tasks"].as_array().unwrap();
    let mut ids: Vec<_> = listed.iter().map(|task| task["taskId"].as_str().unwrap()).collect();
    let mut expected = [&tasks[0], &tasks[1], &dropped].map(String::as_str);
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);

    for (id, topic) in tasks.iter().zip(["first", "second"]) {
        let result = ask(&client, "tasks/result", &named(id));
        let text = result["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.contains(&format!("Research Report: {topic}")), "{result}");
        let status = ask(&client, "tasks/get", &named(id));
        assert_eq!(status["result"]["status"], "completed", "{status}");
    }
}

#[test]
fn tasks_of_one_session_are_nothing_to_another() {
    let fleet = Fleet::start();
    let (owner, stranger) = (fleet.researcher(), fleet.researcher());
    let id = research(&owner, "one", "mine");
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        let refused = ask(&stranger, method, &named(&id));
        assert_eq!(refused["error"]["data"]["code"], "NOT_FOUND", "{method}: {refused}");
    }
    let listed = ask(&stranger, "tasks/list", &json!({}));
    assert_eq!(listed["result"]["tasks"], json!([]), "{listed}");
    let status = ask(&owner, "tasks/get", &named(&id));
    assert_eq!(status["result"]["taskId"], *id, "{status}");
}

#[test]
fn tasks_of_the_extension_are_followed_and_cancelled_where_they_were_made() {
    let fleet = Fleet::start();
    let client = Client::with_capabilities(fleet.gateway.url(), Era::Modern, EXTENDED).unwrap();
    let begin = |server: &str, seconds: f64| {
        let arguments = json!({ "seconds": seconds }).to_string();
        let begun = client.call(&format!("{server}__slow_compute"), &arguments).unwrap().value();
        assert_eq!(begun["result"]["resultType"], "task", "{begun}");
        begun["result"]["taskId"].as_str().unwrap().to_owned()
    };
    let status = |id: &str, wanted: &str| {
        let look = || ask(&client, "tasks/get", &named(id));
        see(PATIENCE, look, |task| task["result"]["status"] == wanted)
    };
    let (short, long) = ([begin("left", 0.1), begin("right", 0.2)], begin("right", 100.0));
    for (id, seconds) in short.iter().zip(["0.1", "0.2"]) {
        let done = status(id, "completed").to_string();
        assert!(done.contains(&format!("Computed for {seconds} s.")), "{done}");
    }
    status(&long, "working");
    let cancelled = ask(&client, "tasks/cancel", &named(&long));
    assert!(cancelled.get("error").is_none(), "{cancelled}");
    status(&long, "cancelled");
}

#[test]
fn what_a_task_asks_is_answered_where_it_was_made() {
    let fleet = Fleet::start();
    let capabilities = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let client = Client::with_capabilities(fleet.gateway.url(), Era::Modern, capabilities).unwrap();
    let begin = |server: &str| {
        let arguments = json!({ "filename": server }).to_string();
        let begun = client.call(&format!("{server}__confirm_delete"), &arguments).unwrap().value();
        begun["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned()
    };
    let look = |id: &str| ask(&client, "tasks/get", &named(id));
    for (server, confirm, expected) in [("left", true, "Deleted"), ("right", false, "Kept")] {
        let id = begin(server);
        see(PATIENCE, || look(&id), |task| task["result"]["status"] == "input_required");
        let answer = json!({ "action": "accept", "content": { "confirm": confirm } });
        let params = json!({ "taskId": id, "inputResponses": { "confirm": answer } });
        let updated = ask(&client, "tasks/update", &params);
        assert!(updated.get("error").is_none(), "{updated}");
        let done = see(PATIENCE, || look(&id), |task| task["result"]["status"] == "completed");
        assert!(done.to_string().contains(&format!("{expected} {server}.")), "{done}");
    }
}

#[test]
fn a_fleet_offers_the_tasks_that_its_servers_offer_each_era_in_its_own_words() {
    let fleet = Fleet::start();
    let hello = format!(
        r#"{{"protocolVersion":"2025-11-25","capabilities":{RESEARCHER},"clientInfo":{{"name":"t","version":"1"}}}}"#
    );
    let session = ask(&fleet.researcher(), "initialize", &serde_json::from_str(&hello).unwrap());
    let offered = &session["result"]["capabilities"];
    assert!(offered["tasks"]["requests"]["tools"]["call"].is_object(), "{session}");
    assert!(offered["tasks"]["cancel"].is_object(), "{session}");
    assert!(offered.pointer("/extensions/io.modelcontextprotocol~1tasks").is_none(), "{session}");

    let client = Client::connect(fleet.gateway.url(), Era::Modern).unwrap();
    let discovered = ask(&client, "server/discover", &json!({}));
    let offered = &discovered["result"]["capabilities"];
    assert!(offered["extensions"][EXTENSION].is_object(), "{discovered}");
    assert!(offered.get("tasks").is_none(), "{discovered}");
}

#[test]
fn a_fleet_without_tasks_offers_none_and_knows_none() {
    let dir = tempfile::tempdir().unwrap();
    let files = as_config(&peers::server_filesystem(dir.path()));
    let gateway = Gateway::settled(&json!({ "mcpServers": { "a": files, "b": files } }));
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let discovered = ask(&client, "server/discover", &json!({}));
    assert!(discovered["result"]["capabilities"].get("extensions").is_none(), "{discovered}");
    let refused = ask(&client, "tasks/get", &named("nobodys"));
    assert_eq!(refused["error"]["data"]["code"], "NOT_FOUND", "{refused}");
    let unknown = ask(&client, "example/unknown", &json!({}));
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
}
