//! The demo fleet as its clients see it: real connections, both eras.

#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use mcp_manager::demo::{DemoServer, fleet};
use mcp_wire::{
    Connection, Era, Event, Exchange, Inbox, MODERN_VERSION, Message, Options, Request, Timing,
    initialize, stateless_meta,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

struct Client {
    connection: Connection,
    inbox: Inbox,
    era: Era,
}

fn server(fleet: &[DemoServer], name: &str) -> DemoServer {
    fleet.iter().find(|server| server.name == name).unwrap().clone()
}

impl Client {
    async fn open(server: &DemoServer, era: Era) -> Self {
        let (reader, writer) = server.open();
        let (connection, inbox) = Connection::over_streams(reader, writer, &Options::default());
        if era == Era::Legacy {
            let params = r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#;
            initialize(&connection, params, LIMIT).await.unwrap();
        }
        Self { connection, inbox, era }
    }

    async fn of(name: &str, era: Era) -> Self {
        Self::open(&server(&fleet(), name), era).await
    }

    fn start(&self, method: &str, mut params: Value) -> Exchange {
        let mut meta = json!({ "progressToken": "p" });
        if self.era == Era::Modern {
            let own = format!("{{{}}}", stateless_meta(MODERN_VERSION, "{}", None));
            let own: Value = serde_json::from_str(&own).unwrap();
            meta.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        }
        params["_meta"] = meta;
        let request = Message::request("1", method, &params.to_string());
        let timing = Timing { timeout: LIMIT, timeout_max: LIMIT };
        self.connection.call(Request::read(request).unwrap(), timing)
    }

    /// The result or error of a request.
    async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.start(method, params).reply().await.unwrap();
        let json = answer.result_json().or(answer.error_json()).unwrap();
        serde_json::from_str(json).unwrap()
    }

    fn tool(&self, name: &str, arguments: Value) -> Exchange {
        self.start("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    /// The result of a tool, and its text, with a mark if it is an error.
    async fn call(&self, name: &str, arguments: Value) -> (String, Value) {
        let params = json!({ "name": name, "arguments": arguments });
        let result = self.ask("tools/call", params).await;
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let mark = if result["isError"] == json!(true) { "error: " } else { "" };
        (format!("{mark}{text}"), result)
    }

    /// The messages that come before the answer of a call.
    async fn messages(mut exchange: Exchange) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            match exchange.next().await.unwrap() {
                Event::Message(message) => {
                    messages.push(serde_json::from_str(message.params().unwrap()).unwrap());
                }
                Event::Reply(_) => return messages,
            }
        }
    }
}

#[tokio::test]
async fn every_tool_is_described_truthfully_and_completely() {
    for server in fleet() {
        for era in ERAS {
            let client = Client::open(&server, era).await;
            let list = client.ask("tools/list", json!({})).await;
            for tool in list["tools"].as_array().unwrap() {
                let name = tool["name"].as_str().unwrap();
                for member in ["title", "description"] {
                    assert!(tool[member].is_string(), "{name}: {member}");
                }
                let schema = &tool["inputSchema"];
                assert_eq!(schema["type"], "object", "{name}");
                for required in schema["required"].as_array().unwrap() {
                    let property = &schema["properties"][required.as_str().unwrap()];
                    assert!(property.is_object(), "{name}: {required}");
                }
                let writes = ["write", "remove", "import"].contains(&name);
                assert_eq!(tool["annotations"]["readOnlyHint"], !writes, "{name}");
                assert_eq!(tool["annotations"]["destructiveHint"], writes, "{name}");
                assert_eq!(tool["outputSchema"].is_object(), server.name == "calculator");

                let (text, _) = client.call(name, json!({ "bogus": 1 })).await;
                assert!(text.starts_with("error: Unknown argument \"bogus\""), "{name}: {text}");
            }
            assert_eq!(list["ttlMs"].is_u64(), era == Era::Modern);
            let unknown = client.ask("tools/call", json!({ "name": "no_such_tool" })).await;
            assert_eq!(unknown["code"], -32602);
            assert_eq!(client.ask("no/such/method", json!({})).await["code"], -32601);
        }
    }
}

