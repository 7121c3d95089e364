//! The accept loop: bounded connections, each with timeouts that a slow sender cannot stretch.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::Options;
use crate::activity::Activity;
use crate::guard::Guard;
use crate::respond::{self, Answer};

/// A pause after `accept` fails: the usual reason is that the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A request head may have so many bytes; hyper answers a longer one with 431.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Binds an address, with an error that says which.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// Serves until `stop` says so, then lets what is in flight finish for as long as `drain`.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    options: Options,
    handle: H,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) where
    H: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let Ok(address) = listener.local_addr() else { return };
    let guard = Arc::new(Guard::new(address, &options));
    let places = Arc::new(Semaphore::new(options.connections_max));
    let mut connections = JoinSet::new();
    loop {
        // The place is taken before the connection: what does not fit waits in the kernel.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (guard, handle, options) = (Arc::clone(&guard), handle.clone(), options.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            let _place = place;
            connection(stream, &options, guard, handle, stop).await;
        });
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    // Whatever is left when the time is over is cut off by dropping it.
    let _ = tokio::time::timeout(drain, rest).await;
}

async fn connection<H, F>(
    stream: TcpStream,
    options: &Options,
    guard: Arc<Guard>,
    handle: H,
    mut stop: watch::Receiver<bool>,
) where
    H: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    // Without this, each event of a stream waits for the acknowledgement of the one before (44 ms).
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let activity = Arc::new(Activity::new());
    let seen = Arc::clone(&activity);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let busy = Activity::begin(&seen);
        let refused = guard.refuses(request.headers());
        let answer = refused.is_none().then(|| handle(request));
        async move {
            let answer = match (answer, refused) {
                (Some(answer), _) => answer.await,
                (None, why) => respond::text(StatusCode::FORBIDDEN, why.unwrap_or_default()),
            };
            Ok::<_, Infallible>(answer.map(|body| body.during(busy)))
        }
    });
    // hyper's own timeout is one more timer for each request; ours is one for each connection.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How a connection ends concerns nobody but its client.
        _ = connection.as_mut() => return,
        () = activity.silent_for(options.header_timeout) => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => {}
        () = activity.silent_for(options.header_timeout) => {}
    }
}
