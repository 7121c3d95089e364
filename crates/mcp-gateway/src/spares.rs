//! What `/status` says of a server's spare processes.

use mcp_manager::Server;
use serde_json::Value;

/// A JSON object; `null` of a server that keeps none.
#[cfg(feature = "pool")]
pub(crate) fn spares(server: &Server) -> Value {
    let Some(pool) = server.pool_stats() else { return Value::Null };
    serde_json::json!({
        "idle": pool.idle,
        "starting": pool.connecting,
        "ending": pool.closing,
        "started": pool.created,
        "failed": pool.failed,
        "taken": pool.detached,
        "died": pool.closed.unhealthy + pool.closed.broken,
    })
}

/// `null`: this program cannot keep any.
#[cfg(not(feature = "pool"))]
pub(crate) fn spares(_: &Server) -> Value {
    Value::Null
}
