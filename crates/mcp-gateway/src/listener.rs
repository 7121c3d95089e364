//! The accept loop: bounded connections, each with timeouts that a slow sender cannot stretch.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::Options;
use crate::activity::Activity;
use crate::guard::Guard;
use crate::patient::Patient;
use crate::respond::{self, Answer};

/// A pause after `accept` fails: the usual reason is that the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A request head may have so many bytes; hyper answers a longer one with 431.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How often connections are looked at, at the most and at the least.
const CHECK_MIN: Duration = Duration::from_millis(20);
const CHECK_MAX: Duration = Duration::from_secs(1);
/// An answer has left for its client when so much time has passed since it was given.
const FLUSHED: Duration = Duration::from_secs(1);

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
    let mut connections = Connections::default();
    let check = (options.header_timeout / 8).clamp(CHECK_MIN, CHECK_MAX);
    let mut check = tokio::time::interval(check);
    loop {
        // The place is taken before the connection: what does not fit waits in the kernel.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = check.tick() => {
                connections.end_silent(options.header_timeout);
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (guard, handle) = (Arc::clone(&guard), handle.clone());
        let write_timeout = options.write_timeout;
        connections.spawn(|activity| async move {
            // Without this, each event of a stream waits for the acknowledgement of the one before
            // (44 ms).
            if stream.set_nodelay(true).is_ok() {
                connection(Patient::new(stream, write_timeout), guard, handle, activity).await;
            }
            drop(place);
        });
    }
    drop(listener);
    // Whatever is left when the time is over is cut off by dropping it.
    let _ = tokio::time::timeout(drain, connections.finish()).await;
}

/// The connections that are open, and what each is doing.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: Vec<(Arc<Activity>, AbortHandle)>,
}

impl Connections {
    fn spawn<F>(&mut self, serve: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let task = self.tasks.spawn(serve(Arc::clone(&activity)));
        self.open.push((activity, task));
    }

    /// Ends those that have waited for a request for as long as `limit`, and forgets those that
    /// have ended by themselves.
    fn end_silent(&mut self, limit: Duration) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|(activity, task)| {
            if activity.is_silent_for(limit) {
                task.abort();
            }
            !task.is_finished()
        });
    }

    /// Resolves when all have answered what they were asked, and are gone.
    async fn finish(&mut self) {
        while !self.tasks.is_empty() {
            self.end_silent(FLUSHED);
            tokio::time::sleep(CHECK_MIN).await;
        }
    }
}

async fn connection<H, F>(stream: Patient, guard: Arc<Guard>, handle: H, activity: Arc<Activity>)
where
    H: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let serving = Arc::clone(&activity);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let busy = Activity::begin(&serving);
        let refused = guard.refuses(request.headers());
        let answer = refused.is_none().then(|| handle(request));
        async move {
            let mut answer = match (answer, refused) {
                (Some(answer), _) => answer.await,
                (None, why) => respond::text(StatusCode::FORBIDDEN, why.unwrap_or_default()),
            };
            if let Some(next) = answer.body_mut().take_next() {
                busy.take_over(next);
            }
            Ok::<_, Infallible>(answer.map(|body| body.during(busy)))
        }
    });
    // hyper's own timeout would be one more timer for each request: see `Activity`.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends concerns nobody but its client.
    let _ = connection.with_upgrades().await;
    // Boxed, and rare: it is the same task, so the connection keeps its place.
    if let Some(next) = activity.take_next() {
        next.await;
    }
}
