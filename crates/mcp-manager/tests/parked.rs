//! What a server with sessions asks of stateless clients: the question is the answer, the next
//! request brings the answer, and nobody else's does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod puppet;

use std::time::Duration;

use mcp_manager::Failure;
use puppet::{ALL, Puppet, Someone, all, fleet, result, settle};
use serde_json::{Value, json};

const INFO: &str = "io.modelcontextprotocol/serverInfo";
const ROOTS: &str = r#"{"question-1":{"roots":[1.0]}}"#;

fn one(capabilities: &str) -> (Puppet, Someone) {
    let puppet = Puppet::new();
    let fleet = fleet(vec![puppet.definition("p")]);
    let someone = Someone::new(&fleet, "p", capabilities);
    (puppet, someone)
}

/// A call that waits for its client: the session, the id of the call, what the client was told.
async fn parked(puppet: &mut Puppet, someone: &Someone, argument: &str) -> (usize, Value, Value) {
    let exchange = someone.call(argument).await;
    let (session, id) = puppet.hear_call("tools/call").await;
    puppet.ask(session, argument, "roots/list");
    (session, id, result(exchange).await)
}

fn is_refused(failure: &Failure, why: &str) {
    assert_eq!(failure.to_error().code, -32602, "{failure}");
    assert!(failure.to_string().contains(why), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_question_is_the_answer_and_the_next_request_brings_the_answer() {
    let (mut puppet, someone) = one(ALL);
    let (session, id, demand) = parked(&mut puppet, &someone, "x").await;
    let state = demand["requestState"].clone();
    assert!(state.is_string());
    assert_eq!(
        demand,
        json!({
            "resultType": "input_required",
            "inputRequests": { "question-1": { "method": "roots/list", "params": { "of": "x" } } },
            "requestState": state,
            "_meta": { INFO: { "name": "puppet", "version": "1" } },
        })
    );
    let exchange = someone.again("x", &demand, ROOTS).await.unwrap();
    let (back, answer) = puppet.hear().await;
    assert_eq!(
        (back, &answer["id"], &answer["result"]),
        (session, &json!("x"), &json!({ "roots": [1.0] }))
    );
    puppet.answer(session, &id, &json!({ "content": [], "_meta": { "own": 1 } }));
    assert_eq!(
        result(exchange).await,
        json!({
            "resultType": "complete",
            "content": [],
            "_meta": { "own": 1, INFO: { "name": "puppet", "version": "1" } },
        })
    );
    assert_eq!(puppet.rest().await, [] as [Value; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_at_once_is_one_demand_and_what_is_not_answered_is_asked_again() {
    let (mut puppet, someone) = one(ALL);
    let exchange = someone.call("x").await;
    let (session, id) = puppet.hear_call("tools/call").await;
    let ask = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#);
    let asking = async {
        puppet.write(session, &ask(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
        puppet.write(session, &[ask(2), ask(3)].join("\n"));
    };
    let (demand, ()) = tokio::join!(result(exchange), asking);
    assert_eq!(demand["inputRequests"].as_object().unwrap().len(), 3, "{demand}");
    // While nobody waits, one more is asked and one is taken back.
    puppet.write(session, &ask(4));
    puppet.notify(session, "notifications/cancelled", &json!({ "requestId": 3 }));
    settle().await;
    let responses = r#"{"question-1":{"n":1},"question-3":{"n":3}}"#;
    let demand = result(someone.again("x", &demand, responses).await.unwrap()).await;
    let open: Vec<_> = demand["inputRequests"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(open, ["question-2", "question-4"]);
    let responses = r#"{"question-4":{"n":4},"question-2":{"n":2},"question-3":{"n":3}}"#;
    let exchange = someone.again("x", &demand, responses).await.unwrap();
    let heard: Vec<_> =
        puppet.rest().await.iter().map(|m| (m["id"].clone(), m["result"]["n"].clone())).collect();
    assert_eq!(heard, [(json!(1), json!(1)), (json!(2), json!(2)), (json!(4), json!(4))]);
    puppet.answer(session, &id, &json!({}));
    assert_eq!(result(exchange).await["resultType"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_state_is_good_once_for_one_client_and_one_request() {
    let (mut puppet, someone) = one(ALL);
    let (session, id, demand) = parked(&mut puppet, &someone, "x").await;
    let not_given = "was not given to this client for this request";

    let other = someone.named("somebody else");
    is_refused(&other.again("x", &demand, ROOTS).await.unwrap_err(), not_given);
    is_refused(&someone.again("y", &demand, ROOTS).await.unwrap_err(), not_given);
    let state = demand["requestState"].as_str().unwrap();
    let params = format!(r#""name":"t","arguments":{{"a":"x"}},"requestState":"{state}""#);
    is_refused(&someone.send("prompts/get", &params).await.unwrap_err(), not_given);
    let changed = json!({ "requestState": state.replace(char::is_lowercase, "A") });
    is_refused(&someone.again("x", &changed, ROOTS).await.unwrap_err(), not_given);
    for odd in [json!(7), json!(""), json!("x"), Value::Null] {
        let odd = json!({ "requestState": odd });
        is_refused(&someone.again("x", &odd, ROOTS).await.unwrap_err(), "requestState");
    }
    is_refused(&someone.again("x", &demand, "[]").await.unwrap_err(), "expected a JSON object");
    let connected = Someone {
        client: Some(someone.fleet.connect(someone.fleet.everything())),
        ..someone.clone()
    };
    is_refused(&connected.again("x", &demand, ROOTS).await.unwrap_err(), not_given);
    let loud = someone.with_meta(r#","io.modelcontextprotocol/logLevel":"loud""#);
    is_refused(&loud.again("x", &demand, ROOTS).await.unwrap_err(), "no log level");
    assert_eq!(puppet.rest().await, [] as [Value; 0], "the call was left alone");

    // Other `_meta`, and members in another order, are the same request.
    let again = format!(
        r#""arguments":{{"a":"x"}},"inputResponses":{ROOTS},"requestState":"{state}","name":"t""#
    );
    let late = someone.with_meta(r#","progressToken":"p""#);
    let exchange = late.send("tools/call", &again).await.unwrap();
    is_refused(&someone.again("x", &demand, ROOTS).await.unwrap_err(), "was used already");
    puppet.answer(session, &id, &json!({}));
    assert_eq!(result(exchange).await["resultType"], "complete");
    is_refused(&someone.again("x", &demand, ROOTS).await.unwrap_err(), "was used already");
}

#[tokio::test(start_paused = true)]
async fn two_clients_with_connections_of_their_own_never_share_a_session() {
    let (mut puppet, someone) = one(ALL);
    let connected = || Someone {
        client: Some(someone.fleet.connect(someone.fleet.everything())),
        ..someone.clone()
    };
    let (first, second) = (connected(), connected());
    let (session, id, demand) = parked(&mut puppet, &first, "x").await;
    assert!(second.again("x", &demand, ROOTS).await.is_err());
    let exchange = first.again("x", &demand, ROOTS).await.unwrap();
    puppet.hear().await;
    puppet.answer(session, &id, &json!({}));
    result(exchange).await;
    let exchange = second.call("y").await;
    let (other, id) = puppet.hear_call("tools/call").await;
    assert_ne!(session, other);
    puppet.answer(other, &id, &json!({}));
    result(exchange).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_its_client_only_so_long() {
    let (mut puppet, someone) = one(ALL);
    let (_, id, demand) = parked(&mut puppet, &someone, "x").await;
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(puppet.rest().await, [] as [Value; 0], "no deadline of the call passes meanwhile");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let heard = puppet.rest().await;
    let cancelled = heard.iter().find(|message| message["method"] == "notifications/cancelled");
    assert_eq!(cancelled.unwrap()["params"]["requestId"], id);
    let answer = heard.iter().find(|message| message["id"] == "x").unwrap();
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    is_refused(&someone.again("x", &demand, ROOTS).await.unwrap_err(), "is too old");
    assert_eq!(someone.fleet.servers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_call_begins_anew_with_each_request() {
    let (mut puppet, someone) = one(ALL);
    let (session, id, demand) = parked(&mut puppet, &someone, "x").await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let exchange = someone.again("x", &demand, ROOTS).await.unwrap();
    puppet.hear().await;
    let told = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        puppet.answer(session, &id, &json!({}));
    };
    let (result, ()) = tokio::join!(result(exchange), told);
    assert_eq!(result["resultType"], "complete");
    let exchange = someone.call("y").await;
    let late = exchange.reply().await.unwrap_err();
    assert_eq!(late.code(), "TIMEOUT");
}

#[tokio::test(start_paused = true)]
async fn what_follows_belongs_to_the_later_request() {
    let (mut puppet, someone) = one(ALL);
    let progress = |token: &Value| json!({ "progressToken": token, "progress": 1 });
    for (later, shown) in [(r#","progressToken":"later""#, Some("later")), ("", None)] {
        let first = someone.with_meta(r#","progressToken":"first""#);
        let exchange = first.call("x").await;
        let (session, call) = puppet.hear().await;
        let (id, token) = (&call["id"], &call["params"]["_meta"]["progressToken"]);
        puppet.notify(session, "notifications/progress", &progress(token));
        puppet.ask(session, "q", "roots/list");
        let (messages, demand) = all(exchange).await;
        assert_eq!(messages[0]["params"]["progressToken"], "first");
        puppet.notify(session, "notifications/progress", &progress(token));
        settle().await;
        let exchange = first.with_meta(later).again("x", &demand, ROOTS).await.unwrap();
        puppet.hear().await;
        puppet.notify(session, "notifications/progress", &progress(token));
        puppet.answer(session, id, &json!({}));
        let (messages, _) = all(exchange).await;
        let tokens: Vec<_> =
            messages.iter().map(|m| m["params"]["progressToken"].as_str().unwrap()).collect();
        assert_eq!(tokens, shown.into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_cancels_the_call_at_the_server() {
    let (mut puppet, someone) = one(ALL);
    let exchange = someone.call("x").await;
    let (_, id) = puppet.hear_call("tools/call").await;
    drop(exchange);
    let (_, cancelled) = puppet.hear().await;
    assert_eq!(cancelled["params"]["requestId"], id);

    let (_, id, demand) = parked(&mut puppet, &someone, "y").await;
    let exchange = someone.again("y", &demand, ROOTS).await.unwrap();
    puppet.hear().await;
    drop(exchange);
    let (_, cancelled) = puppet.hear().await;
    assert_eq!(cancelled["params"]["requestId"], id);

    // Whoever stops the fleet cancels what waits.
    let (_, id, _) = parked(&mut puppet, &someone, "z").await;
    let stopping = tokio::spawn(async move { someone.fleet.stop().await });
    let (_, cancelled) = puppet.hear().await;
    assert_eq!(cancelled["params"]["requestId"], id);
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_may_end_while_it_waits() {
    let (mut puppet, someone) = one(ALL);
    let (session, id, demand) = parked(&mut puppet, &someone, "x").await;
    puppet.answer(session, &id, &json!({ "done": true }));
    settle().await;
    let exchange = someone.again("x", &demand, ROOTS).await.unwrap();
    assert_eq!(result(exchange).await["done"], true);
    assert_eq!(puppet.hear().await.1["result"], json!({ "roots": [1.0] }));

    // A question that the server did not wait for is refused, so that nobody waits for ever.
    let exchange = someone.call("y").await;
    let (session, id) = puppet.hear_call("tools/call").await;
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    let ask = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#;
    puppet.write(session, &format!("{ask}\n{answer}"));
    assert_eq!(result(exchange).await["resultType"], "complete");
    assert_eq!(puppet.hear().await.1["error"]["code"], -32601);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_is_not() {
    let (mut puppet, someone) = one(r#"{"elicitation":{}}"#);
    let seen = tokio::spawn(all(someone.call("x").await));
    let (session, id) = puppet.hear_call("tools/call").await;
    for method in ["roots/list", "sampling/createMessage", "tasks/get", "ping"] {
        puppet.ask(session, method, method);
        let (_, answer) = puppet.hear().await;
        assert_eq!(answer["id"], method);
        match method {
            "ping" => assert_eq!(answer["result"], json!({})),
            _ => assert_eq!(answer["error"]["code"], -32601),
        }
    }
    for list in ["tools", "prompts", "resources"] {
        puppet.notify(session, &format!("notifications/{list}/list_changed"), &json!({}));
    }
    puppet.notify(session, "notifications/resources/updated", &json!({ "uri": "x:/" }));
    puppet.notify(session, "notifications/message", &json!({ "level": "error", "data": 1 }));
    puppet.notify(session, "notifications/x-own", &json!({}));
    puppet.answer(session, &id, &json!({}));
    let (messages, _) = seen.await.unwrap();
    let methods: Vec<_> = messages.iter().map(|message| &message["method"]).collect();
    assert_eq!(methods, ["notifications/x-own"]);

    // Nobody is asked while nothing runs, nor in the session of those that can do nothing.
    puppet.ask(session, "idle", "elicitation/create");
    assert_eq!(puppet.hear().await.1["error"]["code"], -32601);
    let nobody = Someone { capabilities: " { } ".to_owned(), ..someone };
    let seen = tokio::spawn(all(nobody.call("y").await));
    let (session, id) = puppet.hear_call("tools/call").await;
    assert_eq!(session, 0, "the session that is ours");
    puppet.ask(session, "q", "elicitation/create");
    assert_eq!(puppet.hear().await.1["error"]["code"], -32601);
    puppet.answer(session, &id, &json!({}));
    assert_eq!(seen.await.unwrap().0, [] as [Value; 0]);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_calls_wait_for_their_clients() {
    let mut puppet = Puppet::new();
    let names = ["a", "b", "c"];
    let fleet = fleet(names.iter().map(|name| puppet.definition(name)).collect());
    let clients = names.map(|name| Someone::new(&fleet, name, ALL));
    for number in 0..256 {
        let (_, _, demand) = parked(&mut puppet, &clients[number / 128], "x").await;
        assert_eq!(demand["resultType"], "input_required", "{number}: {demand}");
    }
    let (_, id, refused) = parked(&mut puppet, &clients[2], "y").await;
    assert_eq!(refused["data"]["code"], "MAX_OVERFLOW_REACHED", "{refused}");
    let heard = puppet.rest().await;
    assert!(heard.iter().any(|message| message["params"]["requestId"] == id), "{heard:?}");
    assert!(heard.iter().any(|message| message["error"]["code"] == -32603), "{heard:?}");
}
