//! A server with sessions that does what the test says, and stateless clients in front of it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_manager::{Call, Client, Custom, Definition, Exchange, Failure, Fleet, Plan, Streams};
use mcp_wire::{Event, MODERN_VERSION, Message, Request, stateless_meta};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Capabilities with which a client can be asked everything.
pub(crate) const ALL: &str = r#"{"sampling":{},"elicitation":{},"roots":{}}"#;

/// The server's side of all sessions. It introduces itself, and agrees to log levels; everything
/// else is for the test to do.
#[derive(Debug)]
pub(crate) struct Puppet {
    sessions: Arc<Mutex<Vec<mpsc::UnboundedSender<String>>>>,
    heard: mpsc::UnboundedReceiver<(usize, Value)>,
    told: mpsc::UnboundedSender<(usize, Value)>,
    /// Whether it opens no further session.
    pub(crate) refuses: Arc<AtomicBool>,
    /// How often it was asked to.
    pub(crate) tried: Arc<AtomicUsize>,
}

impl Puppet {
    pub(crate) fn new() -> Self {
        let (told, heard) = mpsc::unbounded_channel();
        let (refuses, tried) = (Arc::default(), Arc::default());
        Self { sessions: Arc::default(), heard, told, refuses, tried }
    }

    /// The server as a fleet runs it; several may have one puppet.
    pub(crate) fn definition(&self, name: &str) -> Definition {
        let (sessions, told) = (Arc::clone(&self.sessions), self.told.clone());
        let (refuses, tried) = (Arc::clone(&self.refuses), Arc::clone(&self.tried));
        let start = move || {
            tried.fetch_add(1, Ordering::Relaxed);
            if refuses.load(Ordering::Relaxed) {
                return std::future::ready(Err("it does not want to".to_owned()));
            }
            let (answers, writer) = tokio::io::duplex(1 << 16);
            let (reader, requests) = tokio::io::duplex(1 << 16);
            let (say, said) = mpsc::unbounded_channel();
            let mut all = sessions.lock().unwrap();
            all.push(say.clone());
            let session = Session { number: all.len() - 1, say, told: told.clone() };
            tokio::spawn(session.run(reader, writer, said));
            let streams = Streams { reader: Box::new(answers), writer: Box::new(requests) };
            std::future::ready(Ok(streams))
        };
        let mut definition = Definition::custom(name, Custom::new(start));
        // Nobody plays the answers to them.
        definition.settings.checks.kind = mcp_manager::config::CheckKind::None;
        definition
    }

    /// The next message to the server, and in which session.
    pub(crate) async fn hear(&mut self) -> (usize, Value) {
        let heard = timeout(Duration::from_secs(3600), self.heard.recv()).await;
        heard.expect("the server hears something").unwrap()
    }

    /// The next message to the server, which must be of this method; in which session, and its id.
    pub(crate) async fn hear_call(&mut self, method: &str) -> (usize, Value) {
        let (session, message) = self.hear().await;
        assert_eq!(message["method"], method, "{message}");
        (session, message["id"].clone())
    }

