//! A server of many lives that says which of them answers, and a fleet of such servers.

#![allow(dead_code, reason = "each of the test files that share this uses a part")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_manager::config::{CheckKind, Config, ProcessLookup, ServerSettings};
use mcp_manager::{Call, Client, Custom, Definition, Failure, Fleet, Plan, State, Streams};
use mcp_wire::{Limits, LineReader, MODERN_VERSION, Message, Request, stateless_meta};
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex, split};
use tokio::sync::{Notify, watch};

/// Longer than anything takes on a paused clock.
pub(crate) const LONG: Duration = Duration::from_secs(1_000);

/// What all lives of one server have in common.
#[derive(Debug, Default)]
pub(crate) struct Troupe {
    lives: Mutex<Vec<Arc<Life>>>,
    /// Whether no further life begins.
    pub(crate) refuses: AtomicBool,
    /// Whether a life that begins says nothing.
    pub(crate) mute: AtomicBool,
    pub(crate) tried: AtomicUsize,
    legacy: bool,
}

/// One connection.
#[derive(Debug, Default)]
struct Life {
    /// What ends it, from the server's side.
    death: Notify,
    /// Whether calls of `hold` and `peek` may end.
    released: watch::Sender<bool>,
    closed: AtomicBool,
    heard: Mutex<Vec<String>>,
}

impl Troupe {
    pub(crate) fn modern() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn legacy() -> Arc<Self> {
        Arc::new(Self { legacy: true, ..Self::default() })
    }

    pub(crate) fn definition(self: &Arc<Self>, name: &str, replicas: usize) -> Definition {
        let troupe = Arc::clone(self);
        let custom = Custom::new(move || std::future::ready(troupe.open()));
        let mut definition = Definition::custom(name, custom);
        let scaling = &mut definition.settings.scaling;
        (scaling.replicas, scaling.replicas_min, scaling.replicas_max) =
            (replicas, replicas, replicas);
        definition
    }

    /// The same of the name `a`, with calls treated as a `manager` block says, and no health checks: those
    /// would be told apart from calls nowhere.
    pub(crate) fn under(self: &Arc<Self>, replicas: usize, block: &str) -> Definition {
        let read = settings(block);
        let mut definition = self.definition("a", replicas);
        let settings = &mut definition.settings;
        (settings.policy, settings.tools) = (read.policy, read.tools);
        settings.call_timeout = read.call_timeout;
        settings.checks.kind = CheckKind::None;
        definition
    }

    fn open(self: &Arc<Self>) -> Result<Streams, String> {
        self.tried.fetch_add(1, Ordering::Relaxed);
        if self.refuses.load(Ordering::Relaxed) {
            return Err("cannot connect: it does not want to".to_owned());
        }
        let (near, far) = duplex(1 << 20);
        let life = Arc::new(Life::default());
        let number = {
            let mut lives = self.lives.lock().unwrap();
            lives.push(Arc::clone(&life));
            lives.len() - 1
        };
        let troupe = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = troupe.live(number, &life, far) => {}
                () = life.death.notified() => {}
            }
            life.closed.store(true, Ordering::Relaxed);
        });
        let (reader, writer) = split(near);
        Ok(Streams { reader: Box::new(reader), writer: Box::new(writer) })
    }

    async fn live(&self, number: usize, life: &Arc<Life>, stream: DuplexStream) {
        let (reader, writer) = split(stream);
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let mut lines = LineReader::new(reader, 1 << 20);
        while let Ok(Some(line)) = lines.next().await {
            let message = Message::parse(line, &Limits::default()).unwrap();
            life.heard.lock().unwrap().push(message.as_str().to_owned());
            let Some(id) = message.id().map(str::to_owned) else { continue };
            if self.mute.load(Ordering::Relaxed) {
                continue;
            }
            let request = Request::read(message).unwrap();
            let held = matches!(request.name(), Some("hold" | "peek"));
            let answer = self.answer(number, &id, &request);
            let (writer, mut released) = (Arc::clone(&writer), life.released.subscribe());
            let write = async move {
                if held {
                    let _ = released.wait_for(|released| *released).await;
                }
                let _ = writer.lock().await.write_all(answer.as_bytes()).await;
            };
            // Dropped with the life, or the pipe would stay open for a held call.
            if held {
                let life = Arc::clone(life);
                tokio::spawn(async move {
                    tokio::select! {
                        () = write => {}
                        () = life.death.notified() => life.death.notify_waiters(),
                    }
                });
            } else {
                write.await;
            }
        }
    }

    fn answer(&self, number: usize, id: &str, request: &Request) -> String {
        let capabilities =
            r#"{"tools":{"listChanged":true},"logging":{},"resources":{"subscribe":true}}"#;
        let result = match (request.method(), self.legacy) {
            ("server/discover", false) => {
                format!(r#"{{"supportedVersions":["2026-07-28"],"capabilities":{capabilities}}}"#)
            }
            ("initialize", true) => format!(
                r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"serverInfo":{{"name":"t","version":"1"}}}}"#
            ),
            ("server/discover" | "initialize", _) => {
                let error = r#"{"code":-32601,"message":"not here"}"#;
                return format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n");
            }
            ("tools/list", _) => {
                r#"{"tools":[{"name":"who","inputSchema":{},"annotations":{"readOnlyHint":true}},{"name":"hold","inputSchema":{}},{"name":"peek","inputSchema":{},"annotations":{"readOnlyHint":true}}]}"#.to_owned()
            }
            _ => format!(r#"{{"content":[],"life":{number}}}"#),
        };
        format!("{}\n", Message::result(id, &result).as_str())
    }

    /// How often it was opened.
    pub(crate) fn lives(&self) -> usize {
        self.lives.lock().unwrap().len()
    }

    /// The lives that go on.
    pub(crate) fn alive(&self) -> Vec<usize> {
        let lives = self.lives.lock().unwrap();
        let alive =
            lives.iter().enumerate().filter(|(_, life)| !life.closed.load(Ordering::Relaxed));
        alive.map(|(number, _)| number).collect()
    }

    /// Ends a life.
    pub(crate) fn kill(&self, number: usize) {
        let lives = self.lives.lock().unwrap();
        // Held calls wait for it as well; and it may come before anybody waits.
        lives[number].death.notify_waiters();
        lives[number].death.notify_one();
    }

    /// Lets the held calls of a life end.
    pub(crate) fn release(&self, number: usize) {
        self.lives.lock().unwrap()[number].released.send_replace(true);
    }

    /// Holds calls of a life again.
    pub(crate) fn hold(&self, number: usize) {
        self.lives.lock().unwrap()[number].released.send_replace(false);
    }

    /// Whether a life was told something with these words in it.
    pub(crate) fn was_told(&self, number: usize, words: &str) -> bool {
        self.told(number, words) > 0
    }

    /// How often a life was told something with these words in it.
    pub(crate) fn told(&self, number: usize, words: &str) -> usize {
        let lives = self.lives.lock().unwrap();
        let heard = lives[number].heard.lock().unwrap();
        heard.iter().filter(|message| message.contains(words)).count()
    }
}

