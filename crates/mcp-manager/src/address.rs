//! Where a server is that is not started here.

use crate::config::{ServerKind, Text};

/// A server's address, made once: all connections to an HTTP endpoint share its pool.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Http(mcp_wire::http::Endpoint),
    #[cfg(feature = "ws")]
    WebSocket(mcp_wire::ws::Endpoint),
}

impl Address {
    /// The address in `kind`, if that has one; or why it cannot be used.
    pub(crate) fn of(kind: &ServerKind) -> Result<Option<Self>, String> {
        let address = match kind {
            ServerKind::Http(http) => {
                mcp_wire::http::Endpoint::new(http.url.expose(), exposed(&http.headers))
                    .map(Self::Http)
            }
            #[cfg(feature = "ws")]
            ServerKind::WebSocket(ws) => {
                mcp_wire::ws::Endpoint::new(ws.url.expose(), exposed(&ws.headers))
                    .map(Self::WebSocket)
            }
            #[cfg(not(feature = "ws"))]
            ServerKind::WebSocket(_) => {
                return Err("WebSocket is not built in (feature `ws`)".to_owned());
            }
            ServerKind::Stdio(_) | ServerKind::Unsupported(_) => return Ok(None),
        };
        address.map(Some).map_err(|error| error.to_string())
    }
}

fn exposed(headers: &[(String, Text)]) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.expose()))
}
