//! The health of replicas: asked in the connection that there is, on paused time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_manager::config::{CheckKind, ProtocolEra};
use mcp_manager::health::State;
use mcp_manager::{Definition, Fleet, Plan, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, duplex, split};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// A server of the session era that counts what it hears.
#[derive(Debug, Default)]
struct Counting {
    opened: AtomicUsize,
    pings: AtomicUsize,
    /// Whether it knows what a ping is.
    ignorant: bool,
    /// Whether it says nothing to pings.
    deaf: AtomicBool,
}

impl Counting {
    fn definition(self: &Arc<Self>) -> Definition {
        let counting = Arc::clone(self);
        let custom = mcp_manager::Custom::new(move || {
            let (near, far) = duplex(1 << 16);
            tokio::spawn(Arc::clone(&counting).live(far));
            let (reader, writer) = split(near);
            let (reader, writer) = (Box::new(reader), Box::new(writer));
            std::future::ready(Ok(mcp_manager::Streams { reader, writer }))
        });
        let mut definition = Definition::custom("it", custom);
        definition.settings.protocol_era = ProtocolEra::Legacy;
        definition
    }

    async fn live(self: Arc<Self>, stream: tokio::io::DuplexStream) {
        let (reader, mut writer) = split(stream);
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: serde_json::Value = serde_json::from_str(&line).unwrap();
            let Some(id) = message.get("id") else { continue };
            let result = match message["method"].as_str().unwrap() {
                "initialize" => {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                    r#""result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"it","version":"1"}}"#
                }
                "ping" => {
                    self.pings.fetch_add(1, Ordering::Relaxed);
                    match (self.deaf.load(Ordering::Relaxed), self.ignorant) {
                        (true, _) => continue,
                        (_, true) => r#""error":{"code":-32601,"message":"what?"}"#,
                        (_, false) => r#""result":{}"#,
                    }
                }
                "tools/call" => continue,
                _ => r#""error":{"code":-32601,"message":"what?"}"#,
            };
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{result}}}\n");
            if writer.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn fleet(definition: Definition) -> (Fleet, Arc<Server>) {
    let mut plan = Plan::default();
    plan.servers = vec![definition];
    let fleet = Fleet::new(plan).unwrap();
    fleet.start();
    fleet.settled(Duration::from_secs(60)).await;
    let server = fleet.server("it").unwrap();
    (fleet, server)
}

fn health(server: &Server) -> Option<State> {
    Some(server.replica_status()[0].health.as_ref()?.state)
}

const INTERVAL: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn fifty_probes_open_no_second_session() {
    for ignorant in [false, true] {
        let counting = Arc::new(Counting { ignorant, ..Counting::default() });
        let (fleet, server) = fleet(counting.definition()).await;
        tokio::time::sleep(INTERVAL * 56).await;
        assert!(counting.pings.load(Ordering::Relaxed) >= 50);
        assert_eq!(counting.opened.load(Ordering::Relaxed), 1);
        assert_eq!(
            health(&server),
            Some(State::Healthy),
            "also if it does not know what a ping is"
        );
        assert_eq!(server.totals().restarted, 0);
        fleet.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_more_is_opened_anew() {
    let counting = Arc::new(Counting::default());
    let (fleet, server) = fleet(counting.definition()).await;
    tokio::time::sleep(INTERVAL * 2).await;
    counting.deaf.store(true, Ordering::Relaxed);
    let mut moves = 0;
    while counting.opened.load(Ordering::Relaxed) == 1 {
        moves += 1;
        assert!(moves < 200, "nobody does anything");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    counting.deaf.store(false, Ordering::Relaxed);
    assert!(moves > 60, "three times in a row it takes");
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(health(&server), Some(State::Healthy));
    assert_eq!(server.totals().restarted, 1);
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_at_work_is_left_alone() {
    let counting = Arc::new(Counting::default());
    let mut definition = counting.definition();
    definition.settings.call_timeout = Duration::from_secs(600);
    let (fleet, server) = fleet(definition).await;
    tokio::time::sleep(INTERVAL * 2).await;
    counting.deaf.store(true, Ordering::Relaxed);
    let meta = mcp_wire::stateless_meta(mcp_wire::MODERN_VERSION, "{}", None);
    let params = format!(r#"{{"name":"dig","_meta":{{{meta}}}}}"#);
    let request = mcp_wire::Message::request("1", "tools/call", &params);
    let request = mcp_wire::Request::read(request).unwrap();
    let call = mcp_manager::Call { request, client: None, scope: fleet.everything() };
    let exchange = fleet.dispatch(call).await.unwrap();
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!(counting.opened.load(Ordering::Relaxed), 1, "it digs");
    assert_eq!(health(&server), Some(State::Healthy));
    drop(exchange);
    tokio::time::sleep(INTERVAL * 6).await;
    assert!(counting.opened.load(Ordering::Relaxed) > 1, "now there is no excuse");
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_to_be_asked_is_not() {
    let counting = Arc::new(Counting::default());
    let mut definition = counting.definition();
    definition.settings.checks.kind = CheckKind::None;
    let (fleet, server) = fleet(definition).await;
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!((health(&server), counting.pings.load(Ordering::Relaxed)), (None, 0));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_custom_server_says_itself_how_it_is() {
    let counting = Arc::new(Counting::default());
    let well = Arc::new(AtomicBool::new(true));
    let mut definition = counting.definition();
    let mcp_manager::Source::Custom(custom) = definition.source.clone() else { unreachable!() };
    let asked = Arc::clone(&well);
    definition.source = mcp_manager::Source::Custom(custom.with_health(move || {
        if asked.load(Ordering::Relaxed) { Ok(()) } else { Err("it has a cold".to_owned()) }
    }));
    definition.settings.checks.restart = false;
    let (fleet, server) = fleet(definition).await;
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(health(&server), Some(State::Healthy));
    well.store(false, Ordering::Relaxed);
    tokio::time::sleep(INTERVAL * 5).await;
    assert_eq!(health(&server), Some(State::Unhealthy));
    let trouble = server.replica_status()[0].health.clone().unwrap().trouble;
    assert_eq!(trouble.as_deref(), Some("it has a cold"));
    assert_eq!(counting.opened.load(Ordering::Relaxed), 1, "it was not to be restarted");
    fleet.stop().await;
}