    /// What has reached the server by now and was not heard yet.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        settle().await;
        let mut rest = Vec::new();
        while let Ok((_, message)) = self.heard.try_recv() {
            rest.push(message);
        }
        rest
    }

    pub(crate) fn say(&self, session: usize, message: &Value) {
        self.write(session, &message.to_string());
    }

    /// Several messages in one write, or one as it stands.
    pub(crate) fn write(&self, session: usize, lines: &str) {
        // A session that was closed hears nothing any more.
        let _ = self.sessions.lock().unwrap()[session].send(format!("{lines}\n"));
    }

    pub(crate) fn ask(&self, session: usize, id: &str, method: &str) {
        let params = json!({ "of": id });
        self.say(
            session,
            &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }),
        );
    }

    pub(crate) fn answer(&self, session: usize, id: &Value, result: &Value) {
        self.say(session, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }

    pub(crate) fn notify(&self, session: usize, method: &str, params: &Value) {
        self.say(session, &json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// How many sessions were ever opened.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    /// How many sessions are open.
    pub(crate) fn open(&self) -> usize {
        self.sessions.lock().unwrap().iter().filter(|session| !session.is_closed()).count()
    }
}

/// Lets everything happen that can happen without time passing.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

struct Session {
    number: usize,
    say: mpsc::UnboundedSender<String>,
    told: mpsc::UnboundedSender<(usize, Value)>,
}

impl Session {
    async fn run(
        self,
        reader: tokio::io::DuplexStream,
        mut writer: tokio::io::DuplexStream,
        mut said: mpsc::UnboundedReceiver<String>,
    ) {
        let mut lines = BufReader::new(reader).lines();
        loop {
            tokio::select! {
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    self.receive(serde_json::from_str(&line).unwrap());
                }
                Some(line) = said.recv() => {
                    if writer.write_all(line.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn receive(&self, message: Value) {
        let id = &message["id"];
        let answer = match message["method"].as_str().unwrap_or_default() {
            "server/discover" => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "?" } })
            }
            "initialize" => json!({ "jsonrpc": "2.0", "id": id, "result": {
                "protocolVersion": "2025-11-25",
                "capabilities": { "logging": {} },
                "serverInfo": { "name": "puppet", "version": "1" },
            }}),
            "notifications/initialized" => return,
            "logging/setLevel" => {
                let _ = self.told.send((self.number, message.clone()));
                json!({ "jsonrpc": "2.0", "id": id, "result": {} })
            }
            _ => {
                let _ = self.told.send((self.number, message));
                return;
            }
        };
        let _ = self.say.send(format!("{answer}\n"));
    }
}

/// A stateless client.
#[derive(Clone, Debug)]
pub(crate) struct Someone {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) server: String,
    pub(crate) capabilities: String,
    pub(crate) name: String,
    /// Its own connection to us, if it has one.
    pub(crate) client: Option<Arc<Client>>,
    /// More members of `_meta`, such as `,"progressToken":7`.
    pub(crate) meta: String,
}

pub(crate) fn fleet(definitions: Vec<Definition>) -> Arc<Fleet> {
    let mut plan = Plan::default();
    plan.servers = definitions;
    Arc::new(Fleet::new(plan).unwrap())
}

impl Someone {
    pub(crate) fn new(fleet: &Arc<Fleet>, server: &str, capabilities: &str) -> Self {
        let (fleet, server) = (Arc::clone(fleet), server.to_owned());
        let (capabilities, name) = (capabilities.to_owned(), "someone".to_owned());
        Self { fleet, server, capabilities, name, client: None, meta: String::new() }
    }

    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    pub(crate) fn with_meta(&self, meta: &str) -> Self {
        Self { meta: meta.to_owned(), ..self.clone() }
    }

    /// Sends a request; `params` are JSON members.
    pub(crate) async fn send(&self, method: &str, params: &str) -> Result<Exchange, Failure> {
        let info = format!(r#"{{"name":"{}","version":"1"}}"#, self.name);
        let meta = stateless_meta(MODERN_VERSION, &self.capabilities, Some(&info));
        let comma = if params.is_empty() { "" } else { "," };
        let params = format!(r#"{{{params}{comma}"_meta":{{{meta}{}}}}}"#, self.meta);
        let request = Request::read(Message::request("1", method, &params)).unwrap();
        let scope = self.fleet.just(&self.server).unwrap();
        self.fleet.dispatch(Call { request, client: self.client.clone(), scope }).await
    }

    /// Calls the tool `t` with one argument.
    pub(crate) async fn call(&self, argument: &str) -> Exchange {
        self.send("tools/call", &tool(argument)).await.unwrap()
    }

    /// Calls it again, with what an earlier answer has asked for.
    pub(crate) async fn again(
        &self,
        argument: &str,
        demand: &Value,
        responses: &str,
    ) -> Result<Exchange, Failure> {
        let state = &demand["requestState"];
        let more = format!(r#","requestState":{state},"inputResponses":{responses}"#);
        self.send("tools/call", &(tool(argument) + &more)).await
    }
}

fn tool(argument: &str) -> String {
    format!(r#""name":"t","arguments":{{"a":"{argument}"}}"#)
}

/// The messages of a call, and its result or error.
pub(crate) async fn all(mut exchange: Exchange) -> (Vec<Value>, Value) {
    let mut messages = Vec::new();
    loop {
        match exchange.next().await.unwrap() {
            Event::Message(message) => {
                messages.push(serde_json::from_str(message.as_str()).unwrap());
            }
            Event::Reply(reply) => {
                let json = reply.result_json().or(reply.error_json()).unwrap();
                return (messages, serde_json::from_str(json).unwrap());
            }
        }
    }
}

/// The result or error of a call that brings nothing else.
pub(crate) async fn result(exchange: Exchange) -> Value {
    let (messages, result) = all(exchange).await;
    assert_eq!(messages, [] as [Value; 0]);
    result
}
