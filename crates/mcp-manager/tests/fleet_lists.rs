//! Lists and handles of a fleet, as clients with and without a session meet them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_manager::config::Namespace;
use mcp_manager::{Call, Client, Custom, Definition, Fleet, Plan, Streams};
use mcp_wire::{MODERN_VERSION, Message, Request, stateless_meta};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

/// What a server answers: the number of its connection, the method, the params.
type Answer = fn(usize, &str, &Value) -> Value;

/// A legacy server, or a modern one, that has tools and tasks.
fn server(name: &str, version: &'static str, answer: Answer) -> Definition {
    let opened = Arc::new(AtomicUsize::new(0));
    let custom = Custom::new(move || {
        let number = opened.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve(theirs, version, number, answer));
        let (reader, writer) = tokio::io::split(ours);
        std::future::ready(Ok(Streams { reader: Box::new(reader), writer: Box::new(writer) }))
    });
    Definition::custom(name, custom)
}

async fn serve(stream: DuplexStream, version: &'static str, number: usize, answer: Answer) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let Some(id) = message.get("id") else { continue };
        let capabilities = json!({ "tools": {}, "tasks": {} });
        let info = json!({ "name": "scripted", "version": "1" });
        let unknown = json!({ "error": { "code": -32601, "message": "no such method" } });
        let modern = version == MODERN_VERSION;
        let mut body = match message["method"].as_str().unwrap() {
            "initialize" if !modern => json!({ "result": {
                "protocolVersion": version, "capabilities": capabilities, "serverInfo": info } }),
            "server/discover" if modern => json!({ "result": {
                "resultType": "complete", "supportedVersions": [version],
                "capabilities": capabilities, "serverInfo": info } }),
            "initialize" | "server/discover" => unknown,
            method => answer(number, method, &message["params"]),
        };
        body["jsonrpc"] = json!("2.0");
        body["id"] = id.clone();
        if writer.write_all(format!("{body}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A fleet, and a client of it with a session.
struct Union {
    fleet: Fleet,
    client: Arc<Client>,
}

impl Union {
    async fn of(servers: Vec<Definition>, namespace: Namespace) -> Self {
        let mut plan = Plan::default();
        plan.servers = servers;
        plan.settings.namespace = namespace;
        let fleet = Fleet::new(plan).unwrap();
        fleet.start();
        fleet.settled(Duration::from_secs(30)).await;
        let client = fleet.connect(fleet.everything());
        let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
        let hello = Request::read(Message::request("0", "initialize", params)).unwrap();
        fleet.initialize(&client, &hello).await.unwrap();
        Self { fleet, client }
    }

    /// The result, or else the error, of a request of the client.
    async fn ask(&self, method: &str, params: Value) -> Value {
        self.send(Some(Arc::clone(&self.client)), method, params).await
    }

    /// The same for a request of its own.
    async fn ask_stateless(&self, method: &str, mut params: Value) -> Value {
        let meta = format!("{{{}}}", stateless_meta(MODERN_VERSION, "{}", None));
        params["_meta"] = serde_json::from_str(&meta).unwrap();
        self.send(None, method, params).await
    }

    async fn send(&self, client: Option<Arc<Client>>, method: &str, params: Value) -> Value {
        let request = Request::read(Message::request("1", method, &params.to_string())).unwrap();
        let call = Call { request, client, scope: self.fleet.everything() };
        let answer = match self.fleet.dispatch(call).await {
            Ok(exchange) => exchange.reply().await.unwrap(),
            Err(failure) => Message::error("1", &failure.to_error()),
        };
        let json = answer.result_json().or(answer.error_json()).unwrap();
        serde_json::from_str(json).unwrap()
    }

    /// All pages of the list of tools.
    async fn pages(&self) -> Vec<Value> {
        let mut pages = vec![self.ask("tools/list", json!({})).await];
        while let Some(cursor) = pages.last().unwrap().get("nextCursor").cloned() {
            pages.push(self.ask("tools/list", json!({ "cursor": cursor })).await);
        }
        pages
    }
}

fn names(pages: &[Value]) -> Vec<&str> {
    let tools = pages.iter().flat_map(|page| page["tools"].as_array().unwrap());
    tools.map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// Pages of 300 tools, `last` the number of the last one.
fn paged(params: &Value, last: usize) -> Value {
    let page: usize = params["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
    let tool = |number| json!({ "name": format!("t{number}"), "inputSchema": {} });
    let tools: Vec<_> = (page * 300..(page + 1) * 300).map(tool).collect();
    let mut result = json!({ "tools": tools, "resultType": "complete" });
    if page < last {
        result["nextCursor"] = json!((page + 1).to_string());
    }
    json!({ "result": result })
}

fn long(_: usize, _: &str, params: &Value) -> Value {
    paged(params, 3)
}

fn endless(_: usize, _: &str, params: &Value) -> Value {
    paged(params, usize::MAX)
}

/// More items than are read of any list, on one page.
fn heap(_: usize, _: &str, _: &Value) -> Value {
    let tool = |number| json!({ "name": format!("t{number}"), "inputSchema": {} });
    json!({ "result": { "tools": (0..10_500).map(tool).collect::<Vec<_>>() } })
}

/// How often a client's own connection to `bulky` was asked for a page.
static BULKY: AtomicUsize = AtomicUsize::new(0);

/// Pages of 1 MiB in one item each, without end.
fn bulky(number: usize, _: &str, params: &Value) -> Value {
    // The first connection is that of the manager, for its catalog.
    BULKY.fetch_add(number.min(1), Ordering::Relaxed);
    let asked: usize = params["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap()) + 1;
    let text = "x".repeat(1 << 20);
    let tools = json!([{ "name": format!("t{asked}"), "description": text }]);
    json!({ "result": { "tools": tools, "nextCursor": asked.to_string() } })
}

/// A list of two pages that lead to each other.
fn circle(_: usize, _: &str, params: &Value) -> Value {
    let next = if params["cursor"] == "a" { "b" } else { "a" };
    json!({ "result": { "tools": [{ "name": "again", "inputSchema": {} }], "nextCursor": next } })
}

fn one_tool(_: usize, _: &str, _: &Value) -> Value {
    json!({ "result": { "tools": [{ "name": "t700", "inputSchema": {} }] } })
}

const LEGACY: &str = "2025-11-25";

#[tokio::test]
async fn a_long_list_comes_in_pages_and_every_item_once_and_in_order() {
    let servers = ["a", "b", "c"].map(|name| server(name, LEGACY, long));
    let union = Union::of(servers.into(), Namespace::Server).await;
    let pages = union.pages().await;
    let sizes: Vec<_> = pages.iter().map(|page| page["tools"].as_array().unwrap().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
    assert!(pages.len() > 3 && pages.iter().all(|page| page.get("_meta").is_none()), "{sizes:?}");
    let expected: Vec<_> = ["a", "b", "c"]
        .iter()
        .flat_map(|server| (0..1200).map(move |number| format!("{server}__t{number}")))
        .collect();
    assert_eq!(names(&pages), expected);
}

#[tokio::test]
async fn only_our_own_cursor_of_the_same_list_is_taken() {
    let servers = ["a", "b"].map(|name| server(name, LEGACY, long));
    let union = Union::of(servers.into(), Namespace::Server).await;
    let first = union.ask("tools/list", json!({})).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let servers = ["a", "b"].map(|name| server(name, LEGACY, long));
    let other = Union::of(servers.into(), Namespace::Server).await;
    let changed = format!("{}A", &cursor[..cursor.len() - 1]);
    let changed = if changed == cursor { format!("{cursor}B") } else { changed };
    for answer in [
        union.ask("prompts/list", json!({ "cursor": cursor })).await,
        union.ask("tools/list", json!({ "cursor": changed })).await,
        union.ask("tools/list", json!({ "cursor": "1" })).await,
        union.ask("tools/list", json!({ "cursor": 1 })).await,
        other.ask("tools/list", json!({ "cursor": cursor })).await,
    ] {
        assert_eq!(answer["code"], -32602, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains("cursor"), "{answer}");
    }
}

#[tokio::test]
async fn a_list_without_end_is_cut_and_its_server_named() {
    let servers = vec![
        server("circle", LEGACY, circle),
        server("endless", LEGACY, endless),
        server("last", LEGACY, one_tool),
    ];
    let union = Union::of(servers, Namespace::Server).await;
    let pages = union.pages().await;
    let names = names(&pages);
    let of = |server: &str| names.iter().filter(|name| name.starts_with(server)).count();
    assert_eq!((of("circle__"), of("endless__"), of("last__")), (3, 10_000, 1));
    let missing: Vec<_> = pages
        .iter()
        .flat_map(|page| page["_meta"]["mcp-manager/missing"].as_array().into_iter().flatten())
        .map(|missing| (missing["server"].as_str().unwrap(), missing["code"].as_str().unwrap()))
        .collect();
    assert_eq!(missing, [("circle", "LIST_TRUNCATED"), ("endless", "LIST_TRUNCATED")]);
}

#[tokio::test]
async fn one_page_with_too_many_items_is_cut_like_many_pages() {
    let servers = vec![server("heap", LEGACY, heap), server("last", LEGACY, one_tool)];
    let union = Union::of(servers, Namespace::Server).await;
    let pages = union.pages().await;
    let names = names(&pages);
    assert_eq!((names.len(), names[9_999], names[10_000]), (10_001, "heap__t9999", "last__t700"));
    let cut = pages
        .iter()
        .filter(|page| page["_meta"]["mcp-manager/missing"][0]["code"] == "LIST_TRUNCATED");
    assert_eq!(cut.count(), 1);
}

#[tokio::test]
async fn no_more_is_read_of_a_bulky_list_than_a_page_holds() {
    let servers = vec![server("bulky", LEGACY, bulky), server("last", LEGACY, one_tool)];
    let union = Union::of(servers, Namespace::Server).await;
    let page = union.ask("tools/list", json!({ "cursor": null })).await;
    let read = BULKY.load(Ordering::Relaxed);
    assert!(
        (1..=4).contains(&read) && page["nextCursor"].is_string(),
        "{read} pages for one of ours"
    );
}

#[tokio::test]
async fn a_name_that_several_servers_have_is_left_out_on_every_page() {
    let servers = vec![server("a", LEGACY, long), server("b", LEGACY, one_tool)];
    let union = Union::of(servers, Namespace::None).await;
    let pages = union.pages().await;
    let names: BTreeSet<_> = names(&pages).into_iter().collect();
    assert_eq!(names.len(), 1199);
    assert!(!names.contains("t700"));
}

/// Makes tasks, and knows only those of its own connection; a list likewise.
fn tasks(number: usize, method: &str, params: &Value) -> Value {
    let own = format!("task-of-{number}");
    let refused = || json!({ "error": { "code": -32602, "message": "not mine" } });
    match method {
        "tools/call" if params["name"] == "same" => {
            json!({ "result": { "task": { "taskId": "same", "status": "working" } } })
        }
        "tools/call" if params["name"] == "stateless" => {
            json!({ "result": { "resultType": "task", "taskId": own, "status": "working" } })
        }
        "tools/call" if params.get("requestState").is_some_and(|state| *state != own) => refused(),
        "tools/call" => {
            json!({ "result": { "resultType": "input_required", "requestState": own } })
        }
        "tasks/get" if params["taskId"] == own => json!({ "result": {
            "resultType": "complete", "taskId": own, "status": "working" } }),
        "tools/list" => json!({ "result": { "resultType": "complete", "tools": [] } }),
        _ => refused(),
    }
}

#[tokio::test]
async fn a_task_leads_back_to_the_server_and_the_replica_that_made_it() {
    let mut twice = server("twice", MODERN_VERSION, tasks);
    twice.settings.scaling.replicas = 2;
    let union = Union::of(vec![server("other", LEGACY, one_tool), twice], Namespace::Server).await;
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        // At the same time, because whichever is quicker would have both else.
        let make = || union.ask_stateless("tools/call", json!({ "name": "twice__stateless" }));
        let (one, other) = tokio::join!(make(), make());
        for task in [one, other] {
            let task = task["taskId"].as_str().unwrap().to_owned();
            for _ in 0..3 {
                let got = union.ask_stateless("tasks/get", json!({ "taskId": task })).await;
                assert_eq!(got["taskId"], *task, "{got}");
            }
            seen.insert(task);
        }
    }
    assert_eq!(seen.len(), 2, "both replicas were asked: {seen:?}");
    let unknown = union.ask_stateless("tasks/get", json!({ "taskId": "nobody's" })).await;
    assert_eq!((&unknown["code"], &unknown["data"]["code"]), (&json!(-32602), &json!("NOT_FOUND")));
}

#[tokio::test]
async fn the_state_of_a_call_goes_back_to_the_replica_that_gave_it() {
    let mut twice = server("twice", MODERN_VERSION, tasks);
    twice.settings.scaling.replicas = 2;
    let union = Union::of(vec![twice], Namespace::Server).await;
    for _ in 0..8 {
        let asked = union.ask_stateless("tools/call", json!({ "name": "x" })).await;
        let state = &asked["requestState"];
        for _ in 0..3 {
            let again = json!({ "name": "x", "requestState": state });
            let answer = union.ask_stateless("tools/call", again).await;
            assert_eq!(answer["requestState"], *state, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_task_id_that_two_servers_have_given_out_is_refused() {
    let servers = ["a", "b"].map(|name| server(name, LEGACY, tasks));
    let union = Union::of(servers.into(), Namespace::Server).await;
    for name in ["a__same", "b__same"] {
        let made = union.ask("tools/call", json!({ "name": name, "task": {} })).await;
        assert_eq!(made["task"]["taskId"], "same", "{made}");
    }
    let refused = union.ask("tasks/get", json!({ "taskId": "same" })).await;
    assert_eq!(refused["data"]["code"], "AMBIGUOUS_NAME", "{refused}");
}
