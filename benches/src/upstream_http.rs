//! The echo server over streamable HTTP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::body::whole;
use crate::echo::{self, Reply};
use crate::serve::{Answer, empty, json, runtime, serve};
use crate::work::{Desk, Work};

pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Serves on one thread until killed.
pub(crate) fn run(work: &Work) -> io::Result<()> {
    let desk = Arc::new(work.desk());
    runtime(0)?.block_on(serve(move |request| answer(request, Arc::clone(&desk))))
}

async fn answer(request: Request<Incoming>, desk: Arc<Desk>) -> Answer {
    match *request.method() {
        Method::POST => {}
        Method::DELETE => return empty(StatusCode::OK),
        _ => return empty(StatusCode::METHOD_NOT_ALLOWED),
    }
    let Ok(message) = whole(request.into_body()).await else {
        return empty(StatusCode::BAD_REQUEST);
    };
    desk.work(&message).await;
    match echo::reply(&message) {
        Reply::Answered(body) => json(StatusCode::OK, body),
        Reply::Unknown(body) => json(StatusCode::NOT_FOUND, body),
        Reply::Taken => empty(StatusCode::ACCEPTED),
        Reply::Malformed => empty(StatusCode::BAD_REQUEST),
        Reply::Opened(body) => {
            let mut answer = json(StatusCode::OK, body);
            answer.headers_mut().insert(SESSION, fresh_session());
            answer
        }
    }
}

/// A session id: counted, since nobody here would guess another's.
pub(crate) fn fresh_session() -> HeaderValue {
    static OPENED: AtomicU64 = AtomicU64::new(1);
    HeaderValue::from(OPENED.fetch_add(1, Ordering::Relaxed))
}
