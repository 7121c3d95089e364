//! Where a server is, and what every request to it carries.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri};
use http_body_util::Full;

use super::farewell::Farewells;
use super::pool::Pool;
use crate::headers as names;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A streamable HTTP endpoint. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) target: Arc<Target>,
}

/// One server's address, its configured headers, and the connections to it.
pub(crate) struct Target {
    pub(crate) path: PathAndQuery,
    pub(crate) host: HeaderValue,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) farewells: Farewells,
    secure: bool,
}

impl std::fmt::Debug for Target {
    /// Without the headers: they carry credentials.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Target").field("host", &self.host).finish_non_exhaustive()
    }
}

/// An endpoint that cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an absolute URL.
    #[error("{url:?} is not an http:// or https:// URL")]
    Url {
        /// What was given.
        url: String,
    },
    /// `https` without the feature `tls`.
    #[error("https is not built in (feature `tls`)")]
    NoTls,
    /// The system offers no certificates to check a server against.
    #[error("https needs the system's certificates, and none can be read")]
    NoCertificates,
    /// A header that HTTP does not allow. Its value is not shown, it may be a secret.
    #[error("header {name:?} is not a legal HTTP header")]
    Header {
        /// The header's name.
        name: String,
    },
}

impl Endpoint {
    /// The endpoint at `url`, to which every request carries `headers`.
    ///
    /// Those that the transport writes itself are not taken over: what the protocol needs is not
    /// for a file to change.
    pub fn new<'h>(
        url: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, EndpointError> {
        let bad_url = || EndpointError::Url { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad_url())?;
        let authority = uri.authority().ok_or_else(bad_url)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(bad_url());
        }
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(bad_url()),
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| bad_url())?;
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let pool = Pool::new(name, port, secure)?;
        let slash = || PathAndQuery::from_static("/");
        let path = uri.path_and_query().cloned().unwrap_or_else(slash);
        let headers = headers.into_iter().map(header).collect::<Result<Vec<_>, _>>()?;
        let headers = headers.into_iter().filter(|(name, _)| !is_ours(name.as_str())).collect();
        let (pool, farewells) = (Arc::new(pool), Farewells::default());
        Ok(Self { target: Arc::new(Target { path, host, headers, pool, farewells, secure }) })
    }

    /// The host, without brackets, and the port that connections are made to.
    pub fn authority(&self) -> (&str, u16) {
        self.target.pool.authority()
    }

    /// Resolves when no call is in flight, and every cancellation and every end of a session that
    /// was to be told to the server has been, or was given up. For whoever is about to end the
    /// process: nothing else waits for these.
    pub async fn said_goodbye(&self) {
        self.target.farewells.said().await;
    }
}

impl Target {
    /// A request to the server, with what every one carries.
    pub(super) fn request(
        &self,
        method: Method,
        accept: HeaderValue,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = self.path.clone().into();
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().cloned());
        headers.insert(HOST, self.host.clone());
        headers.insert(ACCEPT, accept);
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, JSON);
        }
        *request.method_mut() = method;
        request
    }

    /// The same server at another path, over the same connections.
    pub(super) fn at(&self, path: PathAndQuery) -> Self {
        let (host, headers) = (self.host.clone(), self.headers.clone());
        let (pool, farewells) = (Arc::clone(&self.pool), self.farewells.clone());
        Self { path, host, headers, pool, farewells, secure: self.secure }
    }

    /// What a URL without a scheme would begin with.
    pub(super) fn scheme_prefix(&self) -> &'static str {
        if self.secure { "https:" } else { "http:" }
    }

    /// Whether `url` leads to this server, as browsers compare it: scheme, host and port.
    pub(super) fn is_origin_of(&self, url: &Uri) -> bool {
        let authority = |host: &[u8]| Authority::try_from(host).ok();
        let default = if self.secure { 443 } else { 80 };
        let (Some(own), Some(other)) = (authority(self.host.as_bytes()), url.authority()) else {
            return false;
        };
        let port = |of: &Authority| of.port_u16().unwrap_or(default);
        url.scheme_str() == Some(if self.secure { "https" } else { "http" })
            && !other.as_str().contains('@')
            && own.host().eq_ignore_ascii_case(other.host())
            && port(&own) == port(other)
    }
}

/// Headers that the transport writes, or that would say something else about the bytes than is so.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "accept" | "connection" | "content-length" | "content-type" | "host" | "transfer-encoding"
    ) || matches!(name, names::METHOD | names::NAME | names::PROTOCOL_VERSION | names::SESSION_ID)
        || name.starts_with(names::PARAM_PREFIX)
}

fn header((name, value): (&str, &str)) -> Result<(HeaderName, HeaderValue), EndpointError> {
    let bad = |_| EndpointError::Header { name: name.to_owned() };
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
    let mut value = HeaderValue::from_str(value).map_err(|_| bad(()))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}
