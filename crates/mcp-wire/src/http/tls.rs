//! TLS to a server, checked against the system's certificates.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::endpoint::EndpointError;
use super::pool::unreachable;
use crate::CallError;

/// Makes TLS connections to one server.
pub(super) struct Connector {
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Connector {
    pub(super) fn new(name: &str) -> Result<Self, EndpointError> {
        let bad_name = |_| EndpointError::Url { url: name.to_owned() };
        let parsed = ServerName::try_from(name.to_owned()).map_err(bad_name)?;
        Ok(Self { name: parsed, connector: TlsConnector::from(config()?) })
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, CallError> {
        let connecting = self.connector.connect(self.name.clone(), stream);
        connecting.await.map_err(|error| unreachable(format!("TLS: {error}")))
    }
}

/// Read once: a certificate store is some hundred files.
fn config() -> Result<Arc<ClientConfig>, EndpointError> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    CONFIG.get_or_init(load).clone().ok_or(EndpointError::NoCertificates)
}

fn load() -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return None;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
