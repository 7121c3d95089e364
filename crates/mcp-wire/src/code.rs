//! The error codes of JSON-RPC 2.0 and of MCP, by name.

/// The message is not JSON (JSON-RPC 2.0, section 5.1).
pub const PARSE_ERROR: i64 = -32700;
/// The message is JSON, but no request that JSON-RPC allows.
pub const INVALID_REQUEST: i64 = -32600;
/// Nobody here knows the method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The method exists and its parameters do not fit.
pub const INVALID_PARAMS: i64 = -32602;
/// Something failed that the caller cannot mend.
pub const INTERNAL_ERROR: i64 = -32603;
/// The resource does not exist (MCP up to 2025-11-25; later versions answer `INVALID_PARAMS`).
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// HTTP headers and body disagree (MCP 2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;
/// The client lacks a capability that the request needs (MCP 2026-07-28).
pub const MISSING_CAPABILITY: i64 = -32021;
/// The protocol version is not spoken here (MCP 2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;
