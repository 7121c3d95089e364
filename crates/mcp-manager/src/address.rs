//! Where a server is that is not started here.

use crate::config::{ServerKind, Text, host_and_port};

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
    /// The addresses in `kind`: none if its server is started here. Or why one cannot be used.
    pub(crate) fn each(kind: &ServerKind) -> Result<Vec<Self>, String> {
        match kind {
            ServerKind::Stdio(_) => Ok(Vec::new()),
            ServerKind::Http(http) => each(&http.url, &http.more, |url| {
                Ok(Self::Http { endpoint: endpoint(url, &http.headers)?, or_sse: http.or_sse })
            }),
            ServerKind::Sse(http) => {
                each(&http.url, &http.more, |url| Ok(Self::Sse(endpoint(url, &http.headers)?)))
            }
            ServerKind::Tcp(tcp) => each(&tcp.address, &tcp.more, |address| {
                let (host, port) = host_and_port(address.expose())
                    .ok_or_else(|| format!("{address} is not a host and a port"))?;
                Ok(Self::Tcp { host, port })
            }),
            #[cfg(feature = "ws")]
            ServerKind::WebSocket(ws) => each(&ws.url, &ws.more, |url| {
                let endpoint = mcp_wire::ws::Endpoint::new(url.expose(), exposed(&ws.headers));
                endpoint.map(Self::WebSocket).map_err(|error| error.to_string())
            }),
            #[cfg(not(feature = "ws"))]
            ServerKind::WebSocket(_) => Err("WebSocket is not built in (feature `ws`)".to_owned()),
        }
    }
}

impl Address {
    /// The host, without brackets, and the port.
    pub(crate) fn authority(&self) -> Option<(String, u16)> {
        match self {
            Self::Http { endpoint, .. } | Self::Sse(endpoint) => {
                let (host, port) = endpoint.authority();
                Some((host.to_owned(), port))
            }
            Self::Tcp { host, port } => Some((host.clone(), *port)),
            #[cfg(feature = "ws")]
            Self::WebSocket(endpoint) => {
                let (host, port) = endpoint.authority();
                Some((host.to_owned(), port))
            }
        }
    }
}

fn each<'a>(
    first: &'a Text,
    more: &'a [Text],
    address: impl Fn(&'a Text) -> Result<Address, String>,
) -> Result<Vec<Address>, String> {
    std::iter::once(first).chain(more).map(address).collect()
}

fn endpoint(url: &Text, headers: &[(String, Text)]) -> Result<mcp_wire::http::Endpoint, String> {
    mcp_wire::http::Endpoint::new(url.expose(), exposed(headers)).map_err(|error| error.to_string())
}

fn exposed(headers: &[(String, Text)]) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.expose()))
}