#[tokio::test]
async fn the_clock_knows_its_calendar() {
    let client = Client::of("clock", Era::Modern).await;
    let (text, _) = client.call("calendar", json!({ "year": 2026, "month": 11 })).await;
    assert!(text.contains("47  16 17 18 19 20 21 22"), "{text}");
    let (text, _) = client.call("now", json!({ "timezone_offset": "-03:30" })).await;
    assert!(text.starts_with("20") && text.contains("-03:30 "), "{text}");
    let (text, _) = client.call("weekday", json!({})).await;
    assert_eq!(text, "error: The argument `date` is missing.");
}

#[tokio::test(start_paused = true)]
async fn a_countdown_reports_progress_and_ends() {
    for era in ERAS {
        let client = Client::of("clock", era).await;
        let messages = Client::messages(client.tool("countdown", json!({ "seconds": 2 }))).await;
        let progress: Vec<_> = messages.iter().map(|m| m["progress"].as_f64().unwrap()).collect();
        let expected: Vec<_> = (1..=20).map(|tick| f64::from(tick) / 10.0).collect();
        assert_eq!(progress, expected);
        assert_eq!(messages[19]["message"], "0.0 s left");
        let (text, _) = client.call("countdown", json!({ "seconds": 61 })).await;
        assert_eq!(text, "error: `seconds` must be from 0 to 60.");
    }
}

#[tokio::test(start_paused = true)]
async fn a_countdown_can_be_cancelled() {
    let client = Client::of("clock", Era::Modern).await;
    let mut countdown = client.tool("countdown", json!({ "seconds": 60 }));
    assert!(matches!(countdown.next().await, Ok(Event::Message(_))));
    drop(countdown);
    client.call("now", json!({})).await;
    // Nothing of it arrives any more but what was on its way.
    let stray = client.connection.stats().stray;
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.call("now", json!({})).await;
    assert_eq!(client.connection.stats().stray, stray);
}

#[tokio::test]
async fn the_calculator_answers_in_structure() {
    let fleet = fleet();
    assert_eq!(server(&fleet, "calculator").replicas, 2);
    let client = Client::open(&server(&fleet, "calculator"), Era::Legacy).await;
    let (text, result) = client.call("evaluate", json!({ "expression": "2 * (3 + 4)" })).await;
    assert_eq!(
        (text.as_str(), &result["structuredContent"]),
        ("{\"value\":14}", &json!({ "value": 14 }))
    );
    let (text, _) = client.call("evaluate", json!({ "expression": "1 / 0" })).await;
    assert_eq!(text, "error: At character 3: division by zero.");
    let arguments = json!({ "value": 37, "from": "C", "to": "F" });
    let (_, result) = client.call("convert", arguments).await;
    assert_eq!(result["structuredContent"], json!({ "value": 98.6, "unit": "F" }));

    let tools = client.ask("tools/list", json!({})).await;
    let schema = &tools["tools"][2]["outputSchema"];
    let (_, result) = client.call("statistics", json!({ "numbers": [1, 2, 4] })).await;
    for name in schema["required"].as_array().unwrap() {
        let figure = &result["structuredContent"][name.as_str().unwrap()];
        assert!(figure.is_number(), "{name}: {figure}");
    }
}

#[tokio::test]
async fn all_clients_of_a_fleet_share_the_notes() {
    let both = [fleet(), fleet()];
    let legacy = Client::open(&server(&both[0], "notebook"), Era::Legacy).await;
    let modern = Client::open(&server(&both[0], "notebook"), Era::Modern).await;
    let other = Client::open(&server(&both[1], "notebook"), Era::Modern).await;
    legacy.call("write", json!({ "key": "a b", "text": "shared" })).await;
    assert_eq!(modern.call("read", json!({ "key": "a b" })).await.0, "shared");
    assert!(other.call("read", json!({ "key": "a b" })).await.0.starts_with("error: There is no"));

    let list = modern.ask("resources/list", json!({})).await;
    let note =
        json!({ "uri": "note:///a%20b", "name": "a b", "mimeType": "text/plain", "size": 6 });
    assert_eq!(list["resources"], json!([note]));
    let contents = modern.ask("resources/read", json!({ "uri": "note:///a%20b" })).await;
    assert_eq!(contents["contents"][0]["text"], "shared");
    let template = modern.ask("resources/templates/list", json!({})).await;
    assert_eq!(template["resourceTemplates"][0]["uriTemplate"], "note:///{key}");
    for (client, code) in [(&legacy, -32002), (&modern, -32602)] {
        let missing = client.ask("resources/read", json!({ "uri": "note:///none" })).await;
        assert_eq!(missing["code"], code);
    }
}

