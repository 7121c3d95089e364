//! The accept loop: bounded connections, each with timeouts that a slow sender cannot stretch.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::Options;
use crate::activity::Activity;
use crate::guard::Guard;
use crate::patient::Patient;
use crate::reserve::Reserve;
use crate::respond::{self, Answer};
use crate::socket::Socket;

/// A pause after `accept` fails: the usual reason is that the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A request head may have so many bytes; hyper answers a longer one with 431.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How often connections are looked at, at the most and at the least.
const CHECK_MIN: Duration = Duration::from_millis(20);
const CHECK_MAX: Duration = Duration::from_secs(1);
/// An answer has left for its client when so much time has passed since it was given.
const FLUSHED: Duration = Duration::from_secs(1);

/// What one listener is told.
pub(crate) struct Terms {
    pub(crate) options: Options,
    /// True once no new work is taken.
    pub(crate) stop: watch::Receiver<bool>,
    /// How long what is in flight may take then.
    pub(crate) drain: Duration,
    /// What is kept for its connections, so that they can be accepted when nothing else can.
    pub(crate) reserve: Option<Reserve>,
}

/// Serves until `stop` says so, then lets what is in flight finish for as long as `drain`.
///
/// Meanwhile whoever connects is heard, since a call in flight may need another connection: the
/// answer of its client, or the rest of a stream that was cut. A socket that is shared is left to
/// the others at once.
pub(crate) async fn serve<H, F>(socket: Socket, terms: Terms, handle: H)
where
    H: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let (mut stop, drain, shared) = (terms.stop.clone(), terms.drain, socket.shared);
    let mut listener = Listener::new(socket, terms, handle);
    tokio::select! {
        () = listener.run(false) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    if shared {
        listener.socket = None;
    }
    listener.connections.are_early();
    // Whatever is left when the time is over is cut off by dropping it.
    let _ = tokio::time::timeout(drain, listener.run(true)).await;
}

struct Listener<H> {
    socket: Option<TcpListener>,
    guard: Arc<Guard>,
    places: Arc<Semaphore>,
    terms: Terms,
    handle: H,
    connections: Connections,
    /// Whether the last attempt to accept a connection failed.
    refused: bool,
}

impl<H, F> Listener<H>
where
    H: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    fn new(socket: Socket, terms: Terms, handle: H) -> Self {
        let guard = Arc::new(Guard::new(socket.address, &terms.options));
        let places = Arc::new(Semaphore::new(terms.options.connections_max));
        let (socket, connections) = (Some(socket.listener), Connections::default());
        Self { socket, guard, places, terms, handle, connections, refused: false }
    }

    /// Accepts connections; when `stopping`, until nothing is in flight. Cancel safe.
    async fn run(&mut self, stopping: bool) {
        let limit = if stopping { FLUSHED } else { self.terms.options.header_timeout };
        let check = if stopping { CHECK_MIN } else { (limit / 8).clamp(CHECK_MIN, CHECK_MAX) };
        let mut check = tokio::time::interval(check);
        while !(stopping && self.connections.are_finished()) {
            let accepted = tokio::select! {
                accepted = accept(self.socket.as_ref(), &self.places) => accepted,
                _ = check.tick() => {
                    self.connections.end_silent(limit);
                    continue;
                }
            };
            match accepted {
                Ok((stream, place)) => self.begin(stream, place, true),
                Err(error) => self.accept_anyway(&error).await,
            }
        }
    }

    /// The usual reason is that the process has no file left: then the reserve is used, or there is a
    /// pause, since whoever connects still waits, and would be found again at once.
    async fn accept_anyway(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.refused, true) {
            tracing::error!(%error, "connections cannot be accepted, and wait");
        }
        if self.terms.reserve.as_ref().is_some_and(Reserve::give_up) {
            let accepted =
                tokio::time::timeout(ACCEPT_PAUSE, accept(self.socket.as_ref(), &self.places));
            match accepted.await {
                Ok(Ok((stream, place))) => return self.begin(stream, place, false),
                _ => self.terms.reserve.iter().for_each(Reserve::refill),
            }
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    /// Serves a connection; more than one request on it only if it may be `kept`.
    fn begin(&mut self, stream: TcpStream, place: OwnedSemaphorePermit, kept: bool) {
        self.refused &= !kept;
        let (guard, handle) = (Arc::clone(&self.guard), self.handle.clone());
        let write_timeout = self.terms.options.write_timeout;
        let reserve = self.terms.reserve.clone();
        self.connections.spawn(|activity| async move {
            // Without this, each event of a stream waits for the acknowledgement of the one before
            // (44 ms).
            if stream.set_nodelay(true).is_ok() {
                let stream = Patient::new(stream, write_timeout);
                connection(stream, guard, handle, activity, kept).await;
            }
            drop(place);
            // At once, before anybody else takes the descriptor that has become free.
            reserve.iter().for_each(Reserve::refill);
        });
    }
}

/// The place is taken before the connection: what does not fit waits in the kernel.
async fn accept(
    socket: Option<&TcpListener>,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let (Some(socket), Ok(place)) = (socket, Arc::clone(places).acquire_owned().await) else {
        return std::future::pending().await;
    };
    socket.accept().await.map(|(stream, _)| (stream, place))
}

/// The connections that are open, and what each is doing.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: Vec<Open>,
}

struct Open {
    activity: Arc<Activity>,
    task: AbortHandle,
    /// Whether it was there when we were asked to stop.
    early: bool,
}

impl Connections {
    fn spawn<F>(&mut self, serve: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let task = self.tasks.spawn(serve(Arc::clone(&activity)));
        self.open.push(Open { activity, task, early: false });
    }

    /// Ends those that have waited for a request for as long as `limit`, and forgets those that
    /// have ended by themselves.
    fn end_silent(&mut self, limit: Duration) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|open| {
            if open.activity.is_silent_for(limit) {
                open.task.abort();
            }
            !open.task.is_finished()
        });
    }

    /// Those that are open now are waited for; of those to come, only what they ask.
    fn are_early(&mut self) {
        self.open.iter_mut().for_each(|open| open.early = true);
    }

    /// Whether all have answered what they were asked, and those that came early are gone.
    fn are_finished(&self) -> bool {
        let mut open = self.open.iter().filter(|open| !open.task.is_finished());
        !open.any(|open| open.early || !open.activity.is_silent_for(Duration::ZERO))
    }
}

async fn connection<H, F>(
    stream: Patient,
    guard: Arc<Guard>,
    handle: H,
    activity: Arc<Activity>,
    kept: bool,
) where
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
        .keep_alive(kept)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends concerns nobody but its client.
    let _ = connection.with_upgrades().await;
    // Boxed, and rare: it is the same task, so the connection keeps its place.
    if let Some(next) = activity.take_next() {
        next.await;
    }
}
