//! Names and URIs of real servers in one fleet: what a client reads in a result, it can use as it
//! is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers::{self, as_config};
use system_tests::raw::{Client, Era};
use tempfile::TempDir;

const ERAS: [Era; 2] = [Era::Legacy("2025-11-25"), Era::Modern];
const TEXT: &str = "demo://resource/dynamic/text/2";
const BLOB: &str = "demo://resource/dynamic/blob/1";

struct Fleet {
    gateway: Gateway,
    _dir: TempDir,
}

impl Fleet {
    /// `everything`, `files` and `memory`, and `more` of the first under other names.
    fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut everything = peers::server_everything();
        everything.arg("stdio");
        // Each client with a session has processes of its own, and they start when it first lists.
        let mut config = json!({ "manager": { "listTimeout": "60s" }, "mcpServers": {
            "everything": as_config(&everything),
            "files": as_config(&peers::server_filesystem(dir.path())),
            "memory": as_config(&peers::server_memory(&dir.path().join("memory.json"))),
        }});
        for name in more {
            config["mcpServers"][name] = as_config(&everything);
        }
        Self { gateway: Gateway::settled(&config), _dir: dir }
    }

    fn client(&self, era: Era) -> Client {
        Client::connect(self.gateway.url(), era).unwrap()
    }
}

fn ask(client: &Client, method: &str, params: Value) -> Value {
    client.request(method, &params.to_string()).unwrap().value()
}

fn texts<'v>(items: &'v Value, pointer: &str) -> Vec<&'v str> {
    let items = items.as_array().into_iter().flatten();
    items.filter_map(|item| item.pointer(pointer)?.as_str()).collect()
}

fn read(client: &Client, uri: &str) -> Value {
    let answer = ask(client, "resources/read", json!({ "uri": uri }));
    answer["result"]["contents"][0].clone()
}

#[test]
fn links_in_a_result_are_as_the_server_wrote_them_and_can_be_read() {
    let fleet = Fleet::start(&[]);
    for era in ERAS {
        let client = fleet.client(era);
        let links = client.call("everything__get-resource-links", r#"{"count":2}"#).unwrap();
        let links = links.value();
        let links = texts(&links["result"]["content"], "/uri");
        assert_eq!(links, [BLOB, TEXT], "{era:?}");
        for link in links {
            let contents = read(&client, link);
            assert_eq!(contents["uri"], link, "{era:?}: {contents}");
            let exposed = read(&client, &format!("everything+{link}"));
            assert_eq!(exposed["uri"], link, "{era:?}: {exposed}");
        }
    }
}

#[test]
fn resources_embedded_in_a_tools_answer_and_in_a_prompt_can_be_read() {
    let fleet = Fleet::start(&[]);
    for era in ERAS {
        let client = fleet.client(era);
        let arguments = r#"{"resourceType":"Text","resourceId":2}"#;
        let answer = client.call("everything__get-resource-reference", arguments).unwrap().value();
        let embedded = &answer["result"]["content"][1]["resource"]["uri"];
        assert_eq!(embedded, TEXT, "{era:?}: {answer}");
        let prompt = json!({ "name": "everything__resource-prompt",
            "arguments": { "resourceType": "Blob", "resourceId": "1" } });
        let answer = ask(&client, "prompts/get", prompt);
        let embedded = &answer["result"]["messages"][1]["content"]["resource"]["uri"];
        assert_eq!(embedded, BLOB, "{era:?}: {answer}");
        assert_eq!(read(&client, BLOB)["uri"], BLOB, "{era:?}");
    }
}

#[test]
fn a_session_subscribes_to_what_it_read_in_a_result() {
    let fleet = Fleet::start(&[]);
    let client = fleet.client(ERAS[0]);
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let answer = ask(&client, method, json!({ "uri": TEXT }));
        assert_eq!(answer["result"], json!({}), "{method}: {answer}");
    }
}

#[test]
fn listed_resources_and_templates_carry_their_servers_prefix_and_can_be_used_with_it() {
    let fleet = Fleet::start(&[]);
    for era in ERAS {
        let client = fleet.client(era);
        let listed = ask(&client, "resources/list", json!({}));
        let uris = texts(&listed["result"]["resources"], "/uri");
        assert!(uris.iter().any(|uri| uri.starts_with("everything+")), "{era:?}: {listed}");
        for uri in uris {
            let (_server, own) = uri.split_once('+').unwrap();
            assert_eq!(read(&client, uri)["uri"], own, "{era:?}");
        }
        let listed = ask(&client, "resources/templates/list", json!({}));
        let templates = texts(&listed["result"]["resourceTemplates"], "/uriTemplate");
        let expected = ["text", "blob"]
            .map(|kind| format!("everything+demo://resource/dynamic/{kind}/{{resourceId}}"));
        assert_eq!(templates, expected, "{era:?}");
    }
}

#[test]
fn completions_reach_the_server_of_the_prompt_or_template_with_their_context() {
    let fleet = Fleet::start(&[]);
    let template = "demo://resource/dynamic/text/{resourceId}";
    for era in ERAS {
        let client = fleet.client(era);
        let complete = |params: Value| {
            let answer = ask(&client, "completion/complete", params);
            answer["result"]["completion"]["values"].clone()
        };
        let prompt = json!({ "type": "ref/prompt", "name": "everything__completable-prompt" });
        for (department, expected) in [("Sales", "David"), ("Support", "John")] {
            let values = complete(json!({ "ref": prompt,
                "argument": { "name": "name", "value": &expected[..1] },
                "context": { "arguments": { "department": department } } }));
            assert_eq!(values, json!([expected]), "{era:?}");
        }
        for uri in [template.to_owned(), format!("everything+{template}")] {
            let values = complete(json!({ "ref": { "type": "ref/resource", "uri": uri },
                "argument": { "name": "resourceId", "value": "7" } }));
            assert_eq!(values, json!(["7"]), "{era:?} {uri}");
        }
    }
}

#[test]
fn a_uri_that_two_servers_offer_is_refused_with_both_ways_out() {
    let fleet = Fleet::start(&["twin"]);
    for era in ERAS {
        let client = fleet.client(era);
        ask(&client, "resources/templates/list", json!({}));
        let answer = ask(&client, "resources/read", json!({ "uri": TEXT }));
        assert_eq!(answer["error"]["data"]["code"], "AMBIGUOUS_NAME", "{era:?}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        let ways = [format!("\"everything+{TEXT}\" or \"twin+{TEXT}\""), "/mcp/SERVER".to_owned()];
        assert!(ways.iter().all(|way| message.contains(way)), "{era:?}: {message}");
        for way in ["everything", "twin"] {
            assert_eq!(read(&client, &format!("{way}+{TEXT}"))["uri"], TEXT, "{era:?}");
            let alone = Client::connect(&fleet.gateway.url_of(way), era).unwrap();
            assert_eq!(read(&alone, TEXT)["uri"], TEXT, "{era:?}");
        }
    }
}
