//! What `/status` says of a server's spare processes.

use mcp_manager::Server;

/// A JSON object; `null` of a server that keeps none.
#[cfg(feature = "pool")]
pub(crate) fn spares(server: &Server) -> String {
    let Some(pool) = server.pool_stats() else { return "null".to_owned() };
    format!(
        r#"{{"idle":{},"starting":{},"ending":{},"started":{},"failed":{},"taken":{},"died":{}}}"#,
        pool.idle,
        pool.connecting,
        pool.closing,
        pool.created,
        pool.failed,
        pool.detached,
        pool.closed.unhealthy + pool.closed.broken,
    )
}

/// `null`: this program cannot keep any.
#[cfg(not(feature = "pool"))]
pub(crate) fn spares(_: &Server) -> &'static str {
    "null"
}
