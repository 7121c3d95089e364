//! Servers in this process that answer as a function says.

use mcp_manager::{Call, Custom, Definition, Failure, Fleet, Plan, Streams};
use mcp_wire::{Limits, LineReader, Message, Request};
use tokio::io::{AsyncWriteExt as _, duplex, split};

/// What a stateless request must carry, as members of its params.
pub(crate) const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

const CAPABILITIES: &str = r#"{"tools":{},"tasks":{"list":{}}}"#;

/// A stateless server named `name`; each of its connections is numbered, and `answer` gives the
/// result of each request.
pub(crate) fn server(
    name: &str,
    answer: impl Fn(usize, &Request) -> String + Clone + Send + Sync + 'static,
) -> Definition {
    able(name, CAPABILITIES, answer)
}

/// The same, with other capabilities.
pub(crate) fn able(
    name: &str,
    capabilities: &'static str,
    answer: impl Fn(usize, &Request) -> String + Clone + Send + Sync + 'static,
) -> Definition {
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let custom = Custom::new(move || {
        let number = opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let answer = answer.clone();
        let (near, far) = duplex(1 << 20);
        tokio::spawn(async move {
            let (reader, mut writer) = split(far);
            let mut lines = LineReader::new(reader, 1 << 20);
            while let Ok(Some(line)) = lines.next().await {
                let message = Message::parse(line, &Limits::default()).expect("a message");
                let Some(id) = message.id().map(str::to_owned) else { continue };
                let request = Request::read(message).expect("a request");
                let result = match request.method() {
                    "server/discover" => format!(
                        r#"{{"supportedVersions":["2026-07-28"],"capabilities":{capabilities}}}"#
                    ),
                    _ => answer(number, &request),
                };
                let answer = format!("{}\n", Message::result(&id, &result).as_str());
                if writer.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let (reader, writer) = split(near);
        std::future::ready(Ok(Streams { reader: Box::new(reader), writer: Box::new(writer) }))
    });
    Definition::custom(name, custom)
}

/// A fleet of these, started.
pub(crate) async fn fleet(servers: Vec<Definition>) -> Fleet {
    let mut plan = Plan::default();
    plan.servers = servers;
    started(plan).await
}

/// The fleet of a plan, started.
pub(crate) async fn started(plan: Plan) -> Fleet {
    let fleet = Fleet::new(plan).expect("a fleet");
    fleet.start();
    fleet.settled(std::time::Duration::from_secs(10)).await;
    fleet
}

/// A stateless request to the whole fleet; `params` are members of an object.
pub(crate) async fn ask(fleet: &Fleet, method: &str, params: &str) -> Result<Message, Failure> {
    let comma = if params.is_empty() { "" } else { "," };
    let params = format!("{{{params}{comma}{META}}}");
    let request = Request::read(Message::request("1", method, &params)).expect("a request");
    let call = Call { request, client: None, scope: fleet.everything() };
    fleet.dispatch(call).await?.reply().await
}
