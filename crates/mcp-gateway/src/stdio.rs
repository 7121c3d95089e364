//! The face for desktop clients: one client, on our own stdin and stdout.

use std::future::pending;
use std::sync::Arc;

use mcp_manager::Fleet;
use mcp_wire::Limits;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::conversation::converse;

/// Serves one client over a pair of streams, one message per line, until it closes its side.
///
/// A client that does not read what it is sent is let go of: that, too, is the end.
pub async fn serve_stdio<R, W>(fleet: Arc<Fleet>, reader: R, writer: W)
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let scope = fleet.everything();
    let mut limits = Limits::default();
    limits.frame_bytes = fleet.settings().frame_bytes_max;
    converse(fleet, scope, limits, (reader, writer), pending()).await;
}
