//! The other side of a connection: a server written in Rust, in this process or at a byte stream.
//!
//! A [`Service`] answers requests one by one. Everything around that is done here, for both eras
//! of the protocol at once: the handshakes, progress and log notifications, cancelling,
//! subscriptions, what every stateless result must carry. A service never learns how its client
//! is connected, and writes its results once for both eras.
//!
//! ```
//! use std::sync::Arc;
//! use mcp_wire::serve::{Call, Description, Service, in_process};
//! use mcp_wire::{Connection, ErrorObject, Limits, Message, Options, Request, Timing};
//!
//! struct Greeter;
//!
//! impl Service for Greeter {
//!     fn describe(&self) -> Description {
//!         Description::new(r#"{"name":"greeter","version":"1.0"}"#, r#"{"tools":{}}"#)
//!     }
//!
//!     async fn call(&self, call: Call) -> Result<String, ErrorObject> {
//!         match call.method() {
//!             "tools/list" => Ok(r#"{"tools":[{"name":"greet","inputSchema":{}}]}"#.into()),
//!             "tools/call" => Ok(r#"{"content":[{"type":"text","text":"hello"}]}"#.into()),
//!             _ => Err(call.unknown_method()),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (reader, writer) = in_process(Arc::new(Greeter), Limits::default());
//! let (connection, _inbox) = Connection::over_streams(reader, writer, &Options::default());
//! let limit = std::time::Duration::from_secs(5);
//! mcp_wire::discover(&connection, r#"{"name":"me","version":"1"}"#, limit).await?;
//!
//! let meta = mcp_wire::stateless_meta(mcp_wire::MODERN_VERSION, "{}", None);
//! let params = format!(r#"{{"name":"greet","_meta":{{{meta}}}}}"#);
//! let request = Request::read(Message::request("1", "tools/call", &params))?;
//! let answer = connection.call(request, Timing::default()).reply().await?;
//! assert!(answer.as_str().contains("hello"));
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! It sends no requests to its client (sampling, elicitation, roots), and paginates nothing.

mod call;
mod changes;
mod level;
mod reply;
mod session;
mod sink;
mod stateless;

use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::broadcast;

pub use self::call::Call;
pub use self::level::Level;
use self::session::Session;
use self::sink::Sink;
use crate::{ErrorObject, Limits, Outbox};

/// Bytes in either direction between an in-process server and its client, before one waits for
/// the other.
const PIPE_BYTES: usize = 64 << 10;

/// What a server does: all that is its own.
pub trait Service: Send + Sync + 'static {
    /// Who the server is and what it offers. Asked once per connection.
    fn describe(&self) -> Description;

    /// Answers one request with the JSON text of a result object.
    ///
    /// Calls run side by side. One that is cancelled is dropped where it waits; one that panics is
    /// answered with an error and disturbs no other.
    fn call(&self, call: Call) -> impl Future<Output = Result<String, ErrorObject>> + Send;

    /// Where the service announces its [`Change`]s, if it has any to announce.
    ///
    /// Who hears of which is not its concern: clients say what they want to hear, and nobody hears
    /// of what the capabilities in [`describe`](Self::describe) do not offer.
    fn changes(&self) -> Option<broadcast::Receiver<Change>> {
        None
    }
}

/// What a server says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Name and version of the server, as the JSON text of an `Implementation`.
    pub server_info: String,
    /// What the server offers, as the JSON text of its `ServerCapabilities`.
    pub capabilities: String,
    /// How to use the server, for a model to read. Default: none.
    pub instructions: Option<String>,
}

impl Description {
    /// A server without instructions; both are JSON texts of objects.
    pub fn new(server_info: impl Into<String>, capabilities: impl Into<String>) -> Self {
        let (server_info, capabilities) = (server_info.into(), capabilities.into());
        Self { server_info, capabilities, instructions: None }
    }
}

/// Something that clients may have read, and that is different now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these four are what MCP can announce")]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// The contents of the resource with this URI.
    Resource(String),
}

/// Serves one client until it closes its side or does not read any more.
///
/// What runs then is dropped; what was answered before is still written.
pub async fn serve<S, R, W>(service: Arc<S>, reader: R, writer: W, limits: Limits)
where
    S: Service,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (outbox, queue) = Outbox::new(writer);
    let session = Session::new(service, Sink::new(outbox));
    let mut written = pin!(queue.run());
    tokio::select! {
        () = session.run(reader, limits) => {}
        // Answers that cannot be written are for nobody.
        _ = &mut written => return,
    }
    let _ = written.await;
}

/// Starts a server in this process, on the current tokio runtime, and gives the client's side: what
/// [`Connection::over_streams`](crate::Connection::over_streams) takes.
///
/// The server ends when the second half, the one that the client writes to, is dropped.
pub fn in_process<S: Service>(service: Arc<S>, limits: Limits) -> (DuplexStream, DuplexStream) {
    // One pipe for each direction: the halves of a single one close only when both are dropped,
    // and a reader that waits for the server to close would keep the server alive.
    let (requests, reader) = tokio::io::duplex(PIPE_BYTES);
    let (writer, answers) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(serve(service, reader, writer, limits));
    (answers, requests)
}
