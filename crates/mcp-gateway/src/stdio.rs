//! The face for desktop clients: one client, on our own stdin and stdout.

use std::sync::Arc;

use mcp_manager::Fleet;
use mcp_wire::Limits;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::conversation::{Stop, converse};

/// Serves one client over a pair of streams, one message per line, until it closes its side, or
/// `stop` resolves.
///
/// Calls in flight may finish then for as long as `drainTimeout`; new ones are refused, and
/// subscriptions are ended by [`Fleet::end_subscriptions`]. A client that does not read what it is
/// sent is let go of: that, too, is the end.
pub async fn serve_stdio<R, W, S>(fleet: Arc<Fleet>, reader: R, writer: W, stop: S)
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
    S: Future<Output = ()>,
{
    let scope = fleet.everything();
    let mut limits = Limits::default();
    limits.frame_bytes = fleet.settings().frame_bytes_max;
    let stop = Stop { told: stop, wind_up: fleet.settings().drain_timeout };
    converse(fleet, scope, limits, (reader, writer), stop).await;
}
