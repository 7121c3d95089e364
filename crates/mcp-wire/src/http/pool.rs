//! Keep-alive connections to one server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::endpoint::EndpointError;
use super::response::broken;
use crate::CallError;

/// Idle connections that are kept.
const IDLE_MAX: usize = 64;
/// Node closes an idle connection after five seconds. A request that is sent in that moment is lost
/// without a trace, so a connection is not used again when it has been idle for nearly as long.
const IDLE_TIME: Duration = Duration::from_secs(4);
/// Connections at a time, streams included.
const OPEN_MAX: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one server, most recently used first.
pub(crate) struct Pool {
    name: Box<str>,
    port: u16,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::Connector>,
    idle: Mutex<Vec<(SendRequest<Full<Bytes>>, Instant)>>,
    open: std::sync::Arc<AtomicUsize>,
}

impl Pool {
    pub(super) fn new(name: &str, port: u16, secure: bool) -> Result<Self, EndpointError> {
        #[cfg(not(feature = "tls"))]
        if secure {
            return Err(EndpointError::NoTls);
        }
        Ok(Self {
            name: name.into(),
            port,
            #[cfg(feature = "tls")]
            tls: if secure { Some(super::tls::Connector::new(name)?) } else { None },
            idle: Mutex::default(),
            open: std::sync::Arc::default(),
        })
    }

    pub(super) fn authority(&self) -> (&str, u16) {
        (&self.name, self.port)
    }

    /// Sends a request on an idle connection or a new one.
    ///
    /// A request that an idle connection did not take is sent on another; one that may have left is
    /// never sent twice.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>), CallError> {
        while let Some(mut connection) = self.take() {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(&error.into_error())),
                },
            }
        }
        // Boxed: connecting is rare, and its future is large.
        let mut connection = Box::pin(self.connect()).await?;
        match connection.try_send_request(request).await {
            Ok(response) => Ok((response, connection)),
            Err(mut error) => Err(match error.take_message() {
                Some(_unsent) => unreachable(error.into_error().to_string()),
                None => broken(&error.into_error()),
            }),
        }
    }

    /// Takes a connection back whose answer has been read to its end.
    pub(super) fn give_back(&self, connection: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push((connection, Instant::now()));
        }
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle();
        let (connection, since) = idle.pop()?;
        if since.elapsed() < IDLE_TIME {
            return Some(connection);
        }
        // The most recently used one is too old, so all are.
        idle.clear();
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(SendRequest<Full<Bytes>>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is not one of the pool.
    pub(crate) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let place = Place::take(&self.open)?;
        let connecting = timeout(CONNECT_TIMEOUT, self.establish(place));
        let late = || unreachable(format!("no connection within {CONNECT_TIMEOUT:?}"));
        connecting.await.unwrap_or_else(|_| Err(late()))
    }

    async fn establish(&self, place: Place) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let stream = TcpStream::connect((&*self.name, self.port)).await;
        let stream =
            stream.map_err(|error| unreachable(format!("{}:{}: {error}", self.name, self.port)))?;
        // Without this, small requests wait for the acknowledgement of the ones before (44 ms).
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let stream = tls.connect(stream).await?;
            return handshake(TokioIo::new(stream), place).await;
        }
        handshake(TokioIo::new(stream), place).await
    }
}

async fn handshake<I>(io: I, place: Place) -> Result<SendRequest<Full<Bytes>>, CallError>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .handshake(io)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    tokio::spawn(async move {
        // How a connection ends is told to the request that it carried.
        let _ = connection.with_upgrades().await;
        drop(place);
    });
    Ok(sender)
}

/// One of the [`OPEN_MAX`] connections, for as long as it lives.
struct Place(std::sync::Arc<AtomicUsize>);

impl Place {
    fn take(open: &std::sync::Arc<AtomicUsize>) -> Result<Self, CallError> {
        let place = Self(std::sync::Arc::clone(open));
        if open.fetch_add(1, Ordering::Relaxed) >= OPEN_MAX {
            return Err(CallError::Overloaded);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn unreachable(why: String) -> CallError {
    CallError::Connect { why }
}
