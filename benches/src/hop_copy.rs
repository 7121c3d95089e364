//! The floor over HTTP: a hop that copies bytes and knows nothing of MCP.
//!
//! Whatever a gateway does, it reads a request, writes it to its upstream, reads the answer and
//! writes that. This is the same with nothing in between.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::body::whole;
use crate::pool::Pool;
use crate::serve::{Answer, empty, runtime, serve};

/// Serves until killed, in front of `upstream`.
pub(crate) fn run(upstream: SocketAddr, workers: usize) -> io::Result<()> {
    let host = HeaderValue::try_from(upstream.to_string()).map_err(io::Error::other)?;
    let hop = Arc::new(Hop { pool: Pool::new(upstream), host });
    runtime(workers)?.block_on(serve(move |request| {
        let hop = Arc::clone(&hop);
        async move { hop.copy(request).await.unwrap_or_else(|_| empty(StatusCode::BAD_GATEWAY)) }
    }))
}

struct Hop {
    pool: Pool,
    host: HeaderValue,
}

impl Hop {
    async fn copy(&self, request: Request<Incoming>) -> Result<Answer, String> {
        let (mut head, body) = request.into_parts();
        // A body in one piece goes out in one write with its head; a stream takes two.
        let body = whole(body).await.map_err(|error| error.to_string())?;
        of_this_connection(&mut head.headers);
        head.headers.insert(HOST, self.host.clone());
        let mut sender = self.pool.take().await?;
        let answer = sender
            .send_request(Request::from_parts(head, Full::new(body)))
            .await
            .map_err(|error| error.to_string())?;
        let (mut head, body) = answer.into_parts();
        let body: Bytes = whole(body).await.map_err(|error| error.to_string())?;
        self.pool.keep(sender);
        of_this_connection(&mut head.headers);
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

/// Takes out what speaks of a connection and not of a message; hyper writes its own.
fn of_this_connection(headers: &mut HeaderMap) {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}
