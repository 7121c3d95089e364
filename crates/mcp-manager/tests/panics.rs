//! Fault 50: a server in this process whose code panics costs its own calls, and nothing else.

mod canned;

use mcp_manager::{Custom, Definition, Failure, Streams};

use self::canned::{ask, fleet, server};

/// A server that cannot be opened, whatever is tried.
fn mad(name: &str, custom: Custom) -> Definition {
    Definition::custom(name, custom)
}

fn never() -> std::future::Ready<Result<Streams, String>> {
    panic!("a mistake in somebody's start")
}

async fn call(fleet: &mcp_manager::Fleet, tool: &str) -> Result<String, Failure> {
    let answer = ask(fleet, "tools/call", &format!(r#""name":"{tool}""#)).await?;
    Ok(answer.as_str().to_owned())
}

#[tokio::test]
async fn fault_50_a_server_whose_code_panics_fails_alone() {
    let fine = |_, request: &mcp_wire::Request| match request.method() {
        "tools/call" => r#"{"content":[]}"#.to_owned(),
        _ => r#"{"tools":[{"name":"echo","inputSchema":{}}]}"#.to_owned(),
    };
    let broken = |_, request: &mcp_wire::Request| match request.method() {
        "tools/call" => panic!("a mistake in somebody's tool"),
        _ => r#"{"tools":[{"name":"echo","inputSchema":{}}]}"#.to_owned(),
    };
    let late = Custom::new(|| async { never().await });
    let unwell = Custom::new(|| async { Err("not reached".to_owned()) })
        .with_health(|| panic!("a mistake in somebody's health check"));
    let fleet = fleet(vec![
        server("fine", fine),
        server("tool", broken),
        mad("start", Custom::new(never)),
        mad("late", late),
        mad("unwell", unwell),
    ])
    .await;
    for (name, why) in
        [("start", "start panicked"), ("late", "start panicked"), ("unwell", "panicked")]
    {
        let failure = call(&fleet, &format!("{name}__echo")).await.unwrap_err();
        assert_eq!(failure.code(), "CONNECTION_FAILED", "{failure}");
        assert!(failure.to_string().contains(why), "{failure}");
        let server = fleet.servers().iter().find(|server| server.name() == name).cloned();
        assert_ne!(server.unwrap().state().word(), "ready", "{name}");
    }
    // A tool that panics takes its connection along; the next call has another one.
    for _ in 0..2 {
        let failure = call(&fleet, "tool__echo").await.unwrap_err();
        assert_eq!(failure.code(), "SERVER_UNAVAILABLE", "{failure}");
        assert!(call(&fleet, "fine__echo").await.unwrap().contains("content"));
    }
    let list = ask(&fleet, "tools/list", "").await.unwrap();
    assert!(list.as_str().contains("fine__echo"), "{}", list.as_str());
    fleet.stop().await;
}
