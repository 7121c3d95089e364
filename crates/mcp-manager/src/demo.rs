//! Three servers to try a fleet on, inside this process: nothing to install, nothing to configure.
//!
//! - `clock` tells dates and counts down, with progress, until it is cancelled;
//! - `calculator` keeps no state, so that two of them share the work;
//! - `notebook` keeps notes, as tools, as resources to subscribe to, and as prompts.
//!
//! ```
//! # use mcp_wire::{Connection, Message, Options, Request, Timing, initialize};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fleet = mcp_manager::demo::fleet();
//! let calculator = fleet.iter().find(|server| server.name == "calculator").ok_or("gone")?;
//!
//! let (reader, writer) = calculator.open();
//! let (connection, _inbox) = Connection::over_streams(reader, writer, &Options::default());
//! let hello = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}"#;
//! initialize(&connection, hello, std::time::Duration::from_secs(5)).await?;
//!
//! let params = r#"{"name":"evaluate","arguments":{"expression":"6 * 7"}}"#;
//! let request = Request::read(Message::request("1", "tools/call", params))?;
//! let answer = connection.call(request, Timing::default()).reply().await?;
//! assert!(answer.as_str().contains("42"));
//! # Ok(()) }
//! ```

mod arguments;
mod calculator;
mod clock;
mod notebook;
mod tool;

use std::fmt;
use std::sync::Arc;

use mcp_wire::Limits;
use mcp_wire::serve::{Description, Service, in_process};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use self::calculator::Calculator;
use self::clock::Clock;
use self::notebook::Notebook;

/// A server of the demo fleet.
#[derive(Clone)]
#[non_exhaustive]
pub struct DemoServer {
    /// What the fleet calls it.
    pub name: &'static str,
    /// How many of it make sense side by side.
    pub replicas: usize,
    open: Arc<dyn Fn() -> (DuplexStream, DuplexStream) + Send + Sync>,
}

impl DemoServer {
    /// A server that is opened by serving what `service` gives.
    fn new<S: Service>(
        name: &'static str,
        replicas: usize,
        service: impl Fn() -> Arc<S> + Send + Sync + 'static,
    ) -> Self {
        let open = Arc::new(move || in_process(service(), Limits::default()));
        Self { name, replicas, open }
    }

    /// Starts a server for one client on the current tokio runtime, and gives the client's side:
    /// what it reads from and what it writes to. The server ends when the latter is dropped.
    pub fn open(&self) -> (DuplexStream, DuplexStream) {
        (self.open)()
    }
}

impl fmt::Debug for DemoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DemoServer");
        debug.field("name", &self.name).field("replicas", &self.replicas).finish_non_exhaustive()
    }
}

/// A new fleet.
///
/// Each connection to the clock or the calculator has a server of its own; all connections to the
/// notebook, for as long as this fleet or one of them lives, share one set of notes.
pub fn fleet() -> Vec<DemoServer> {
    let notebook = Arc::new(Notebook::default());
    vec![
        DemoServer::new("clock", 1, || Arc::new(Clock::default())),
        DemoServer::new("calculator", 2, || Arc::new(Calculator)),
        DemoServer::new("notebook", 1, move || Arc::clone(&notebook)),
    ]
}

/// What a demo server says of itself.
fn description(name: &str, title: &str, capabilities: &Value, instructions: &str) -> Description {
    let version = env!("CARGO_PKG_VERSION");
    let server_info = json!({ "name": name, "title": title, "version": version });
    let mut about = Description::new(server_info.to_string(), capabilities.to_string());
    about.instructions = Some(instructions.to_owned());
    about
}

impl From<DemoServer> for crate::Definition {
    fn from(demo: DemoServer) -> Self {
        let replicas = demo.replicas;
        let custom = crate::Custom::new({
            let demo = demo.clone();
            move || {
                let (reader, writer) = demo.open();
                let (reader, writer) = (Box::new(reader), Box::new(writer));
                std::future::ready(Ok(crate::Streams { reader, writer }))
            }
        });
        let mut definition = Self::custom(demo.name, custom);
        definition.settings.scaling.replicas = replicas;
        definition
    }
}
