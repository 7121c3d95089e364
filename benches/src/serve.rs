//! The HTTP/1 face that every server and hop of this package shares.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub(crate) type Answer = Response<Full<Bytes>>;

/// A runtime of `workers` threads; none is a runtime on the calling thread alone.
pub(crate) fn runtime(workers: usize) -> io::Result<Runtime> {
    let mut builder = match workers {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()
}

/// Listens on a free loopback port, prints the URL as the first line, and serves until killed.
pub(crate) async fn serve<H, F>(handler: H) -> io::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    announce(&listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // Without this an answer in two segments waits 40 ms for a delayed acknowledgement.
        stream.set_nodelay(true)?;
        let handler = handler.clone();
        let service = service_fn(move |request| {
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        // hyper's own settings: without vectored writes a small call costs 5 % less and one of
        // 64 KB 28 % more; flushing, the date and the buffer's size make no measurable difference.
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // The peer that breaks off is the load program at its end.
            let _ = connection.await;
        });
    }
}

#[allow(clippy::print_stdout, reason = "the parent reads the address from the first line")]
fn announce(listener: &TcpListener) -> io::Result<()> {
    println!("http://{}/mcp", listener.local_addr()?);
    Ok(())
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
