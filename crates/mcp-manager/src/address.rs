//! Where a server is that is not started here.

use crate::config::{Http, ServerKind, Text, host_and_port};

/// A server's address, made once: all connections to an HTTP endpoint share its pool.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// Streamable HTTP; or the older HTTP+SSE, if `or_sse` and the server speaks nothing else.
    Http {
        endpoint: mcp_wire::http::Endpoint,
        or_sse: bool,
    },
    Sse(mcp_wire::http::Endpoint),
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg(feature = "ws")]
    WebSocket(mcp_wire::ws::Endpoint),
}

impl Address {
    /// The address in `kind`, if that has one; or why it cannot be used.
    pub(crate) fn of(kind: &ServerKind) -> Result<Option<Self>, String> {
        let address = match kind {
            ServerKind::Http(http) => Self::Http { endpoint: endpoint(http)?, or_sse: http.or_sse },
            ServerKind::Sse(http) => Self::Sse(endpoint(http)?),
            ServerKind::Tcp(tcp) => {
                let (host, port) = host_and_port(tcp.address.expose())
                    .ok_or_else(|| format!("{} is not a host and a port", tcp.address))?;
                Self::Tcp { host, port }
            }
            #[cfg(feature = "ws")]
            ServerKind::WebSocket(ws) => {
                mcp_wire::ws::Endpoint::new(ws.url.expose(), exposed(&ws.headers))
                    .map(Self::WebSocket)
                    .map_err(|error| error.to_string())?
            }
            #[cfg(not(feature = "ws"))]
            ServerKind::WebSocket(_) => {
                return Err("WebSocket is not built in (feature `ws`)".to_owned());
            }
            ServerKind::Stdio(_) => return Ok(None),
        };
        Ok(Some(address))
    }
}

fn endpoint(http: &Http) -> Result<mcp_wire::http::Endpoint, String> {
    mcp_wire::http::Endpoint::new(http.url.expose(), exposed(&http.headers))
        .map_err(|error| error.to_string())
}

fn exposed(headers: &[(String, Text)]) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.expose()))
}
