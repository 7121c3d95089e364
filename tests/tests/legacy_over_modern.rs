//! Clients with sessions in front of a server that has none: it asks within its answers, they are
//! asked in requests, and what they set up for a session is kept by the gateway.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, GetPromptRequestParams};
use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{Client, Era, Reply, until_answer};
use system_tests::servers::{fleet, managed};
use system_tests::typed::{self, Mode};

const START_MAX: Duration = Duration::from_secs(30);
const LEGACY: Era = Era::Legacy("2025-11-25");
/// All that a server may ask of a client.
const ABLE: &str = r#"{"sampling":{},"elicitation":{},"roots":{}}"#;

/// The conformance fixture, in the stateless era only.
fn fixture() -> Value {
    json!({ "command": peers::own("conformance-fixture"), "args": ["stdio", "--era", "modern"] })
}

fn gateway() -> Gateway {
    Gateway::settled(&fleet([("fixture", fixture())]))
}

fn client(gateway: &Gateway, capabilities: &str) -> Client {
    Client::with_capabilities(gateway.url(), LEGACY, capabilities).unwrap()
}

/// Begins to call a tool of the fixture, and hands back the stream of the answer.
fn begin(client: &Client, id: &str, tool: &str) -> Reply {
    let params = json!({ "name": tool, "arguments": {} }).to_string();
    client.open_as(id, "tools/call", &params, r#""progressToken":"p""#).unwrap()
}

/// The next message of a stream, parsed.
fn next(reply: &mut Reply) -> Value {
    serde_json::from_str(&reply.message().unwrap().unwrap()).unwrap()
}

/// Answers a question with a result, or an error.
fn answer(client: &Client, question: &Value, member: &str, body: &Value) {
    let message = json!({ "jsonrpc": "2.0", "id": question["id"], member: body });
    assert_eq!(client.send(&message.to_string()).unwrap().status, 202);
}

fn text(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// The failure that the gateway tells: its code and what it says.
fn failure(answer: &str) -> (String, String) {
    let error: Value = serde_json::from_str(answer).unwrap();
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (part(&error["data"]["code"]), part(&error["message"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_client_answers_every_kind_of_question_over_both_transports() {
    let mut command = Command::new(peers::own("conformance-fixture"));
    command.args(["http", "--era", "modern", "--until-stdin-closes"]);
    let remote = Running::start(command);
    let http = json!({ "url": remote.endpoint(START_MAX) });
    let gateway = Gateway::settled(&fleet([("stdio", fixture()), ("http", http)]));
    for server in ["stdio", "http"] {
        let client = typed::Client::connect(&gateway.url_of(server), Mode::Legacy).await;
        for (tool, expect) in [
            ("elicitation", "Hello, Alice!"),
            ("sampling", "The model said: \"The model says so.\""),
            ("list_roots", "file:///tmp/root"),
            ("request_state", "state-ok: confirmed"),
            ("multiple_inputs", "All three arrived."),
            ("multi_round", r#""Alice" likes "Alice"."#),
            ("capabilities", "Thank you."),
        ] {
            let tool = format!("test_input_required_result_{tool}");
            let result = client.call_tool(CallToolRequestParams::new(tool.clone())).await;
            let result = json!(result.unwrap_or_else(|error| panic!("{server} {tool}: {error}")));
            let said = result["content"][0]["text"].as_str().unwrap_or_default();
            assert!(said.contains(expect), "{server} {tool}: {result}");
        }
        let prompt = GetPromptRequestParams::new("test_input_required_result_prompt");
        let prompt = json!(client.get_prompt(prompt).await.unwrap());
        assert!(prompt.to_string().contains("Use this context: Alice"), "{prompt}");
    }
}

#[test]
fn questions_come_on_the_stream_of_their_call_and_the_state_goes_back_round_by_round() {
    let gateway = gateway();
    let client = client(&gateway, ABLE);
    let mut reply = begin(&client, "\"c\"", "test_input_required_result_multi_round");
    let first = next(&mut reply);
    assert_eq!(
        (&first["method"], &first["jsonrpc"]),
        (&json!("elicitation/create"), &json!("2.0"))
    );
    assert!(first["params"]["message"].as_str().unwrap().starts_with("Step 1"), "{first}");
    let accept = |content: Value| json!({ "action": "accept", "content": content });
    answer(&client, &first, "result", &accept(json!({ "name": "Zoë \u{1F600}" })));
    let second = next(&mut reply);
    assert_ne!(second["id"], first["id"]);
    // An answer that comes twice answers nothing else.
    answer(&client, &first, "result", &accept(json!({ "name": "nobody" })));
    answer(&client, &second, "result", &accept(json!({ "color": "blue" })));
    let last = until_answer(reply, "\"c\"").unwrap();
    assert_eq!(text(last.result()), "\"Zoë \u{1F600}\" likes \"blue\".");
}

#[test]
fn one_refusal_ends_the_call_and_takes_the_other_questions_back() {
    let gateway = gateway();
    let client = client(&gateway, ABLE);
    let mut reply = begin(&client, "7", "test_input_required_result_multiple_inputs");
    let questions: Vec<_> = (0..3).map(|_| next(&mut reply)).collect();
    let sampling = questions.iter().find(|one| one["method"] == "sampling/createMessage").unwrap();
    answer(&client, sampling, "error", &json!({ "code": -1, "message": "User said no" }));
    let last = until_answer(reply, "7").unwrap();
    let (code, message) = failure(last.error());
    assert_eq!(code, "INPUT_UNAVAILABLE");
    assert!(message.contains("sampling/createMessage: User said no (-1)"), "{message}");
    let withdrawn: Vec<Value> =
        last.before.iter().map(|message| serde_json::from_str(message).unwrap()).collect();
    let ids: Vec<_> = withdrawn.iter().map(|one| one["params"]["requestId"].clone()).collect();
    let open = questions.iter().filter(|one| *one != sampling).map(|one| one["id"].clone());
    assert_eq!(ids, open.collect::<Vec<_>>(), "{withdrawn:?}");
    assert!(withdrawn.iter().all(|one| one["method"] == "notifications/cancelled"));
}

#[test]
fn a_client_is_not_asked_what_it_did_not_declare() {
    let gateway = gateway();
    let client = client(&gateway, r#"{"elicitation":{}}"#);
    let last = client.call("test_input_required_result_multiple_inputs", "{}").unwrap();
    let (code, message) = failure(last.error());
    assert_eq!((code.as_str(), last.before.len()), ("INPUT_UNAVAILABLE", 0), "{last:?}");
    assert!(message.contains("did not declare"), "{message}");
    // The server itself sees what the client can, and refuses as it likes.
    let own = client.call("test_missing_capability", "{}").unwrap();
    assert!(own.error().contains("-32021"), "{own:?}");
}

#[test]
fn a_call_that_is_cancelled_in_a_round_takes_its_question_back() {
    let gateway = gateway();
    let client = client(&gateway, ABLE);
    let mut own = client.listen().unwrap();
    let mut reply = begin(&client, "9", "test_input_required_result_elicitation");
    let question = next(&mut reply);
    client.notify("notifications/cancelled", r#"{"requestId":9}"#).unwrap();
    assert_eq!(reply.message().unwrap(), None, "a cancelled call has no answer");
    let withdrawn = next(&mut own);
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    // The late answer reaches nobody, and the session goes on.
    answer(&client, &question, "result", &json!({ "action": "decline" }));
    assert!(client.call("greet", r#"{"name":"you"}"#).unwrap().result().contains("Hello, you!"));
}

#[test]
fn a_client_that_leaves_owes_no_answer() {
    let gateway = gateway();
    let client = client(&gateway, ABLE);
    let mut reply = begin(&client, "3", "test_input_required_result_elicitation");
    next(&mut reply);
    assert_eq!(client.delete().unwrap().status, 200);
    // Its streams end with the session, the one with the question among them.
    assert_eq!(until_answer(reply, "3").unwrap().message, "");
    assert_eq!(client.request("tools/list", "{}").unwrap().status, 404);
}

#[test]
fn a_person_may_think_longer_than_a_server_may_be_silent() {
    let entry = managed(fixture(), json!({ "callTimeout": "300ms" }));
    let gateway = Gateway::settled(&fleet([("fixture", entry)]));
    let client = client(&gateway, ABLE);
    let mut reply = begin(&client, "5", "test_input_required_result_elicitation");
    let question = next(&mut reply);
    system_tests::wait::pause(Duration::from_millis(900));
    let accept = json!({ "action": "accept", "content": { "name": "Slow" } });
    answer(&client, &question, "result", &accept);
    assert_eq!(text(until_answer(reply, "5").unwrap().result()), "Hello, Slow!");

    let entry = managed(fixture(), json!({ "callTimeout": "300ms", "callTimeoutMax": "1s" }));
    let gateway = Gateway::settled(&fleet([("fixture", entry)]));
    let client = self::client(&gateway, ABLE);
    let mut reply = begin(&client, "6", "test_input_required_result_elicitation");
    next(&mut reply);
    let last = until_answer(reply, "6").unwrap();
    let (code, message) = failure(last.error());
    assert_eq!(code, "INPUT_UNAVAILABLE", "{last:?}");
    assert!(message.contains("did not answer within 1s"), "{message}");
}

#[test]
fn the_server_introduces_itself_as_if_it_had_sessions() {
    let gateway = gateway();
    for version in ["2025-11-25", "2025-03-26"] {
        let params = format!(r#"{{"protocolVersion":"{version}","capabilities":{{}}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        let answer = system_tests::raw::post(gateway.url(), &[], &body).unwrap();
        let answer: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        let result = &answer["result"];
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "conformance-fixture");
        assert_eq!(result["instructions"], "Offers what the conformance suite asks for.");
        assert_eq!(result["capabilities"]["resources"]["subscribe"], true);
        assert!(result["capabilities"]["logging"].is_object());
    }
}

#[test]
fn the_log_level_of_a_session_goes_with_each_of_its_requests() {
    let gateway = gateway();
    let client = client(&gateway, "{}");
    let logged = || client.call("test_logging_tool", "{}").unwrap().before.len();
    let set = |level: &str| {
        let params = json!({ "level": level }).to_string();
        client.request("logging/setLevel", &params).unwrap()
    };
    assert_eq!(logged(), 1, "a session that never chose sees info");
    assert_eq!(set("warning").result(), "{}");
    assert_eq!(logged(), 0);
    assert!(set("loud").error().contains("-32602"));
    assert_eq!(logged(), 0, "what is no level changes nothing");
    assert_eq!(set("debug").result(), "{}");
    assert_eq!(logged(), 1);
}
