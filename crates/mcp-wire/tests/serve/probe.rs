//! A service whose tools do what the tests look at, and its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_wire::serve::{Call, Change, Description, Level, Service, in_process};
use mcp_wire::{
    Connection, Era, ErrorObject, Event, Exchange, Inbox, Limits, MODERN_VERSION, Message, Options,
    Request, Timing, initialize, stateless_meta,
};
use tokio::sync::{Notify, broadcast};

pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// A service whose every tool does one thing that the tests look at.
pub(crate) struct Probe {
    pub(crate) changes: broadcast::Sender<Change>,
    pub(crate) dropped: Arc<Notify>,
    pub(crate) waiting: AtomicU32,
}

/// Tells when the call that holds it is over, however it ended.
struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Service for Probe {
    fn describe(&self) -> Description {
        let capabilities = r#"{"tools":{},"logging":{},
            "resources":{"subscribe":true,"listChanged":true}}"#;
        let mut about = Description::new(r#"{"name":"probe","version":"1"}"#, capabilities);
        about.instructions = Some("ask".to_owned());
        about
    }

    async fn call(&self, call: Call) -> Result<String, ErrorObject> {
        match (call.method(), call.name()) {
            ("tools/list", _) => Ok(r#"{"tools":[],"ttlMs":7,"_meta":{"own":1}}"#.to_owned()),
            ("resources/read", Some(uri)) => Err(call.unknown_resource(uri)),
            ("tools/call", Some("count")) => {
                let all = call.arguments().and_then(|all| all.get("n")?.parse().ok()).unwrap_or(0);
                for n in 1..=all {
                    call.progress(f64::from(n), Some(f64::from(all)), Some("counting")).await;
                }
                Ok(r#"{"content":[]}"#.to_owned())
            }
            ("tools/call", Some("wait")) => {
                let _guard = Guard(Arc::clone(&self.dropped));
                self.waiting.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
            ("tools/call", Some("log")) => {
                call.log(Level::Debug, "\"quiet\"").await;
                call.log(Level::Error, "\"loud\"").await;
                Ok("{}".to_owned())
            }
            ("tools/call", Some("change")) => {
                for change in
                    [Change::Tools, Change::Resources, resource("x:/other"), resource("x:/a")]
                {
                    let _ = self.changes.send(change);
                }
                Ok("{}".to_owned())
            }
            ("tools/call", Some("nonsense")) => Ok("[1".to_owned()),
            ("tools/call", Some("panic")) => panic!("as asked"),
            _ => Err(call.unknown_method()),
        }
    }

    fn changes(&self) -> Option<broadcast::Receiver<Change>> {
        Some(self.changes.subscribe())
    }
}

pub(crate) fn resource(uri: &str) -> Change {
    Change::Resource(uri.to_owned())
}

/// A client of a probe, in one of the eras.
pub(crate) struct Client {
    pub(crate) probe: Arc<Probe>,
    pub(crate) connection: Connection,
    pub(crate) inbox: Inbox,
    pub(crate) era: Era,
}

impl Client {
    pub(crate) async fn open(era: Era) -> Self {
        Self::with(era, Options::default()).await
    }

    pub(crate) async fn with(era: Era, options: Options) -> Self {
        let changes = broadcast::channel(16).0;
        let (dropped, waiting) = (Arc::new(Notify::new()), AtomicU32::new(0));
        let probe = Arc::new(Probe { changes, dropped, waiting });
        let (reader, writer) = in_process(Arc::clone(&probe), Limits::default());
        let (connection, inbox) = Connection::over_streams(reader, writer, &options);
        if era == Era::Legacy {
            let params = r#"{"protocolVersion":"2025-06-18","capabilities":{}}"#;
            initialize(&connection, params, LIMIT).await.unwrap();
        }
        Self { probe, connection, inbox, era }
    }

    /// Calls `method` with these members of `params`, and these further ones of `_meta`.
    pub(crate) fn call(&self, method: &str, params: &str, meta: &str) -> Exchange {
        let own = match self.era {
            Era::Legacy => r#""x":0"#.to_owned(),
            Era::Modern => stateless_meta(MODERN_VERSION, "{}", None),
        };
        let comma = |text: &str| if text.is_empty() { "" } else { "," };
        let meta = format!(r#"{{{own}{}{meta}}}"#, comma(meta));
        let params = format!(r#"{{{params}{}"_meta":{meta}}}"#, comma(params));
        let request = Request::read(Message::request("\"mine\"", method, &params)).unwrap();
        self.connection.call(request, Timing { timeout: LIMIT, timeout_max: LIMIT })
    }

    pub(crate) fn tool(&self, name: &str, meta: &str) -> Exchange {
        self.call("tools/call", &format!(r#""name":"{name}","arguments":{{"n":2000}}"#), meta)
    }

    pub(crate) async fn answer(&self, method: &str, params: &str) -> String {
        rest(self.call(method, params, "").reply().await.unwrap())
    }

    /// The answer of a raw connection that only said this much.
    pub(crate) async fn raw(message: Message) -> String {
        let client = Self::open(Era::Modern).await;
        let exchange = client.connection.call(Request::read(message).unwrap(), Timing::default());
        rest(exchange.reply().await.unwrap())
    }
}

/// The result or error of an answer.
pub(crate) fn rest(answer: Message) -> String {
    answer.result_json().or(answer.error_json()).unwrap().to_owned()
}

pub(crate) async fn message(exchange: &mut Exchange) -> String {
    match exchange.next().await.unwrap() {
        Event::Message(message) => message.as_str().to_owned(),
        Event::Reply(message) => panic!("early answer {}", message.as_str()),
    }
}
