//! The names of MCP's reserved `_meta` members.

/// In `params` and `result` of every version.
pub const META: &str = "_meta";
/// In `_meta` of a request that wants progress notifications.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// Protocol version of a stateless request (2026-07-28). Its presence makes a request modern.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client of a stateless request can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client of a stateless request is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Who the server that answered is.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Which `subscriptions/listen` request a message belongs to: that request's id.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The least severe log level that a stateless request wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// What each stateless request says of its client, and no request within a session does.
pub const OF_STATELESS_REQUESTS: &[&str] =
    &[PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL];
