//! Lists of several servers, put together and given out a page at a time.

mod canned;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_manager::{Definition, Fleet};
use mcp_wire::{Members, Message, Request, elements, unquoted};

use self::canned::{able, ask, fleet, server};

/// A server with `count` tools on pages of `page`; its cursors are the numbers of pages.
fn tools(name: &str, count: usize, page: usize) -> Definition {
    server(name, move |_, request: &Request| {
        let params = request.params();
        let cursor = params.as_ref().and_then(|params| params.text("cursor"));
        let at: usize = cursor.map_or(0, |cursor| cursor.parse().expect("a cursor of its own"));
        let to = count.min((at + 1) * page);
        let items: Vec<_> =
            (at * page..to).map(|n| format!(r#"{{"name":"t{n}","inputSchema":{{}}}}"#)).collect();
        let next =
            if to < count { format!(r#","nextCursor":"{}""#, at + 1) } else { String::new() };
        format!(r#"{{"tools":[{}]{next}}}"#, items.join(","))
    })
}

struct Page {
    names: Vec<String>,
    next: Option<String>,
    meta: String,
}

async fn page(fleet: &Fleet, cursor: Option<&str>) -> Page {
    let params = cursor.map(|cursor| format!(r#""cursor":{cursor}"#)).unwrap_or_default();
    let reply = ask(fleet, "tools/list", &params).await.expect("a page");
    read(&reply)
}

fn read(reply: &Message) -> Page {
    let result = Members::of(reply.result_json().expect("a result")).expect("an object");
    let items = elements(result.get("tools").expect("tools")).expect("an array");
    let name = |item: &&str| {
        Members::of(item).expect("an item").text("name").expect("a name").into_owned()
    };
    Page {
        names: items.iter().map(name).collect(),
        next: result.get("nextCursor").map(str::to_owned),
        meta: result.get("_meta").unwrap_or_default().to_owned(),
    }
}

/// Every page, from the first to the last.
async fn all(fleet: &Fleet) -> Vec<Page> {
    let mut pages = vec![page(fleet, None).await];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        assert!(pages.len() < 100, "it ends");
        pages.push(page(fleet, Some(&next)).await);
    }
    pages
}

#[tokio::test]
async fn every_item_is_on_one_page_in_order_whatever_the_servers_pages_are() {
    let sizes = [("a", 1500, 700), ("b", 0, 1), ("c", 999, 10), ("d", 3, 1000)];
    let fleet = fleet(sizes.map(|(name, count, size)| tools(name, count, size)).into()).await;
    let wanted: Vec<String> = sizes
        .iter()
        .flat_map(|(name, count, _)| (0..*count).map(move |n| format!("{name}__t{n}")))
        .collect();
    let pages = all(&fleet).await;
    assert!(pages.iter().all(|page| page.names.len() <= 1000 && page.meta.is_empty()));
    assert_eq!(pages.len(), 3);
    let names: Vec<String> = pages.into_iter().flat_map(|page| page.names).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes_and_one_item_always_fits() {
    let big = |name: &'static str| {
        server(name, |_, _| {
            let filler = "x".repeat(2_200_000);
            format!(r#"{{"tools":[{{"name":"big","description":"{filler}"}},{{"name":"small"}}]}}"#)
        })
    };
    let fleet = fleet(vec![big("a"), big("b")]).await;
    let pages = all(&fleet).await;
    let names: Vec<_> = pages.iter().map(|page| page.names.join(" ")).collect();
    assert_eq!(names, ["a__big a__small", "b__big b__small"]);
}

#[tokio::test]
async fn a_cursor_that_we_did_not_give_for_this_list_is_refused() {
    let fleet = fleet(vec![tools("a", 1500, 700), tools("b", 1, 1)]).await;
    let good = page(&fleet, None).await.next.expect("a second page");
    let text = unquoted(&good).expect("a string");
    // Not the last letter: some of its bits may stand for nothing.
    let other = if text.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("\"{other}{}\"", &text[1..]);
    for bad in [changed.as_str(), "\"1\"", "\"\"", "7", "{}"] {
        let failure = ask(&fleet, "tools/list", &format!(r#""cursor":{bad}"#)).await;
        assert_eq!(failure.map(drop).map_err(|failure| failure.code()), Err("INVALID_PARAMS"));
    }
    // Good for tools, and for nothing else.
    let failure = ask(&fleet, "prompts/list", &format!(r#""cursor":{good}"#)).await;
    assert_eq!(failure.map(drop).map_err(|failure| failure.code()), Err("INVALID_PARAMS"));
    assert_eq!(page(&fleet, Some(&good)).await.names.len(), 501);
}

/// Without prefixes a name of two servers cannot be called, so it is on no page, however far apart
/// the two stand.
#[tokio::test]
async fn a_name_of_two_servers_is_on_no_page() {
    let mut plan = mcp_manager::Plan::default();
    plan.servers = vec![
        tools("a", 1200, 700),
        server("b", |_, _| r#"{"tools":[{"name":"t5"},{"name":"own"}]}"#.to_owned()),
    ];
    plan.settings.namespace = mcp_manager::config::Namespace::None;
    let fleet = canned::started(plan).await;
    let pages = all(&fleet).await;
    assert_eq!(pages.len(), 2);
    let names: Vec<&String> = pages.iter().flat_map(|page| &page.names).collect();
    assert_eq!((names.len(), names[names.len() - 1].as_str()), (1200, "own"));
    assert!(!names.iter().any(|name| *name == "t5"));
    assert!(pages[0].meta.contains(r#""mcp-manager/collisions":["t5"]"#), "{}", pages[0].meta);
}

/// Fault 20: a cursor that leads in a circle, and a list without an end.
#[tokio::test]
async fn fault_20_a_list_without_end_is_cut_and_the_others_are_whole() {
    let circle =
        server("circle", |_, _| r#"{"tools":[{"name":"again"}],"nextCursor":"same"}"#.to_owned());
    let fleet = fleet(vec![circle, tools("endless", 1_000_000, 500), tools("last", 2, 2)]).await;
    let pages = all(&fleet).await;
    let count = |server: &str| {
        let names = pages.iter().flat_map(|page| &page.names);
        names.filter(|name| name.starts_with(server)).count()
    };
    assert_eq!((count("circle"), count("endless"), count("last")), (2, 10_000, 2));
    let meta: String = pages.iter().map(|page| page.meta.as_str()).collect();
    assert_eq!(meta.matches("LIST_TRUNCATED").count(), 2, "{meta}");
    assert!(meta.contains(r#""server":"circle""#) && meta.contains(r#""server":"endless""#));
}

#[tokio::test]
async fn a_task_leads_back_to_the_server_that_made_it() {
    let maker = |name: &'static str, id: &'static str| {
        server(name, move |_, request: &Request| match request.method() {
            "tools/call" => format!(r#"{{"resultType":"task","taskId":"{id}"}}"#),
            _ => format!(r#"{{"from":"{name}"}}"#),
        })
    };
    let servers = vec![maker("a", "one"), maker("b", "two"), maker("c", "two")];
    let fleet = fleet(servers).await;
    let get = async |id: &str| {
        let reply = ask(&fleet, "tasks/get", &format!(r#""taskId":"{id}""#)).await;
        reply.map(|reply| reply.result_json().unwrap_or_default().to_owned())
    };
    assert_eq!(get("one").await.map_err(|failure| failure.code()), Err("NOT_FOUND"));
    for server in ["a", "b"] {
        ask(&fleet, "tools/call", &format!(r#""name":"{server}__x""#)).await.expect("a task");
    }
    assert_eq!(get("one").await.expect("a's"), r#"{"from":"a"}"#);
    assert_eq!(get("two").await.expect("b's"), r#"{"from":"b"}"#);
    // Two servers that call different things by one name: nobody guesses which is meant.
    ask(&fleet, "tools/call", r#""name":"c__x""#).await.expect("a task");
    assert_eq!(get("two").await.map_err(|failure| failure.code()), Err("AMBIGUOUS_NAME"));
}

#[tokio::test]
async fn what_one_replica_made_goes_back_to_it() {
    // Each replica knows only what it made itself.
    let mut replicated = server("a", |number, request: &Request| {
        let params = request.params().expect("params");
        let state = params.text("requestState").map(|state| state.into_owned());
        match (request.method(), request.name(), state) {
            ("tasks/get", Some(id), _) => {
                format!(r#"{{"mine":{}}}"#, id == format!("task-{number}"))
            }
            ("tools/call", _, Some(state)) => {
                format!(r#"{{"mine":{}}}"#, state == format!("state-{number}"))
            }
            ("tools/call", Some("ask"), None) => {
                format!(r#"{{"resultType":"input_required","requestState":"state-{number}"}}"#)
            }
            ("tools/call", _, None) => {
                format!(r#"{{"resultType":"task","taskId":"task-{number}"}}"#)
            }
            _ => r#"{"tools":[]}"#.to_owned(),
        }
    });
    replicated.settings.scaling.replicas = 3;
    let fleet = fleet(vec![replicated]).await;
    let member = |reply: &Message, name: &str| {
        let result = Members::of(reply.result_json().expect("a result")).expect("an object");
        result.text(name).expect(name).into_owned()
    };
    for _ in 0..10 {
        let task = ask(&fleet, "tools/call", r#""name":"begin""#).await.expect("a task");
        let asks = ask(&fleet, "tools/call", r#""name":"ask""#).await.expect("a question");
        let state = format!(r#""name":"ask","requestState":"{}""#, member(&asks, "requestState"));
        let task = format!(r#""taskId":"{}""#, member(&task, "taskId"));
        for (method, params) in [("tasks/get", task), ("tools/call", state)] {
            let reply = ask(&fleet, method, &params).await.expect("an answer");
            assert_eq!(reply.result_json(), Some(r#"{"mine":true}"#), "{method} {params}");
        }
    }
}

#[tokio::test]
async fn a_uri_that_is_not_known_is_looked_for_before_it_is_refused() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let growing = able("growing", r#"{"resources":{}}"#, move |_, request| {
        let listed = match request.method() {
            "resources/templates/list" => return r#"{"resourceTemplates":[]}"#.to_owned(),
            "resources/list" => counter.fetch_add(1, Ordering::Relaxed) > 0,
            _ => return r#"{"contents":[]}"#.to_owned(),
        };
        let resources = if listed { r#"{"uri":"x:new"}"# } else { "" };
        format!(r#"{{"resources":[{resources}]}}"#)
    });
    let fleet = fleet(vec![growing, tools("other", 1, 1)]).await;
    while reads.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let found = ask(&fleet, "resources/read", r#""uri":"x:new""#).await.expect("an answer");
    assert_eq!(found.result_json().map(|json| json.contains("contents")), Some(true));
    let unknown = ask(&fleet, "resources/read", r#""uri":"x:none""#).await;
    assert_eq!(unknown.map_err(|failure| failure.code()).map(drop), Err("NOT_FOUND"));
}