#[tokio::test]
async fn an_import_reports_every_line() {
    let client = Client::of("notebook", Era::Legacy).await;
    let lines: Vec<_> = (0..1000).map(|n| format!("note {n}: text")).collect();
    let messages = Client::messages(client.tool("import", json!({ "lines": lines }))).await;
    let progress: Vec<_> = messages.iter().map(|m| m["progress"].as_u64().unwrap()).collect();
    assert_eq!(progress, (1..=1000).collect::<Vec<_>>());
    let (text, _) = client.call("import", json!({ "lines": ["one more: x"] })).await;
    assert!(text.starts_with("error: The first 0 lines are imported. Then: The notebook is full"));
}

#[tokio::test]
async fn subscribers_hear_of_their_notes() {
    let server = server(&fleet(), "notebook");
    let writer = Client::open(&server, Era::Modern).await;
    let mut legacy = Client::open(&server, Era::Legacy).await;
    let modern = Client::open(&server, Era::Modern).await;
    legacy.ask("resources/subscribe", json!({ "uri": "note:///a" })).await;
    let filter = json!({ "resourcesListChanged": true, "resourceSubscriptions": ["note:///a"] });
    let mut listener = modern.start("subscriptions/listen", json!({ "notifications": filter }));
    let Ok(Event::Message(accepted)) = listener.next().await else { panic!() };
    assert_eq!(accepted.method(), "notifications/subscriptions/acknowledged");

    for (tool, arguments, heard) in [
        ("write", json!({ "key": "a", "text": "1" }), &["list_changed", "updated"][..]),
        ("write", json!({ "key": "b", "text": "1" }), &["list_changed"]),
        ("write", json!({ "key": "a", "text": "2" }), &["updated"]),
        ("remove", json!({ "key": "a" }), &["list_changed", "updated"]),
    ] {
        writer.call(tool, arguments).await;
        for heard in heard {
            let method = format!("notifications/resources/{heard}");
            assert_eq!(legacy.inbox.next().await.unwrap().method(), method);
            let Ok(Event::Message(message)) = listener.next().await else { panic!() };
            assert_eq!(message.method(), method);
        }
    }
}

#[tokio::test]
async fn prompts_and_their_arguments() {
    let client = Client::of("notebook", Era::Modern).await;
    for n in 0..120 {
        client.call("write", json!({ "key": format!("Day {n:03}"), "text": "Feed the cat" })).await;
    }
    let list = client.ask("prompts/list", json!({})).await;
    assert_eq!(list["prompts"].as_array().map(Vec::len), Some(2));

    let reference = json!({ "type": "ref/prompt", "name": "summarize" });
    let template = json!({ "type": "ref/resource", "uri": "note:///{key}" });
    for reference in [&reference, &template] {
        let ask =
            |typed| json!({ "ref": reference, "argument": { "name": "key", "value": typed } });
        let all = client.ask("completion/complete", ask("da")).await;
        let completion = &all["completion"];
        assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(120), &json!(true)));
        assert_eq!(completion["values"].as_array().map(Vec::len), Some(100));
        let some = client.ask("completion/complete", ask("day 11")).await;
        assert_eq!(some["completion"]["total"], 10);
    }
    let unknown = json!({ "ref": { "type": "ref/prompt", "name": "no" }, "argument": {} });
    assert_eq!(client.ask("completion/complete", unknown).await["code"], -32602);

    let arguments = json!({ "name": "summarize", "arguments": { "key": "Day 007" } });
    let prompt = client.ask("prompts/get", arguments).await;
    let resource = &prompt["messages"][1]["content"]["resource"];
    assert_eq!(
        (&resource["uri"], &resource["text"]),
        (&json!("note:///Day%20007"), &json!("Feed the cat"))
    );
    let review = client.ask("prompts/get", json!({ "name": "daily_review" })).await;
    let text = review["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("120 in all") && text.contains("... and 70 more"), "{text}");
    for wrong in [json!({ "name": "summarize" }), json!({ "name": "no" })] {
        assert_eq!(client.ask("prompts/get", wrong).await["code"], -32602);
    }
}