/// What a `manager` block makes of a server, beside which there is one of the name `b`.
pub(crate) fn settings(block: &str) -> ServerSettings {
    let file = format!(
        r#"{{"mcpServers": {{"b": {{"command": "x"}}, "a": {{"command": "x", "manager": {block}}}}}}}"#
    );
    let config = Config::parse(&file, "mcp.json", &ProcessLookup).unwrap();
    config.servers.into_iter().find(|server| server.name == "a").unwrap().settings
}

/// A fleet of these, started, and their replicas ready.
pub(crate) async fn fleet(servers: Vec<Definition>) -> Arc<Fleet> {
    let mut plan = Plan::default();
    plan.servers = servers;
    let fleet = Arc::new(Fleet::new(plan).unwrap());
    fleet.start();
    for server in &*fleet.servers() {
        let name = server.name().to_owned();
        until(
            || matches!(state(&fleet, &name), State::Ready { replicas, of, .. } if replicas == of),
        )
        .await;
    }
    settle().await;
    fleet
}

pub(crate) fn state(fleet: &Fleet, name: &str) -> State {
    fleet.server(name).unwrap().state()
}

/// Waits on the paused clock until something is so.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to that");
}

/// Lets everything happen that takes no time to speak of.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Calls a tool of a server as a stateless client; the number of the life that answers.
pub(crate) async fn call(fleet: &Fleet, server: &str, tool: &str) -> Result<usize, Failure> {
    call_marked(fleet, server, tool, "").await
}

/// The same with an argument that it can be told by.
pub(crate) async fn call_marked(
    fleet: &Fleet,
    server: &str,
    tool: &str,
    mark: &str,
) -> Result<usize, Failure> {
    let meta = stateless_meta(MODERN_VERSION, "{}", None);
    let arguments = format!(r#"{{"mark":"{mark}"}}"#);
    let params = format!(r#"{{"name":"{tool}","arguments":{arguments},"_meta":{{{meta}}}}}"#);
    let request = Request::read(Message::request("1", "tools/call", &params)).unwrap();
    let missing = || Failure::ServerNotFound { name: server.to_owned() };
    let scope = fleet.just(server).ok_or_else(missing)?;
    let answer = fleet.dispatch(Call { request, client: None, scope }).await?.reply().await?;
    Ok(life(&answer))
}

/// The number of the life that gave an answer.
fn life(answer: &Message) -> usize {
    let result = answer.result_json().unwrap_or_default();
    let number = result.split_once(r#""life":"#).unwrap_or_else(|| panic!("{}", answer.as_str())).1;
    number
        .trim_end_matches(|c: char| !c.is_ascii_digit())
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// A client with a session that sees the whole fleet.
pub(crate) async fn client(fleet: &Fleet) -> Arc<Client> {
    let client = fleet.connect(fleet.everything());
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#;
    let hello = Request::read(Message::request("0", "initialize", params)).unwrap();
    fleet.initialize(&client, &hello).await.unwrap();
    client
}

/// A request of such a client; `names` carry the server's name where there are several.
pub(crate) async fn ask(
    fleet: &Fleet,
    client: &Arc<Client>,
    method: &str,
    params: &str,
) -> Result<Message, Failure> {
    static IDS: AtomicUsize = AtomicUsize::new(0);
    let id = IDS.fetch_add(1, Ordering::Relaxed).to_string();
    let request = Request::read(Message::request(&id, method, params)).unwrap();
    let call = Call { request, client: Some(Arc::clone(client)), scope: client.scope().clone() };
    fleet.dispatch(call).await?.reply().await
}

/// The life that a tool call of such a client meets.
pub(crate) async fn ask_tool(
    fleet: &Fleet,
    client: &Arc<Client>,
    tool: &str,
) -> Result<usize, Failure> {
    let params = format!(r#"{{"name":"{tool}"}}"#);
    Ok(life(&ask(fleet, client, "tools/call", &params).await?))
}
