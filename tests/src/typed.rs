//! rmcp as a client, over HTTP: an implementation that shares no code with the gateway.
//!
//! rmcp's HTTP client for TCP needs a whole TLS stack. The one for Unix sockets does not, and is the
//! same in everything that matters here: so a relay carries its bytes from a socket file to TCP.

#![expect(deprecated, reason = "sampling and roots are what a legacy server asks for")]

use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ElicitationAction, ErrorData, Implementation,
    ListRootsResult, ProgressNotificationParam, ProtocolVersion, Root, SamplingMessage,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RoleClient,
    RunningService,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, UnixSocketHttpClient};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;

/// How a client opens the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one era, the other, or whichever is there")]
pub enum Mode {
    /// `initialize`.
    Legacy,
    /// `server/discover`, then stateless requests.
    Modern,
    /// The modern way, and the legacy one where that is refused.
    Auto,
}

/// A connected rmcp client. It dereferences to rmcp's own type.
#[derive(Debug)]
pub struct Client {
    service: RunningService<RoleClient, Handler>,
    relay: JoinHandle<()>,
    _socket: TempDir,
}

/// Answers what servers ask: forms with plausible values, sampling with a fixed sentence.
#[derive(Clone, Debug, Default)]
pub struct Handler {
    progress: Arc<Mutex<Vec<f64>>>,
}

impl Handler {
    /// All progress that was reported so far.
    pub fn progress(&self) -> Vec<f64> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Client {
    /// Connects to an endpoint such as `http://127.0.0.1:40001/mcp`.
    ///
    /// # Panics
    /// When rmcp cannot.
    pub async fn connect(url: &str, mode: Mode) -> Self {
        let socket = tempfile::tempdir().expect("a temporary directory");
        let path = socket.path().join("relay");
        let listener = UnixListener::bind(&path).expect("a socket file");
        let relay = tokio::spawn(relay(listener, authority(url).to_owned()));
        let http = UnixSocketHttpClient::new(&path.to_string_lossy(), url);
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        let lifecycle = match mode {
            Mode::Legacy => ClientLifecycleMode::Initialize,
            Mode::Modern => ClientLifecycleMode::Discover { preferred_versions },
            Mode::Auto => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
        };
        let service = Handler::default().serve_with_lifecycle(transport, lifecycle).await;
        let service = service.unwrap_or_else(|error| panic!("{mode:?} against {url}: {error}"));
        Self { service, relay, _socket: socket }
    }
}

impl std::ops::Deref for Client {
    type Target = RunningService<RoleClient, Handler>;

    fn deref(&self) -> &Self::Target {
        &self.service
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder()
            .enable_sampling()
            .enable_elicitation()
            .enable_roots()
            .build();
        ClientConfig::new(capabilities, Implementation::new("typed-client", "1.0.0"))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let message = SamplingMessage::assistant_text("The model says so.");
        Ok(CreateMessageResult::new(message, "test-model".to_owned()))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let request = json!(request);
        let fields = request["requestedSchema"]["properties"].as_object();
        let filled: Map<_, _> = fields
            .into_iter()
            .flatten()
            .map(|(name, field)| (name.clone(), plausible(field)))
            .collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::from(filled)))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///tmp/root")]))
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).push(progress.progress);
    }
}

/// A value that fits the schema of a form field.
fn plausible(field: &Value) -> Value {
    let first = |list: &Value| list.as_array().and_then(|list| list.first()).cloned();
    if let Some(default) = field.get("default") {
        return default.clone();
    }
    if let Some(choice) = first(&field["enum"]) {
        return choice;
    }
    if let Some(choice) = first(&field["oneOf"]).or_else(|| first(&field["anyOf"])) {
        return choice["const"].clone();
    }
    match field["type"].as_str() {
        Some("array") => json!([plausible(&field["items"])]),
        Some("integer") => json!(7),
        Some("number") => json!(7.5),
        Some("boolean") => json!(true),
        _ => json!("Alice"),
    }
}

async fn relay(listener: UnixListener, authority: String) {
    while let Ok((mut near, _)) = listener.accept().await {
        let authority = authority.clone();
        tokio::spawn(async move {
            // When the far end is gone, the near end closes: that is what a client would see.
            if let Ok(mut far) = TcpStream::connect(authority).await {
                let _ = far.set_nodelay(true);
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

fn authority(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split('/').next().unwrap_or(rest)
}
