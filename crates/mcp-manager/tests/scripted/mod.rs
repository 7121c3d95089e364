//! A server that a test plays line by line, each of its lives on a pipe of its own, and one client
//! with a session.

#![allow(dead_code, reason = "each of the test files that share this uses a part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_manager::{Call, Client, Custom, Definition, Exchange, Failure, Fleet, Plan, Streams};
use mcp_wire::{Event, Limits, LineReader, Message, Request};
use tokio::io::{AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than anything takes on a paused clock that nothing keeps awake.
const LONG: Duration = Duration::from_secs(1_000);

/// One life of the server: from the start of its process to the end.
pub(crate) struct Life {
    reader: LineReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

/// A fleet of one server of the session era, and what it takes to play that server.
pub(crate) struct Stage {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) client: Arc<Client>,
    lives: tokio::sync::Mutex<mpsc::UnboundedReceiver<Life>>,
    /// The connection that is the manager's own.
    pub(crate) ours: Life,
}

const HELLO: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"logging":{},"resources":{"subscribe":true}},"serverInfo":{"name":"scripted","version":"1"}}"#;
const TOOLS: &str = r#"{"tools":[{"name":"read","inputSchema":{},"annotations":{"readOnlyHint":true}},{"name":"pay","inputSchema":{}}]}"#;

impl Life {
    /// The next message; `None` when the manager has let go.
    pub(crate) async fn try_next(&mut self) -> Option<Message> {
        let line = timeout(LONG, self.reader.next()).await.expect("nothing comes");
        let line = line.ok().flatten()?;
        Some(Message::parse(line, &Limits::default()).expect("legal"))
    }

    pub(crate) async fn next(&mut self) -> Message {
        self.try_next().await.expect("still open")
    }

    /// The next message, which must be of this method; its id.
    pub(crate) async fn expect(&mut self, method: &str) -> String {
        let message = self.next().await;
        assert_eq!(message.method(), method, "{}", message.as_str());
        message.id().unwrap_or_default().to_owned()
    }

    pub(crate) async fn line(&mut self, line: &str) {
        // A pipe that nobody reads any more is what some tests are about.
        let _ = self.writer.write_all(format!("{line}\n").as_bytes()).await;
    }

    pub(crate) async fn result(&mut self, id: &str, result: &str) {
        self.line(Message::result(id, result).as_str()).await;
    }

    /// Plays the handshake.
    pub(crate) async fn shake_hands(&mut self) {
        let id = self.expect("initialize").await;
        self.result(&id, HELLO).await;
        self.expect("notifications/initialized").await;
    }

    /// Answers whatever comes until `method` does; its message.
    pub(crate) async fn until(&mut self, method: &str) -> Message {
        loop {
            let message = self.next().await;
            if message.method() == method {
                return message;
            }
            let Some(id) = message.id() else { continue };
            let result = if message.method() == "tools/list" { TOOLS } else { "{}" };
            self.result(id, result).await;
        }
    }
}

impl Stage {
    /// The stage, and the session of the client.
    pub(crate) async fn open() -> (Self, Life) {
        let stage = Self::of(|plan| plan.servers.truncate(1)).await;
        let serve = async {
            let mut own = stage.life().await;
            own.shake_hands().await;
            own
        };
        let (initialized, own) = tokio::join!(stage.initialize(), serve);
        initialized.expect("initialized");
        (stage, own)
    }

    /// The same, where the server is shown as one of several; the client has no session with it yet.
    pub(crate) async fn among_others() -> Self {
        let stage = Self::of(|plan| plan.servers[1].disabled = true).await;
        stage.initialize().await.expect("initialized");
        stage
    }

    async fn initialize(&self) -> Result<(), Failure> {
        let params = r#"{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}}}"#;
        let hello = Request::read(Message::request("0", "initialize", params)).expect("legal");
        self.fleet.initialize(&self.client, &hello).await.map(drop)
    }

    async fn of(change: impl FnOnce(&mut Plan)) -> Self {
        let (sender, mut lives) = mpsc::unbounded_channel();
        let sender = Arc::new(Mutex::new(sender));
        let custom = Custom::new(move || {
            let (near, far) = duplex(64 << 10);
            let (reader, writer) = split(far);
            let life = Life { reader: LineReader::new(reader, 1 << 20), writer };
            let sent = sender.lock().expect("no panic under it").send(life);
            let (reader, writer) = split(near);
            let streams = Streams { reader: Box::new(reader), writer: Box::new(writer) };
            std::future::ready(sent.map(|()| streams).map_err(|_| "over".to_owned()))
        });
        let mut definition = Definition::custom("it", custom);
        // Nobody plays the answers to them.
        definition.settings.checks.kind = mcp_manager::config::CheckKind::None;
        definition.settings.protocol_era = mcp_manager::config::ProtocolEra::Legacy;
        let mut plan = Plan::default();
        let mut other = definition.clone();
        other.name = "other".to_owned();
        plan.servers = vec![definition, other];
        change(&mut plan);
        let fleet = Fleet::new(plan).expect("a legal plan");
        fleet.start();
        let mut ours = lives.recv().await.expect("opened");
        ours.shake_hands().await;
        // The lists are read one after the other; when the second is asked for, the first is known.
        let id = ours.expect("tools/list").await;
        ours.result(&id, TOOLS).await;
        let id = ours.expect("resources/list").await;
        ours.result(&id, r#"{"resources":[]}"#).await;
        let client = fleet.connect(fleet.everything());
        Self { fleet: Arc::new(fleet), client, lives: lives.into(), ours }
    }

    /// The next life of the server; not greeted yet.
    pub(crate) async fn life(&self) -> Life {
        timeout(LONG, self.lives.lock().await.recv())
            .await
            .expect("nobody opens it")
            .expect("opened")
    }

    /// The same, if somebody has opened it by now.
    pub(crate) async fn new_life(&self) -> Option<Life> {
        timeout(Duration::from_millis(1), self.lives.lock().await.recv()).await.ok().flatten()
    }

    /// Whether the server is started again, ever.
    pub(crate) async fn is_started_again(&self) -> bool {
        timeout(LONG, self.lives.lock().await.recv()).await.is_ok()
    }

    /// A request of the client, sent.
    pub(crate) async fn call(
        &self,
        id: &str,
        method: &str,
        params: &str,
    ) -> Result<Exchange, Failure> {
        let request = Request::read(Message::request(id, method, params)).expect("legal");
        let (client, scope) = (Some(Arc::clone(&self.client)), self.client.scope().clone());
        self.fleet.dispatch(Call { request, client, scope }).await
    }

    pub(crate) async fn tool(&self, name: &str) -> Exchange {
        let params = format!(r#"{{"name":"{name}","_meta":{{"progressToken":"p"}}}}"#);
        self.call("\"c\"", "tools/call", &params).await.expect("sent")
    }
}

/// The next event, which must be a message.
pub(crate) async fn message(call: &mut Exchange) -> Message {
    match timeout(LONG, call.next()).await.expect("nothing comes") {
        Ok(Event::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// How the call ends: the text of its result, or the code and message of its failure.
pub(crate) async fn end(call: &mut Exchange) -> Result<String, (&'static str, String)> {
    match timeout(LONG, call.next()).await.expect("nothing comes") {
        Ok(Event::Reply(reply)) => Ok(reply.result_json().unwrap_or_default().to_owned()),
        Ok(Event::Message(message)) => panic!("{}", message.as_str()),
        Err(failure) => Err((failure.code(), failure.to_string())),
    }
}
